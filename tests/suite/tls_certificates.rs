//! The files of `tls.cert` and `tls.key`: what is faulty with them is said by name, and SIGHUP brings new ones.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::tls::{Secured, VERSIONS, address_of, await_blocked, pop, push, secured_queue, serving};
use crate::support::foreign::{Authority, Certificate, Python};
use crate::support::{Settings, eventually};

/// A certificate whose files are faulty in some way.
struct Faulty {
    what: &'static str,
    certificate: Certificate,
    /// The key of the configuration that is to blame, and what is said of it.
    key: &'static str,
    reason: &'static str,
}

fn faulty(authority: &Authority) -> Vec<Faulty> {
    let file = |name: &str, content: &[u8]| {
        let path = authority.path(name);
        fs::write(&path, content).unwrap();
        path
    };
    let pem = |kind: &str, der: &str| {
        format!("-----BEGIN {kind}-----\n{der}\n-----END {kind}-----\n").into_bytes()
    };
    let good = authority.sign("good");
    let (chain, key) = (good.chain.as_path(), good.key.as_path());
    let own = fs::read(authority.path("good.crt")).unwrap();
    let signer = fs::read(authority.certificate()).unwrap();
    // DER of something else: a list with a number.
    let number = pem("CERTIFICATE", "MAMCAQA=");
    let other = &authority.sign("other").key;
    let folder = &authority.path("");
    let nowhere = &authority.path("nowhere");
    let empty = &file("empty", b"");
    let prose = &file("prose", b"this is no PEM\n");
    let torn = &file("torn", &own[..200]);
    let no_certificate = &file("number", &number);
    let no_chain = &file(
        "chain",
        &[&own, &signer, &number].map(Vec::as_slice).concat(),
    );
    let misordered = &file("misordered", &[&*signer, &own].concat());
    let no_key = &file("no_key", &pem("PRIVATE KEY", "MAMCAQA="));
    let first = "the private key of the first certificate in tls.cert";
    let faults: [(_, &Path, &Path, _, _); 14] = [
        ("no certificate", nowhere, key, "tls.cert", "No such file"),
        ("no key", chain, nowhere, "tls.key", "No such file"),
        ("nothing", empty, key, "tls.cert", "found no certificate"),
        (
            "no byte of a key",
            chain,
            empty,
            "tls.key",
            "PEM private key",
        ),
        ("prose", prose, key, "tls.cert", "found no certificate"),
        (
            "prose for a key",
            chain,
            prose,
            "tls.key",
            "PEM private key",
        ),
        ("a folder", folder, key, "tls.cert", "readable file"),
        (
            "a torn file",
            torn,
            key,
            "tls.cert",
            "PEM certificate chain",
        ),
        (
            "a number",
            no_certificate,
            key,
            "tls.cert",
            "number 1 cannot",
        ),
        (
            "a number in the chain",
            no_chain,
            key,
            "tls.cert",
            "number 3 cannot",
        ),
        (
            "a number for a key",
            chain,
            no_key,
            "tls.key",
            "RSA, ECDSA or Ed25519",
        ),
        ("the key of another", chain, other, "tls.key", first),
        ("the signer's one first", misordered, key, "tls.key", first),
        (
            "each for the other",
            key,
            chain,
            "tls.cert",
            "found no certificate",
        ),
    ];
    let with_files = |(what, chain, private, key, reason): (_, &Path, &Path, _, _)| Faulty {
        what,
        certificate: Certificate {
            chain: chain.into(),
            key: private.into(),
        },
        key,
        reason,
    };
    faults.map(with_files).into()
}

#[test]
fn faulty_files_end_a_start_with_a_line_that_names_the_key_of_the_configuration() {
    let authority = Authority::new();
    for Faulty {
        what,
        certificate,
        key,
        reason,
    } in faulty(&authority)
    {
        let refusal = serving(Settings::new(), &certificate).try_start().err();
        let refusal = refusal.unwrap_or_else(|| panic!("{what}: it started"));
        assert_eq!(refusal.status.code(), Some(1), "{what}: {refusal:?}");
        let line = refusal.stderr.lines().find(|line| line.contains("ERROR"));
        let line = line.unwrap_or_else(|| panic!("{what}: {refusal:?}"));
        let blamed = format!("ERROR popbox::worker::server: {key} = ");
        assert!(line.contains(&blamed), "{what}: {line}");
        assert!(line.contains(reason), "{what}: {line}");
    }
}

#[test]
fn keys_of_every_usual_kind_are_served() {
    for kind in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
        &["-newkey", "ed25519"],
    ] {
        let authority = Authority::new();
        let certificate = authority.sign_for("server", kind);
        let server = serving(Settings::new(), &certificate).start();
        for version in VERSIONS {
            Python::connect(address_of(&server), &authority, version);
        }
    }
}

/// Puts another certificate in the place of the one in use.
fn replace(authority: &Authority, by: &Certificate) {
    fs::copy(&by.chain, authority.path("server.chain")).unwrap();
    fs::copy(&by.key, authority.path("server.key")).unwrap();
}

#[track_caller]
fn serial(secured: &Secured) -> String {
    let mut client = Python::begin(secured.address, &secured.authority, "TLSv1_3");
    client.session()["serial"].as_str().unwrap().to_owned()
}

#[test]
fn sighup_brings_a_new_certificate_and_disturbs_nobody() {
    for version in VERSIONS {
        let secured = Secured::new();
        let before = serial(&secured);
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        let mut waiting = secured.connect(version);
        waiting.send(&pop(&q, &json!({"timeout": 60})));
        await_blocked(&mut client, &q, true);
        replace(&secured.authority, &secured.authority.sign("renewed"));
        assert_eq!(serial(&secured), before, "nobody has said that it is there");
        secured.server.signal(libc::SIGHUP);
        eventually("the new certificate is served", || {
            serial(&secured) != before
        });
        client.call(&push(&q, "over the old one"));
        let popped = waiting.receive();
        let body = popped["body"].as_str().unwrap();
        assert!(body.contains("over the old one"), "{popped}");
    }
}

#[test]
fn a_sighup_with_faulty_files_keeps_the_certificate_in_use_and_says_so() {
    let secured = Secured::new();
    let before = serial(&secured);
    for Faulty {
        what,
        certificate,
        key,
        reason,
    } in faulty(&secured.authority)
    {
        for (from, to) in [
            (&certificate.chain, "server.chain"),
            (&certificate.key, "server.key"),
        ] {
            let to = secured.authority.path(to);
            let _ = fs::remove_file(&to);
            // One that is not there, or is a folder, is not there afterwards.
            let _ = fs::copy(from, to);
        }
        let said = format!("SIGHUP: the certificate in use stays: {key} = ");
        let logged = secured.server.stderr().len();
        secured.server.signal(libc::SIGHUP);
        eventually(&format!("{what} is told"), || {
            let log = secured.server.stderr();
            let log = &log[logged..];
            log.contains(&said) && log.contains(reason)
        });
        assert_eq!(serial(&secured), before, "{what}");
    }
    // And the next good one is taken.
    replace(&secured.authority, &secured.authority.sign("renewed"));
    secured.server.signal(libc::SIGHUP);
    eventually("the new certificate is served", || {
        serial(&secured) != before
    });
}
