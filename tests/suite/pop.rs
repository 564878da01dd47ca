//! `POST /queue/:id/pop`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Popped, Queue, Request, at_least, get, post, shared, soon};

const EMPTY: &str = r#"{"ok":true,"data":[],"transactions":[]}"#;

#[test]
fn a_pop_answers_payloads_and_ids() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p1");
    client.call(&post(q.route("pop"), &json!({}))).assert_is(
        200,
        &format!(r#"{{"ok":true,"data":["p1"],"transactions":["{id}"]}}"#),
    );
}

#[test]
fn a_pop_needs_no_body() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "p1");
    let popped = Popped::parse(&client.call(&Request::new("POST", q.route("pop"))));
    assert_eq!(popped.data, ["p1"]);
}

#[test]
fn high_comes_before_low_and_each_first_in_first_out() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let mut ids = Vec::new();
    for (priority, payload) in [
        ("L", "l1"),
        ("H", "h1"),
        ("L", "l2"),
        ("H", "h2"),
        ("L", "l3"),
        ("H", "h3"),
    ] {
        ids.push(client.push_with(&q, payload, json!({"priority": priority})));
    }
    let popped = client.pop(&q, &json!({}));
    assert_eq!(popped.data, ["h1", "h2", "h3", "l1", "l2", "l3"]);
    let expected: Vec<&String> = [1, 3, 5, 0, 2, 4]
        .iter()
        .map(|&place| &ids[place])
        .collect();
    assert_eq!(popped.transactions.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_partial_pop_takes_high_first_and_loses_no_low_one() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for number in 0..3 {
        client.push_with(&q, &format!("l{number}"), json!({"priority": "L"}));
        client.push(&q, &format!("h{number}"));
    }
    assert_eq!(client.pop(&q, &json!({"max": 2})).data, ["h0", "h1"]);
    assert_eq!(client.pop(&q, &json!({"max": 2})).data, ["h2", "l0"]);
    assert_eq!(client.pop(&q, &json!({"max": 2})).data, ["l1", "l2"]);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn an_empty_queue_answers_empty_lists_after_the_timeout() {
    let shared = shared();
    let mut client = shared.client();
    let started = Instant::now();
    client
        .call(&post(Queue::fresh().route("pop"), &json!({"timeout": 2})))
        .assert_is(200, EMPTY);
    at_least(started, Duration::from_secs(2));
}

#[test]
fn a_timeout_of_zero_is_one_second() {
    let shared = shared();
    let mut client = shared.client();
    let started = Instant::now();
    assert!(
        client
            .pop(&Queue::fresh(), &json!({"timeout": 0}))
            .is_empty()
    );
    at_least(started, Duration::from_secs(1));
    let taken = started.elapsed();
    assert!(
        taken < Duration::from_millis(4500),
        "{taken:?}: the default was used"
    );
}

#[test]
fn no_timeout_and_one_that_is_no_number_are_five_seconds() {
    let shared = shared();
    let mut clients = shared.clients(3);
    let started = Instant::now();
    let parameters = [
        json!({}),
        json!({"timeout": "abc"}),
        json!({"timeout": null}),
    ];
    for (client, parameters) in clients.iter_mut().zip(&parameters) {
        client.send(&post(Queue::fresh().route("pop"), parameters));
    }
    for client in &mut clients {
        client.receive().assert_is(200, EMPTY);
        at_least(started, Duration::from_secs(5));
    }
}

#[test]
fn a_timeout_is_read_as_parse_int_does() {
    let shared = shared();
    let mut clients = shared.clients(4);
    let started = Instant::now();
    let parameters = [
        json!({"timeout": "1abc"}),
        json!({"timeout": " 1"}),
        json!({"timeout": 1.9}),
        json!({"timeout": "0.5"}),
    ];
    for (client, parameters) in clients.iter_mut().zip(&parameters) {
        client.send(&post(Queue::fresh().route("pop"), parameters));
    }
    for client in &mut clients {
        client.receive().assert_is(200, EMPTY);
        at_least(started, Duration::from_secs(1));
    }
    let taken = started.elapsed();
    assert!(
        taken < Duration::from_millis(4500),
        "{taken:?}: the default was used"
    );
}

#[test]
fn a_negative_timeout_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "stays");
    for timeout in [json!(-1), json!("-1"), json!(-300)] {
        for route in ["pop", "poprel"] {
            client
                .call(&post(q.route(route), &json!({"timeout": timeout})))
                .assert_some_error(400);
        }
    }
    assert_eq!(client.peek(&q).data, ["stays"]);
}

