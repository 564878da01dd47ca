//! States of a transaction.

use super::*;
use crate::mailbox::State;

fn found() -> Vec<(QueueName, State)> {
    vec![
        (plain_queue("a"), State::Pending),
        (plain_queue("b"), State::Delivered),
        (org_queue("o", "c"), State::Pending),
    ]
}

#[test]
fn a_dead_letter_has_a_state_of_its_own() {
    let found = vec![
        (plain_queue("a"), State::Expired),
        (plain_queue("b"), State::Dead),
    ];
    for (filter, expected) in [
        ("All", r#"{"a":"Expired","b":"Dead"}"#),
        ("dead", r#"{"b":"Dead"}"#),
        (
            "summary",
            r#"{"totalNotifications":2,"Dead":1,"Expired":1}"#,
        ),
    ] {
        let line = format!("GET /trans/{}/state/{filter}", id(1));
        let (_, text) = ask(&line, "", Reply::States(found.clone()));
        assert_eq!(text, format!(r#"{{"ok":true,"data":{expected}}}"#));
    }
}

fn states_at(path: &str) -> String {
    let (op, text) = ask(
        &format!("GET /trans/{}/state{path}", id(1)),
        "",
        Reply::States(found()),
    );
    assert!(matches!(op, Op::States(asked) if asked == id(1)));
    text
}

#[test]
fn filters() {
    let all = r#"{"ok":true,"data":{"a":"Pending","b":"Delivered","c":"Pending"}}"#;
    let pending = r#"{"ok":true,"data":{"a":"Pending","c":"Pending"}}"#;
    assert_eq!(states_at(""), all);
    assert_eq!(states_at("/"), all);
    assert_eq!(states_at("/All"), all);
    assert_eq!(states_at("/all"), all);
    assert_eq!(states_at("/Pending"), pending);
    assert_eq!(states_at("?state=Pending"), pending);
    assert_eq!(states_at("/All?state=Pending"), all);
    assert_eq!(states_at("/Blocked"), r#"{"ok":true,"data":{}}"#);
    assert_eq!(
        states_at("/summary"),
        r#"{"ok":true,"data":{"totalNotifications":3,"Pending":2,"Delivered":1}}"#
    );
}

#[test]
fn transactions_nobody_knows() {
    assert_eq!(
        answer("GET /trans/x/state", ""),
        (200, r#"{"ok":true,"data":{}}"#.to_owned())
    );
    assert_eq!(
        answer("GET /trans/x/state/summary", ""),
        (
            200,
            r#"{"ok":true,"data":{"totalNotifications":0}}"#.to_owned()
        )
    );
}

#[test]
fn no_such_state() {
    refused("GET /trans/x/state/Lost", "", &["Wrong State:Lost"]);
    refused("GET /trans/x/state?state=all", "", &["Wrong State:all"]);
    refused("GET /trans/x?queues=pending", "", &["Wrong State:pending"]);
    refused("GET /trans/x?queues=%22", "", &["Wrong State:\""]);
}
