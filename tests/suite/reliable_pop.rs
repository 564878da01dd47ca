//! `POST /queue/:id/poprel`: handed out, blocked until acked, and back when nobody does.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Popped, Queue, Settings, at_least, pause, post, shared, soon};

#[test]
fn a_reliable_pop_answers_as_a_pop_does_and_counts_deliveries() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p1");
    client.call(&post(q.route("poprel"), &json!({}))).assert_is(
        200,
        &format!(r#"{{"ok":true,"data":["p1"],"transactions":["{id}"],"deliveries":[1]}}"#),
    );
}

#[test]
fn an_empty_queue_answers_empty_lists_after_the_timeout() {
    let shared = shared();
    let mut client = shared.client();
    let started = Instant::now();
    client
        .call(&post(
            Queue::fresh().route("poprel"),
            &json!({"timeout": 1}),
        ))
        .assert_is(
            200,
            r#"{"ok":true,"data":[],"transactions":[],"deliveries":[]}"#,
        );
    at_least(started, Duration::from_secs(1));
}

#[test]
fn high_comes_before_low_and_max_is_kept() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for (priority, payload) in [("L", "l1"), ("H", "h1"), ("L", "l2"), ("H", "h2")] {
        client.push_with(&q, payload, json!({"priority": priority}));
    }
    assert_eq!(
        client.poprel(&q, &json!({"max": 3})).data,
        ["h1", "h2", "l1"]
    );
    assert_eq!(client.poprel(&q, &json!({"max": 3})).data, ["l2"]);
}

#[test]
fn what_is_blocked_goes_to_nobody_else() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(client.state(&id), json!({&q.id: "Blocked"}));
    assert!(client.peek(&q).is_empty());
    assert!(client.poprel(&q, &json!({"timeout": 1})).is_empty());
    assert!(client.pop(&q, &json!({"timeout": 1})).is_empty());
}

#[test]
fn what_is_not_acked_in_time_is_pending_again() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let started = Instant::now();
    client.poprel(&q, &json!({"timeoutACK": 2}));
    client.await_state(&id, &q, "Pending");
    at_least(started, Duration::from_secs(2));
    let again = client.pop(&q, &json!({"timeout": 1}));
    assert_eq!(again.data, ["p"]);
    assert_eq!(again.transactions, [id]);
}

#[test]
fn a_lapse_wakes_a_waiting_pop() {
    let shared = shared();
    let (mut holder, mut waiting) = (shared.client(), shared.client());
    let q = Queue::fresh();
    holder.push(&q, "p");
    let started = Instant::now();
    holder.poprel(&q, &json!({"timeoutACK": 1}));
    waiting.start_pop(&q);
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
    at_least(started, Duration::from_secs(1));
    soon(started);
}

#[test]
fn what_lapses_is_at_the_head_again() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for payload in ["a", "b", "c"] {
        client.push(&q, payload);
    }
    assert_eq!(
        client.poprel(&q, &json!({"max": 1, "timeoutACK": 1})).data,
        ["a"]
    );
    assert_eq!(client.peek(&q).data, ["b", "c"]);
    client.push(&q, "d");
    client.await_pending(&q, &["a", "b", "c", "d"]);
}

#[test]
fn those_that_lapse_together_keep_their_order() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for (priority, payload) in [
        ("H", "h1"),
        ("H", "h2"),
        ("H", "h3"),
        ("L", "l1"),
        ("L", "l2"),
        ("L", "l3"),
    ] {
        client.push_with(&q, payload, json!({"priority": priority}));
    }
    let popped = client.poprel(&q, &json!({"max": 5, "timeoutACK": 1}));
    assert_eq!(popped.data, ["h1", "h2", "h3", "l1", "l2"]);
    client.await_pending(&q, &["h1", "h2", "h3", "l1", "l2", "l3"]);
    let again = client.pop(&q, &json!({}));
    assert_eq!(again.data, ["h1", "h2", "h3", "l1", "l2", "l3"]);
    assert_eq!(again.transactions[..5], popped.transactions[..]);
}

