//! By what a repeat of a push is known.

use std::time::Duration;

use super::*;
use crate::mailbox::{Fingerprint, Idempotency};

const GOOD: &str = r#"{"payload":"p","priority":"H","queue":[{"id":"q"}]}"#;

/// What a push with these header lines says of itself.
fn idempotency(line: &str, headers: &str, body: &str) -> Option<Idempotency> {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    match act_on(&request(line, &headers, body)) {
        Action::Ask(Op::Push(push), _) => push.idempotency.map(|idempotency| *idempotency),
        other => panic!("{other:?}"),
    }
}

fn fingerprint(line: &str, body: &str) -> Fingerprint {
    let idempotency = idempotency(line, "Idempotency-Key: k\r\n", body);
    idempotency.expect("a push with a key").fingerprint
}

/// The errors of a push with these raw header lines.
fn errors(headers: &[u8], body: &str) -> String {
    let length = body.len();
    let mut bytes =
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n".to_vec();
    bytes.extend_from_slice(headers);
    bytes.extend(format!("Content-Length: {length}\r\n\r\n{body}").bytes());
    let (status, text) = shown(&response(act_on(&decode(&bytes).expect("a request"))));
    assert_eq!(status, 400);
    text
}

#[test]
fn a_push_has_the_name_its_producer_gave_it() {
    assert_eq!(idempotency("POST /trans", "", GOOD), None);
    let headers = "idempotency-KEY:  \t\"order 7\" ~!  \r\n";
    let found = idempotency("POST /org/o/trans", headers, GOOD).expect("a key");
    assert_eq!(&*found.key.text, "\"order 7\" ~!");
    assert_eq!(found.key.realm, Realm::Plain);
    assert_eq!(found.key.tenant, Tenant(Some("o".into())));
    assert_eq!(found.life, Duration::from_hours(1));
    let longest = "k".repeat(255);
    let headers = format!("Idempotency-Key: {longest}\r\n");
    let found = idempotency("POST /trans", &headers, GOOD).expect("a key");
    assert_eq!(*found.key.text, *longest);
    assert_eq!(found.key.tenant, Tenant::default());
}

#[test]
fn what_a_push_says_is_told_apart() {
    let plain = fingerprint("POST /trans", GOOD);
    assert_eq!(fingerprint("POST /trans", GOOD), plain);
    // Parameters that mean nothing to a push are none of its contents.
    assert_eq!(fingerprint("POST /trans?max=3", GOOD), plain);
    let mut others = vec![plain];
    for (line, body) in [
        ("POST /trans", GOOD.replace("\"p\"", "\"P\"")),
        ("POST /trans", format!("{GOOD} ")),
        ("POST /trans?delay=0", GOOD.to_owned()),
        ("POST /trans?delay=10", GOOD.to_owned()),
        ("POST /trans?delay=1", GOOD.to_owned()),
    ] {
        let other = fingerprint(line, &body);
        assert!(!others.contains(&other), "{line} {body}");
        others.push(other);
    }
}

#[test]
fn a_key_that_cannot_be_used_is_not_overlooked() {
    let invalid = r#"{"errors":["invalid idempotency-key"]}"#;
    let too_long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    for headers in [
        &b"Idempotency-Key:\r\n"[..],
        b"Idempotency-Key: \t \r\n",
        b"Idempotency-Key: \xff\r\n",
        b"Idempotency-Key: \xc3\xa9\r\n",
        b"Idempotency-Key: a\tb\r\n",
        b"Idempotency-Key: k\r\nidempotency-key: k\r\n",
        b"Idempotency-Key: \xff\r\nIdempotency-Key: k\r\n",
        too_long.as_bytes(),
    ] {
        assert_eq!(errors(headers, GOOD), invalid, "{headers:?}");
    }
}

#[test]
fn what_is_wrong_with_the_body_comes_first() {
    let body = GOOD.replace("\"H\"", "\"X\"");
    assert_eq!(
        errors(b"Idempotency-Key:\r\n", &body),
        r#"{"errors":["invalid priority","invalid idempotency-key"]}"#
    );
    assert_eq!(
        errors(b"Idempotency-Key: k\r\n", &body),
        r#"{"errors":["invalid priority"]}"#
    );
}
