//! The limits an operator may set, small ones here, so that reaching them is cheap.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Layout, Queue, Settings, at_least, post, soon};

#[test]
fn pops_keep_to_the_limits_of_the_operator() {
    let server = Settings::new()
        .set("limits.default_pop", 2)
        .set("limits.max_pop", 3)
        .set("limits.pop_timeout", "1s")
        .set("limits.max_pop_timeout", "2s")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..9).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    assert_eq!(client.pop(&q, &json!({})).data, payloads[..2]);
    assert_eq!(client.pop(&q, &json!({"max": "abc"})).data, payloads[2..4]);
    assert_eq!(client.pop(&q, &json!({"max": 99})).data, payloads[4..7]);
    assert_eq!(client.pop(&q, &json!({"max": 3})).data, payloads[7..]);
    let started = Instant::now();
    assert!(client.pop(&q, &json!({})).is_empty());
    at_least(started, Duration::from_secs(1));
    soon(started);
    let started = Instant::now();
    assert!(client.pop(&q, &json!({"timeout": 300})).is_empty());
    at_least(started, Duration::from_secs(2));
    soon(started);
}

#[test]
fn a_max_above_ten_thousand_is_ten_thousand() {
    let server = Settings::new().start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    let popped = client.pop(&q, &json!({"max": 1_000_000}));
    assert_eq!(popped.data, payloads[..10_000]);
    assert_eq!(client.pop(&q, &json!({"max": 1_000_000})).data, ["10000"]);
}

#[test]
fn an_answer_carries_at_most_max_answer_and_the_rest_stays() {
    let server = Settings::new().set("limits.max_answer", "64KiB").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payload = |letter: &str| letter.repeat(25 * 1024);
    for letter in ["a", "b", "c", "d", "e"] {
        client.push(&q, &payload(letter));
    }
    assert_eq!(
        client.pop(&q, &json!({})).data,
        [payload("a"), payload("b")]
    );
    assert_eq!(
        client.poprel(&q, &json!({})).data,
        [payload("c"), payload("d")]
    );
    assert_eq!(client.pop(&q, &json!({})).data, [payload("e")]);
}

#[test]
fn an_answer_has_at_least_one_message_however_large() {
    let server = Settings::new().set("limits.max_answer", "64KiB").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let large = "x".repeat(200 * 1024);
    for payload in [large.as_str(), "small", large.as_str()] {
        client.push(&q, payload);
    }
    assert_eq!(client.pop(&q, &json!({})).data, [large.as_str()]);
    assert_eq!(client.pop(&q, &json!({})).data, ["small"]);
    assert_eq!(client.pop(&q, &json!({})).data, [large.as_str()]);
}

#[test]
fn the_default_expiration_is_the_operators() {
    let server = Settings::new()
        .set("limits.default_expiration", "1s")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    client.push(&q, "short");
    client.push_with(&q, "long", json!({"expirationDelay": 600}));
    client.await_pending(&q, &["long"]);
}

#[test]
fn the_smaller_limits_are_told_in_the_errors() {
    let server = Settings::new()
        .set("limits.max_payload", 10)
        .set("limits.max_queues", 2)
        .start();
    let mut client = server.client();
    let body = json!({"payload": "12345678901", "priority": "H", "queue": [{"id": "a"}, {"id": "b"}, {"id": "c"}]});
    client.call(&post("/trans", &body)).assert_errors(
        400,
        &["too many queues: maximum 2", "payload greater than 10"],
    );
    let body =
        json!({"payload": "1234567890", "priority": "H", "queue": [{"id": "a"}, {"id": "b"}]});
    client.call(&post("/trans", &body)).assert_json_head(200);
}

#[test]
fn an_id_longer_than_max_id_is_refused() {
    let server = Settings::new().set("limits.max_id", "16").start();
    let mut client = server.client();
    let (fits, long) = (Queue::named("x".repeat(16)), Queue::named("x".repeat(17)));
    client.push(&fits, "p");
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": long.id}]});
    client.call(&post("/trans", &push)).assert_some_error(400);
    client
        .call(&post(long.route("pop"), &json!({"timeout": 1})))
        .assert_some_error(400);
    assert_eq!(client.pop(&fits, &json!({})).data, ["p"]);
}

/// For the embedded store only: in Redis it is its memory that bounds what is kept.
#[test]
fn transactions_over_the_limit_are_refused_until_there_is_room() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_transactions", 3)
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.push(&q, "p"));
    }
    let refused = client.call(&post("/trans", &push));
    assert!(
        refused.status == 503 || refused.status == 400,
        "{refused:?}"
    );
    refused.assert_some_error(refused.status);
    client
        .call(&crate::support::delete(format!("/trans/{}", ids[0])))
        .assert_json_head(200);
    client.call(&post("/trans", &push)).assert_json_head(200);
    assert_eq!(client.pop(&q, &json!({})).data.len(), 3);
}

#[test]
fn a_connection_over_the_limit_is_told_and_closed() {
    let server = Settings::new()
        .set("server.workers", 1)
        .set("limits.max_connections", 2)
        .start();
    let mut within = server.clients(2);
    for client in &mut within {
        client.assert_alive();
    }
    let mut over = server.client();
    // It may be told before it says anything; then what it says goes nowhere.
    let _ = over.try_send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(over.receive().status, 503);
    over.assert_closed();
    for client in &mut within {
        client.assert_alive();
    }
    drop(within.pop());
    crate::support::eventually("a place is free", || {
        let Ok(mut client) = Client::try_connect(server.addr) else {
            return false;
        };
        client
            .try_send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .is_ok_and(|()| {
                client
                    .try_receive(Duration::from_secs(5))
                    .is_ok_and(|response| response.status == 200)
            })
    });
}

#[test]
fn the_body_of_a_waiting_pop_is_not_held_against_others() {
    let server = Settings::new()
        .set("limits.max_payload", 100)
        .set("limits.max_body", "128KiB")
        .set("limits.max_body_memory", "128KiB")
        .start();
    let (mut waiting, mut client) = (server.client(), server.client());
    let q = Queue::fresh();
    let body = json!({"timeout": 60, "filler": "x".repeat(100 * 1024)});
    waiting.send(&post(q.route("pop"), &body));
    client.await_blocked(&q, true);
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}], "filler": "x".repeat(90 * 1024)});
    client.call(&post("/trans", &push)).assert_json_head(200);
    assert_eq!(
        crate::support::Popped::parse(&waiting.receive()).data,
        ["p"]
    );
}
