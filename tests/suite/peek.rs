//! `GET /queue/:id/peek`: as a pop, but it changes nothing and never waits.

use std::time::Instant;

use serde_json::json;

use crate::support::{Popped, Queue, get, shared, soon};

#[test]
fn a_peek_answers_as_a_pop_does() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p1");
    for _ in 0..2 {
        client.call(&get(q.route("peek"))).assert_is(
            200,
            &format!(r#"{{"ok":true,"data":["p1"],"transactions":["{id}"]}}"#),
        );
    }
}

#[test]
fn a_peek_changes_nothing() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.peek(&q);
    assert_eq!(client.state(&id), json!({&q.id: "Pending"}));
    let info = client.queue_info(&q);
    assert_eq!(info["size"], json!(1));
    assert_eq!(info.get("lastPop"), None);
    assert_eq!(client.pop(&q, &json!({})).transactions, [id]);
}

#[test]
fn a_peek_of_an_empty_queue_answers_at_once() {
    let shared = shared();
    let mut client = shared.client();
    let started = Instant::now();
    client
        .call(&get(format!("{}?timeout=60", Queue::fresh().route("peek"))))
        .assert_is(200, r#"{"ok":true,"data":[],"transactions":[]}"#);
    soon(started);
}

#[test]
fn a_peek_shows_high_before_low_and_keeps_to_max() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for (priority, payload) in [("L", "l1"), ("H", "h1"), ("L", "l2"), ("H", "h2")] {
        client.push_with(&q, payload, json!({"priority": priority}));
    }
    assert_eq!(client.peek(&q).data, ["h1", "h2", "l1", "l2"]);
    let peeked = Popped::parse(&client.call(&get(format!("{}?max=3", q.route("peek")))));
    assert_eq!(peeked.data, ["h1", "h2", "l1"]);
    let peeked = Popped::parse(&client.call(&get(format!("{}?max=0", q.route("peek")))));
    assert_eq!(peeked.data, ["h1"]);
}

#[test]
fn a_peek_of_another_client_disturbs_no_waiting_pop() {
    let shared = shared();
    let (mut waiting, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    assert!(client.peek(&q).is_empty());
    client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
}
