//! `POST /queue/:id/ack`.

use serde_json::{Value, json};

use crate::support::{Queue, Request, delete, now_s, post, shared, unique};

const UNKNOWN: &str = "11111111-2222-4333-8444-777777777777";

fn refused(id: &str, queue: &Queue) -> Value {
    json!({"err": format!("{id}/{} does not exist", queue.id), "data": id})
}

fn taken(id: &str) -> Value {
    json!({"err": null, "data": id})
}

#[test]
fn an_ack_of_a_blocked_message_delivers_it() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.poprel(&q, &json!({"timeoutACK": 100}));
    client
        .call(&post(q.route("ack"), &json!({"transactions": [id]})))
        .assert_is(200, &format!(r#"[{{"err":null,"data":"{id}"}}]"#));
    assert_eq!(client.state(&id), json!({&q.id: "Delivered"}));
}

#[test]
fn an_ack_of_a_pending_message_delivers_it_and_takes_it_from_the_queue() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let (a, b) = (client.push(&q, "a"), client.push(&q, "b"));
    assert_eq!(client.ack(&q, &[&a]), json!([taken(&a)]));
    assert_eq!(client.state(&a), json!({&q.id: "Delivered"}));
    assert_eq!(client.peek(&q).transactions, [b]);
}

#[test]
fn an_ack_of_an_unknown_message_says_so() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client
        .call(&post(q.route("ack"), &json!({"transactions": [UNKNOWN]})))
        .assert_is(
            200,
            &format!(
                r#"[{{"err":"{UNKNOWN}/{} does not exist","data":"{UNKNOWN}"}}]"#,
                q.id
            ),
        );
}

#[test]
fn the_results_are_in_the_order_of_the_request() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let (a, b, c) = (
        client.push(&q, "a"),
        client.push(&q, "b"),
        client.push(&q, "c"),
    );
    client.poprel(&q, &json!({"max": 2, "timeoutACK": 100}));
    let results = client.ack(&q, &[&c, "no-such", &a, UNKNOWN, &b]);
    assert_eq!(
        results,
        json!([
            taken(&c),
            refused("no-such", &q),
            taken(&a),
            refused(UNKNOWN, &q),
            taken(&b)
        ])
    );
    assert!(client.peek(&q).is_empty());
}

#[test]
fn an_ack_of_a_delivered_message_says_that_it_does_not_exist_every_time() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.pop(&q, &json!({}));
    client.await_state(&id, &q, "Delivered");
    for _ in 0..2 {
        assert_eq!(client.ack(&q, &[&id]), json!([refused(&id, &q)]));
    }
    let id = client.push(&q, "p");
    client.ack(&q, &[&id]);
    for _ in 0..2 {
        assert_eq!(client.ack(&q, &[&id]), json!([refused(&id, &q)]));
    }
}

#[test]
fn an_ack_counts_for_its_own_queue_only() {
    let shared = shared();
    let mut client = shared.client();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    let id = client.push(&q, "p");
    assert_eq!(client.ack(&other, &[&id]), json!([refused(&id, &other)]));
    assert_eq!(client.peek(&q).data, ["p"]);
    let id = client.push_to_all(&[&q, &other], "both");
    client.ack(&other, &[&id]);
    assert_eq!(
        client.state(&id),
        json!({&q.id: "Pending", &other.id: "Delivered"})
    );
}

#[test]
fn an_ack_of_a_deleted_or_expired_message_says_that_it_does_not_exist() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let deleted = client.push(&q, "deleted");
    client
        .call(&delete(format!("/trans/{deleted}")))
        .assert_json_head(200);
    let expired = client.push_with(&q, "expired", json!({"expirationDate": now_s() - 10}));
    assert_eq!(
        client.ack(&q, &[&deleted, &expired]),
        json!([refused(&deleted, &q), refused(&expired, &q)])
    );
}

#[test]
fn an_empty_list_is_answered_with_an_empty_list() {
    let response = shared().client().call(&post(
        Queue::fresh().route("ack"),
        &json!({"transactions": []}),
    ));
    response.assert_is(200, "[]");
}

#[test]
fn a_missing_list_or_one_that_is_none_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let target = Queue::fresh().route("ack");
    client
        .call(&post(&target, &json!({})))
        .assert_is(400, r#"{"errors":["missing transaction"]}"#);
    for list in [
        json!("x"),
        json!({"a": 1}),
        json!(5),
        json!(true),
        json!(null),
    ] {
        client
            .call(&post(&target, &json!({"transactions": list})))
            .assert_errors(400, &["missing transaction"]);
    }
    client
        .call(&Request::new("POST", &target))
        .assert_errors(400, &["missing transaction"]);
}

#[test]
fn many_are_acked_at_once() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let ids = client.push_many(&q, &payloads);
    client.poprel(&q, &json!({"timeoutACK": 100}));
    let results = client.ack(&q, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let expected: Vec<Value> = ids.iter().map(|id| taken(id)).collect();
    assert_eq!(results, Value::Array(expected));
}

#[test]
fn a_tenants_ack_names_the_queue_as_its_client_does() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::of(&unique("org"), "a/b c");
    let id = client.push(&q, "p");
    client.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(
        client.ack(&q, &[&id, UNKNOWN]),
        json!([taken(&id), refused(UNKNOWN, &q)])
    );
}