#[test]
fn a_message_in_the_queue_is_answered_at_once_whatever_the_timeout() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "here");
    let started = Instant::now();
    // Ten were asked for: what there is, is enough.
    let popped = client.pop(&q, &json!({"timeout": 60, "max": 10}));
    assert_eq!(popped.data, ["here"]);
    soon(started);
}

#[test]
fn max_limits_the_answer_and_the_rest_stays() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for payload in ["a", "b", "c", "d", "e", "f", "g"] {
        client.push(&q, payload);
    }
    assert_eq!(client.pop(&q, &json!({"max": 3})).data, ["a", "b", "c"]);
    // As parseInt reads it.
    assert_eq!(client.pop(&q, &json!({"max": "2.7"})).data, ["d", "e"]);
    assert_eq!(client.pop(&q, &json!({"max": 1.9})).data, ["f"]);
    assert_eq!(client.pop(&q, &json!({"max": "5abc"})).data, ["g"]);
}

#[test]
fn a_max_below_one_is_one() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for payload in ["a", "b", "c", "d"] {
        client.push(&q, payload);
    }
    assert_eq!(client.pop(&q, &json!({"max": 0})).data, ["a"]);
    assert_eq!(client.pop(&q, &json!({"max": -7})).data, ["b"]);
    assert_eq!(client.pop(&q, &json!({"max": "0.9"})).data, ["c"]);
}

#[test]
fn without_a_max_and_with_one_that_is_no_number_it_is_a_thousand() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..2001).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    assert_eq!(client.pop(&q, &json!({})).data, payloads[..1000]);
    assert_eq!(
        client.pop(&q, &json!({"max": "abc"})).data,
        payloads[1000..2000]
    );
    assert_eq!(client.pop(&q, &json!({})).data, payloads[2000..]);
}

#[test]
fn parameters_in_the_body_win_over_the_query() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for payload in ["a", "b", "c", "d"] {
        client.push(&q, payload);
    }
    let route = q.route("pop");
    let popped = Popped::parse(&client.call(&post(format!("{route}?max=1"), &json!({"max": 2}))));
    assert_eq!(popped.data, ["a", "b"]);
    let popped = Popped::parse(&client.call(&post(format!("{route}?max=1"), &json!({}))));
    assert_eq!(popped.data, ["c"]);
    client.pop(&q, &json!({}));
    let started = Instant::now();
    client
        .call(&post(format!("{route}?timeout=60"), &json!({"timeout": 1})))
        .assert_is(200, EMPTY);
    soon(started);
}

#[test]
fn a_popped_message_is_gone() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    client.pop(&q, &json!({}));
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.queue_info(&q)["size"], json!(0));
    assert!(client.pop(&q, &json!({"timeout": 1})).is_empty());
}

#[test]
fn every_character_comes_back_as_it_was_pushed() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let controls: String = (0..0x20_u8).map(char::from).collect();
    for payload in [
        "\"quoted\" \\backslash\\ /slash/",
        "line\r\nline\ttab",
        controls.as_str(),
        "\u{7f}\u{80}\u{a0}\u{2028}\u{2029}\u{fffd}\u{ffff}",
        "😀 漢字 ключ é e\u{301}",
        "null",
        "<b>&amp;</b>",
        " ",
    ] {
        let id = client.push(&q, payload);
        assert_eq!(client.peek(&q).data, [payload]);
        assert_eq!(client.transaction(&id)["payload"], json!(payload));
        let popped = client.pop(&q, &json!({}));
        assert_eq!(popped.data, [payload]);
        assert_eq!(popped.transactions, [id]);
    }
}

#[test]
fn get_of_pop_is_not_allowed() {
    let response = shared().client().call(&get(Queue::fresh().route("pop")));
    assert_eq!(response.status, 405, "{response:?}");
    assert!(response.lists("allow", "POST"), "{response:?}");
}
