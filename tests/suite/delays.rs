//! `POST /trans?delay=N`: stored at once, pushed later.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Popped, Queue, at_least, delete, now_s, pause, post, shared, soon};

fn push_delayed(client: &mut Client, queue: &Queue, payload: &str, delay: &str) -> String {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    let response = client.call(&post(format!("{}?delay={delay}", queue.push_path()), &body));
    response.assert_json_head(200);
    response.json()["data"].as_str().unwrap().to_owned()
}

#[test]
fn a_delayed_push_is_answered_at_once_with_its_real_id() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let started = Instant::now();
    let id = push_delayed(&mut client, &q, "later", "1000");
    soon(started);
    assert_eq!(client.transaction(&id)["payload"], json!("later"));
}

#[test]
fn a_delayed_message_is_in_its_queue_only_when_due() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let started = Instant::now();
    let id = push_delayed(&mut client, &q, "later", "2");
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.queue_info(&q)["size"], json!(0));
    let popped = client.pop(&q, &json!({"timeout": 60}));
    assert_eq!(popped.transactions, [id]);
    at_least(started, Duration::from_secs(2));
    soon(started);
}

#[test]
fn a_delayed_message_wakes_a_pop_on_another_connection() {
    let shared = shared();
    let q = Queue::fresh();
    let mut waiting = shared.clients(4);
    for client in &mut waiting {
        client.start_pop(&q);
    }
    let mut pusher = shared.client();
    let started = Instant::now();
    for number in 0..4 {
        push_delayed(&mut pusher, &q, &format!("later {number}"), "1");
    }
    for client in &mut waiting {
        assert_eq!(Popped::parse(&client.receive()).data.len(), 1);
    }
    soon(started);
}

#[test]
fn a_delay_may_have_a_fraction() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let started = Instant::now();
    push_delayed(&mut client, &q, "later", "0.5");
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["later"]);
    at_least(started, Duration::from_millis(500));
    soon(started);
}

#[test]
fn a_delay_of_zero_pushes_at_once() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    push_delayed(&mut client, &q, "now", "0");
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["now"]);
}

#[test]
fn a_delay_in_the_body_wins_over_the_query() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let started = Instant::now();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}], "delay": 1});
    client
        .call(&post("/trans?delay=1000", &body))
        .assert_json_head(200);
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["p"]);
    at_least(started, Duration::from_secs(1));
}

#[test]
fn messages_become_due_in_the_order_of_their_times() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    push_delayed(&mut client, &q, "third", "1.8");
    push_delayed(&mut client, &q, "first", "0.6");
    push_delayed(&mut client, &q, "second", "1.2");
    for expected in ["first", "second", "third"] {
        assert_eq!(
            client.pop(&q, &json!({"timeout": 60, "max": 1})).data,
            [expected]
        );
    }
}

#[test]
fn a_bad_delay_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    for delay in ["-1", "abc", "-0.5", "NaN", "1e999"] {
        client
            .call(&post(format!("/trans?delay={delay}"), &body))
            .assert_is(400, r#"{"errors":["invalid delay"]}"#);
    }
    let in_body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}], "delay": "abc"});
    client
        .call(&post("/trans", &in_body))
        .assert_errors(400, &["invalid delay"]);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn a_delay_above_the_longest_allowed_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let body = json!({"payload": "p", "priority": "H", "queue": []});
    let month_s = 30 * 24 * 3600;
    client
        .call(&post(format!("/trans?delay={}", month_s + 1), &body))
        .assert_errors(400, &["invalid delay"]);
    client
        .call(&post(format!("/trans?delay={month_s}"), &body))
        .assert_json_head(200);
}

#[test]
fn a_delayed_push_is_validated_first() {
    let response = shared().client().call(&post("/trans?delay=1", &json!({})));
    response.assert_errors(
        400,
        &["undefined priority", "undefined queue", "undefined payload"],
    );
}

#[test]
fn the_default_expiration_counts_from_when_the_message_is_due() {
    let shared = shared();
    let mut client = shared.client();
    let id = push_delayed(&mut client, &Queue::fresh(), "later", "1000");
    let date: u64 = match &client.transaction(&id)["expirationDate"] {
        Value::String(text) => text.parse().unwrap(),
        other => panic!("{other}"),
    };
    assert!(date.abs_diff(now_s() + 1000 + 3600) <= 5, "{date}");
}

#[test]
fn a_message_deleted_before_it_is_due_never_comes() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = push_delayed(&mut client, &q, "never", "1");
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    assert!(client.pop(&q, &json!({"timeout": 2})).is_empty());
}

#[test]
fn a_delayed_transaction_reaches_every_queue_of_a_tenant() {
    let shared = shared();
    let mut client = shared.client();
    let tenant = crate::support::unique("org");
    let (a, b) = (Queue::of(&tenant, "a"), Queue::of(&tenant, "b"));
    let body = json!({"payload": "p", "priority": "L", "queue": [{"id": "a"}, {"id": "b"}]});
    client
        .call(&post(format!("/org/{tenant}/trans?delay=0.5"), &body))
        .assert_json_head(200);
    for q in [&a, &b] {
        assert_eq!(client.pop(q, &json!({"timeout": 60})).data, ["p"]);
    }
}

#[test]
fn a_delayed_message_does_not_hold_back_one_pushed_after_it() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    push_delayed(&mut client, &q, "later", "1000");
    client.push(&q, "now");
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["now"]);
    pause();
    assert!(client.peek(&q).is_empty());
}
