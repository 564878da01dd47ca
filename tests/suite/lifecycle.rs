//! Starting, refusing to start, and saying why.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;

use crate::support::{Durability, Layout, Queue, Server, Settings, get, popbox};

#[test]
fn one_line_on_stdout_says_ready_and_where() {
    let server = Settings::new().start();
    assert!(
        server.ready_line.starts_with("popbox ready"),
        "{}",
        server.ready_line
    );
    let url = format!("http://{}", server.addr);
    assert!(server.ready_line.contains(&url), "{}", server.ready_line);
    assert_ne!(server.addr.port(), 0);
    server.client().assert_alive();
    let lines = server.stdout();
    let ready = lines
        .lines()
        .filter(|line| line.contains("popbox ready"))
        .count();
    assert_eq!(ready, 1, "{lines}");
}

#[test]
fn every_number_of_workers_serves() {
    for workers in [1, 2, 5] {
        let server = Settings::new().set("server.workers", workers).start();
        for client in &mut server.clients(8) {
            client.assert_alive();
        }
    }
}

#[test]
fn systemd_is_told_when_it_is_ready() {
    let layout = Layout::fresh();
    let path = layout.scratch().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut command = popbox();
    command.args(["serve", "--set", "server.listen=127.0.0.1:0"]);
    let spool = ("offload.spool".to_owned(), layout.fresh_spool());
    let store = layout.settings(Durability::Interval);
    for (key, value) in store.into_iter().chain([spool]) {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.env("NOTIFY_SOCKET", &path);
    let _server = Server::run(command, layout)
        .map_err(|refusal| format!("{refusal:?}"))
        .unwrap();
    let mut told = String::new();
    while !told.contains("READY=1") {
        let mut buffer = [0; 4096];
        let count = socket.recv(&mut buffer).expect("READY=1 comes");
        told.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[test]
fn a_port_in_use_is_refused_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let refusal = Settings::new()
        .set("server.listen", &addr)
        .try_start()
        .err()
        .expect("refused");
    assert!(!refusal.status.success());
    assert!(refusal.stderr.contains(&addr), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("panicked"), "{}", refusal.stderr);
    assert!(
        !refusal.stdout.contains("popbox ready"),
        "{}",
        refusal.stdout
    );
}

/// For the embedded store only: another kind of store is made to be shared.
#[test]
fn a_second_server_on_the_same_store_is_refused_and_the_first_goes_on() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let first = Settings::on(&layout).start();
    let q = Queue::fresh();
    first.client().push(&q, "safe");
    let refusal = Settings::on(&layout).try_start().err().expect("refused");
    assert!(!refusal.status.success());
    assert!(
        refusal.stderr.contains(&layout.name()),
        "{}",
        refusal.stderr
    );
    assert!(!refusal.stderr.contains("panicked"), "{}", refusal.stderr);
    assert_eq!(first.client().pop(&q, &json!({})).data, ["safe"]);
    // Once the first has gone, the store is free again, however it went.
    first.kill();
    Settings::on(&layout).start().client().assert_alive();
}

/// For the embedded store only: another kind of store has no files here.
#[test]
fn a_damaged_store_is_refused_and_named() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout).durability(Durability::Sync).start();
    let payloads: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    server.client().push_many(&Queue::fresh(), &payloads);
    server.stop();
    layout.ruin();
    let refusal = Settings::on(&layout).try_start().err().expect("refused");
    assert!(!refusal.status.success());
    assert!(
        refusal.stderr.contains(&layout.name()),
        "{}",
        refusal.stderr
    );
    assert!(!refusal.stderr.contains("panicked"), "{}", refusal.stderr);
}

/// For the embedded store only. A flipped bit is found, or does not matter; it never changes or loses a message in
/// silence.
#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout).durability(Durability::Sync).start();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..100)
        .map(|number| format!("payload number {number} to be kept"))
        .collect();
    server.client().push_many(&q, &payloads);
    server.stop();
    let flipped = layout.flip_a_bit_in("payload number 50 to be kept");
    println!("{flipped} bits flipped");
    match Settings::on(&layout).try_start() {
        Ok(server) => {
            let response = server
                .client()
                .call(&get(format!("{}?max=10000", q.route("peek"))));
            if response.status == 200 {
                assert_eq!(response.json()["data"], json!(payloads));
            } else {
                response.assert_some_error(503);
            }
        }
        Err(refusal) => {
            assert!(!refusal.status.success());
            assert!(
                refusal.stderr.contains(&layout.name()),
                "{}",
                refusal.stderr
            );
            assert!(!refusal.stderr.contains("panicked"), "{}", refusal.stderr);
        }
    }
}

/// For the embedded store only.
#[test]
fn a_store_path_that_cannot_be_used_is_refused_and_named() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let file = layout.scratch().join("a-file");
    std::fs::write(&file, "not a directory").unwrap();
    let path = file.join("store").display().to_string();
    let refusal = Settings::on(&layout)
        .set("store.path", &path)
        .try_start()
        .err()
        .expect("refused");
    assert!(!refusal.status.success());
    assert!(refusal.stderr.contains(&path), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("panicked"), "{}", refusal.stderr);
}
