//! Handshakes that come to nothing, and which protocols and suites they may agree on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use serde_json::json;

use super::tls::{Secured, VERSIONS, address_of, serving};
use crate::support::foreign::{Authority, Python, run, text};
use crate::support::{Process, READ_TIMEOUT, Settings, eventually, free_address, soon};

const CIPHERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ciphers");

/// The beginning of a record with a `ClientHello` of 512 bytes, of which a few are there.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[track_caller]
fn stranger(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Everything until the server ends the connection, in whatever manner.
#[track_caller]
fn last_words(mut stream: TcpStream) -> Vec<u8> {
    let mut words = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return words,
            Ok(count) => words.extend(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return words,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

#[test]
fn what_is_no_tls_is_ended_at_once_by_an_alert() {
    let secured = Secured::with(Settings::new().set("tls.handshake_timeout", "60s"));
    let noise: Vec<u8> = (0..=255).rev().cycle().take(1000).collect();
    for (what, bytes) in [
        ("plain HTTP", &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..]),
        ("noise", &noise),
        ("a record of another kind", b"\x17\x03\x03\x00\x05hello"),
        (
            "an empty ClientHello",
            b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        ),
    ] {
        let started = Instant::now();
        let words = last_words(stranger(secured.address, bytes));
        soon(started);
        // An alert that ends it: type 21, level 2.
        assert_eq!(words.first(), Some(&21), "{what}: {words:?}");
        assert_eq!(words.get(5), Some(&2), "{what}: {words:?}");
    }
    secured.connect("TLSv1_3");
}

#[test]
fn a_client_that_hangs_up_in_its_handshake_is_forgotten() {
    let settings = Settings::new()
        .set("tls.handshake_timeout", "60s")
        .set("tls.max_handshakes", 1);
    let secured = Secured::with(settings);
    for bytes in [b"", HALF_A_HELLO] {
        drop(stranger(secured.address, bytes));
        secured.connect("TLSv1_3");
    }
    assert_eq!(secured.refused("tls.handshake_timeout"), 0);
}

#[test]
fn a_handshake_has_its_time_and_is_counted_when_that_is_over() {
    let secured = Secured::with(Settings::new().set("tls.handshake_timeout", "500ms"));
    let started = Instant::now();
    let late = [b"", HALF_A_HELLO].map(|bytes| stranger(secured.address, bytes));
    for stream in late {
        assert_eq!(last_words(stream), b"");
    }
    soon(started);
    eventually("both are counted", || {
        secured.refused("tls.handshake_timeout") == 2
    });
    // Who was in time is not counted, and its connection has more than that time.
    for version in VERSIONS {
        secured.connect(version);
    }
    assert_eq!(secured.refused("tls.handshake_timeout"), 2);
}

/// They come while the server does nothing, so that it finds them together.
#[test]
fn handshakes_in_progress_are_limited_even_if_they_come_together() {
    let settings = Settings::new()
        .set("server.workers", 1)
        .set("tls.handshake_timeout", "60s")
        .set("tls.max_handshakes", 1);
    let secured = Secured::with(settings);
    secured.server.signal(libc::SIGSTOP);
    let first = stranger(secured.address, HALF_A_HELLO);
    let mut second = Python::begin(secured.address, &secured.authority, "TLSv1_3");
    secured.server.signal(libc::SIGCONT);
    thread::scope(|scope| {
        let shaken = scope.spawn(|| second.session());
        // The plain entrance is not held up.
        secured.server.client().assert_alive();
        crate::support::pause();
        assert!(!shaken.is_finished(), "two handshakes in progress");
        drop(first);
        let started = Instant::now();
        shaken.join().unwrap();
        soon(started);
    });
    // Connections are not handshakes in progress any more.
    secured.connect("TLSv1_2");
    drop(second);
}

#[test]
fn one_connection_too_many_is_closed_and_counted() {
    let secured = Secured::with(Settings::new().set("limits.max_connections", 2));
    let kept = secured.connect("TLSv1_3");
    let silent = stranger(secured.address, b"");
    assert_eq!(last_words(stranger(secured.address, b"")), b"");
    drop(silent);
    drop(kept);
    eventually("it is counted", || {
        let mut client = secured.server.client();
        let answer = client.call(&crate::support::get("/"));
        answer.status == 200 && answer.json()["refused"]["limits.max_connections"] != json!(null)
    });
}

/// What an attacker sends who wants the server to keep much.
#[test]
fn handshakes_that_never_end_are_bounded_and_cost_others_nothing() {
    let settings = Settings::new()
        .set("tls.handshake_timeout", "1s")
        .set("tls.max_handshakes", 8);
    let secured = Secured::with(settings);
    let late: Vec<TcpStream> = (0..32)
        .map(|_| stranger(secured.address, HALF_A_HELLO))
        .collect();
    // It gets its turn behind all of them.
    secured.connect("TLSv1_3");
    drop(late);
    assert!(secured.refused("tls.handshake_timeout") >= 8);
}

#[test]
fn only_modern_protocols_and_suites_are_taken() {
    thread::scope(|scope| {
        for kind in [
            &["-newkey", "rsa:2048"][..],
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        ] {
            scope.spawn(move || {
                let authority = Authority::new();
                let certificate = authority.sign_for("server", kind);
                let server = serving(Settings::new(), &certificate).start();
                let found = run(CIPHERS, &[&address_of(&server).to_string()], b"");
                let table = String::from_utf8_lossy(&found.stdout);
                assert!(found.status.success(), "{table}");
                assert!(table.contains("\n0 faults\n"), "{table}");
            });
        }
    });
}

/// The script that looks at suites is of use only if it finds what is wrong: with openssl's own server, told to take
/// whatever it knows.
#[test]
fn the_look_at_suites_finds_weak_ones() {
    let authority = Authority::new();
    let certificate = authority.sign_for("weak", &["-newkey", "rsa:2048"]);
    let address = free_address();
    let mut command = Command::new("openssl");
    command
        .args([
            "s_server",
            "-accept",
            &address.to_string(),
            "-www",
            "-quiet",
        ])
        .args([
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-cert",
            text(&certificate.chain),
        ])
        .args(["-key", text(&certificate.key)])
        .stdin(Stdio::null());
    let weak = Process::start(command, None);
    eventually("it listens", || TcpStream::connect(address).is_ok());
    let found = run(CIPHERS, &[&address.to_string()], b"");
    let table = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.status.code(), Some(1), "{table}");
    for line in [
        "TLS 1.2 AES128-SHA ",
        "TLS 1.2 ECDHE-RSA-AES256-SHA ",
        "ALPN http/1.1 ",
    ] {
        let line = table.lines().find(|it| it.starts_with(line)).unwrap();
        assert!(line.ends_with(" FAULT"), "{line}");
    }
    drop(weak);
    let gone = run(CIPHERS, &[&address.to_string()], b"");
    assert_eq!(gone.status.code(), Some(2));
}