#[test]
fn a_lapse_may_happen_again_and_again() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for payload in ["a", "b", "c"] {
        client.push(&q, payload);
    }
    for delivery in 1..=3 {
        let popped = client.poprel(&q, &json!({"timeoutACK": 0.3}));
        assert_eq!(popped.data, ["a", "b", "c"]);
        assert_eq!(popped.deliveries, [delivery; 3]);
        client.await_pending(&q, &["a", "b", "c"]);
    }
}

#[test]
fn a_client_that_left_before_it_was_answered_got_no_delivery() {
    let shared = shared();
    let mut client = shared.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let mut waiting = shared.client();
        waiting.send(&post(q.route("poprel"), &json!({"timeout": 60})));
        client.await_blocked(&q, true);
        waiting.leave(reset);
        client.push(&q, "p");
        client.await_pending(&q, &["p"]);
        assert_eq!(client.poprel(&q, &json!({})).deliveries, [1]);
    }
}

#[test]
fn a_delivery_by_a_plain_pop_is_not_told_of() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.poprel(&q, &json!({"timeoutACK": 0.3}));
    client.await_pending(&q, &["p"]);
    let expected = format!(r#"{{"ok":true,"data":["p"],"transactions":["{id}"]}}"#);
    client
        .call(&crate::support::get(q.route("peek")))
        .assert_is(200, &expected);
    client
        .call(&post(q.route("pop"), &json!({})))
        .assert_is(200, &expected);
}

#[test]
fn the_ack_timeout_may_have_a_fraction() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    let started = Instant::now();
    client.poprel(&q, &json!({"timeoutACK": 1.5}));
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["p"]);
    at_least(started, Duration::from_millis(1500));
    soon(started);
}

#[test]
fn an_ack_timeout_of_zero_or_less_is_one_second() {
    let shared = shared();
    let mut client = shared.client();
    for timeout in [json!(0), json!(-5)] {
        let q = Queue::fresh();
        client.push(&q, "p");
        let started = Instant::now();
        client.poprel(&q, &json!({"timeoutACK": timeout}));
        assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["p"]);
        at_least(started, Duration::from_secs(1));
        soon(started);
    }
}

#[test]
fn the_ack_timeout_in_the_body_wins_over_the_query() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    let started = Instant::now();
    let request = post(
        format!("{}?timeoutACK=200", q.route("poprel")),
        &json!({"timeoutACK": 1}),
    );
    assert_eq!(Popped::parse(&client.call(&request)).data, ["p"]);
    let request = post(
        format!("{}?timeoutACK=1", q.route("poprel")),
        &json!({"timeout": 60}),
    );
    assert_eq!(Popped::parse(&client.call(&request)).data, ["p"]);
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["p"]);
    at_least(started, Duration::from_secs(2));
    soon(started);
}

#[test]
fn the_default_ack_timeout_is_the_operators() {
    let server = Settings::new().set("limits.ack_timeout", "1s").start();
    let mut client = server.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    let started = Instant::now();
    client.poprel(&q, &json!({}));
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["p"]);
    at_least(started, Duration::from_secs(1));
    soon(started);
}

#[test]
fn an_acked_message_does_not_come_back() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let (a, b) = (client.push(&q, "a"), client.push(&q, "b"));
    client.poprel(&q, &json!({"timeoutACK": 1}));
    client.ack(&q, &[&a]);
    assert_eq!(client.pop(&q, &json!({"timeout": 60})).transactions, [b]);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn an_ack_after_the_lapse_still_counts() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.poprel(&q, &json!({"timeoutACK": 0.5}));
    client.await_pending(&q, &["p"]);
    assert_eq!(client.ack(&q, &[&id]), json!([{"err": null, "data": id}]));
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.state(&id), json!({&q.id: "Delivered"}));
}

#[test]
fn a_client_that_leaves_after_its_answer_keeps_its_lease() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    shared.client().poprel(&q, &json!({"timeoutACK": 100}));
    pause();
    client.await_state(&id, &q, "Blocked");
    assert_eq!(client.ack(&q, &[&id]), json!([{"err": null, "data": id}]));
}

#[test]
fn one_queue_blocked_leaves_the_others_pending() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b], "p");
    client.poprel(&a, &json!({"timeoutACK": 100}));
    assert_eq!(
        client.state(&id),
        json!({&a.id: "Blocked", &b.id: "Pending"})
    );
    assert_eq!(client.pop(&b, &json!({})).data, ["p"]);
}
