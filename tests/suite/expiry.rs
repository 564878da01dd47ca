//! What is past its `expirationDate` is never handed out.

use serde_json::{Value, json};

use crate::support::{Popped, Queue, eventually, get, now_s, put, shared};

#[test]
fn an_expiration_date_in_the_past_is_taken_and_the_message_never_handed_out() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push_with(&q, "late", json!({"expirationDate": now_s() - 10}));
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.queue_info(&q)["size"], json!(0));
    assert!(client.poprel(&q, &json!({"timeout": 1})).is_empty());
    assert!(client.pop(&q, &json!({"timeout": 1})).is_empty());
    client
        .call(&get(format!("/trans/{id}")))
        .assert_is(200, "{}");
}

#[test]
fn a_pushed_message_that_is_already_expired_wakes_nobody() {
    let shared = shared();
    let q = Queue::fresh();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    waiting.start_pop(&q);
    pusher.await_blocked(&q, true);
    pusher.push_with(&q, "late", json!({"expirationDate": now_s() - 10}));
    pusher.push(&q, "in time");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["in time"]);
}

#[test]
fn a_message_expires_while_it_waits_in_its_queue() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push_with(&q, "short", json!({"expirationDelay": 2}));
    assert_eq!(client.peek(&q).data, ["short"]);
    eventually("the transaction is gone", || {
        client.transaction(&id) == json!({})
    });
    assert!(client.peek(&q).is_empty());
    client.await_size(&q, 0);
    assert!(client.pop(&q, &json!({"timeout": 1})).is_empty());
    let state = client.state(&id);
    assert!(
        state == json!({}) || state == json!({&q.id: "Expired"}),
        "{state}"
    );
}

#[test]
fn an_expired_message_at_the_head_does_not_hold_back_those_behind() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push_with(&q, "late", json!({"expirationDate": 1}));
    client.push(&q, "in time");
    client.push_with(
        &q,
        "late too",
        json!({"expirationDate": 1, "priority": "L"}),
    );
    client.push_with(&q, "in time too", json!({"priority": "L"}));
    assert_eq!(client.peek(&q).data, ["in time", "in time too"]);
    assert_eq!(
        client.pop(&q, &json!({"timeout": 1})).data,
        ["in time", "in time too"]
    );
}

#[test]
fn a_message_that_expires_while_blocked_does_not_come_back() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push_with(&q, "short", json!({"expirationDelay": 1}));
    assert_eq!(
        client.poprel(&q, &json!({"timeoutACK": 2.5})).data,
        ["short"]
    );
    assert!(client.pop(&q, &json!({"timeout": 4})).is_empty());
}

#[test]
fn a_new_expiration_date_in_the_past_takes_the_message_from_every_queue() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b], "p");
    client
        .call(&put(format!("/trans/{id}"), &json!({"expirationDate": 1})))
        .assert_json_head(200);
    for q in [&a, &b] {
        assert!(client.peek(q).is_empty());
        assert!(client.pop(q, &json!({"timeout": 1})).is_empty());
    }
}

#[test]
fn a_later_expiration_date_holds_for_every_queue_where_it_is_pending() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let body = json!({
        "payload": "p", "priority": "H", "queue": [{"id": a.id}, {"id": b.id}], "expirationDelay": 2,
    });
    let id = client.push_body(&body);
    let witness = client.push_with(&Queue::fresh(), "w", json!({"expirationDelay": 3}));
    client
        .call(&put(
            format!("/trans/{id}"),
            &json!({"expirationDate": now_s() + 600}),
        ))
        .assert_json_head(200);
    eventually("the first date has passed", || {
        client.transaction(&witness) == json!({})
    });
    for q in [&a, &b] {
        assert_eq!(client.pop(q, &json!({"timeout": 1})).data, ["p"]);
    }
}

#[test]
fn an_answer_never_has_null_among_its_payloads() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for number in 0..10 {
        let date = if number % 2 == 0 { 1 } else { now_s() + 100 };
        client.push_with(&q, &number.to_string(), json!({"expirationDate": date}));
    }
    let raw = client
        .call(&crate::support::post(q.route("pop"), &json!({})))
        .json();
    assert!(
        raw["data"].as_array().unwrap().iter().all(Value::is_string),
        "{raw}"
    );
    assert_eq!(raw["data"], json!(["1", "3", "5", "7", "9"]));
}
