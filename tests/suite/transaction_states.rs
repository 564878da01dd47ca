//! `GET /trans/:id/state`, of one state, and in summary.

use serde_json::{Value, json};

use crate::support::{Client, Queue, get, shared};

const UNKNOWN: &str = "11111111-2222-4333-8444-666666666666";

/// A transaction in three queues, one of each state, in the order Pending, Blocked, Delivered.
fn in_three_states(client: &mut Client) -> (String, [Queue; 3]) {
    let queues = [Queue::fresh(), Queue::fresh(), Queue::fresh()];
    let id = client.push_to_all(&queues.iter().collect::<Vec<_>>(), "p");
    client.poprel(&queues[1], &json!({"timeoutACK": 100}));
    client.pop(&queues[2], &json!({}));
    client.await_state(&id, &queues[2], "Delivered");
    (id, queues)
}

#[test]
fn a_new_transaction_is_pending() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.call(&get(format!("/trans/{id}/state"))).assert_is(
        200,
        &format!(r#"{{"ok":true,"data":{{"{}":"Pending"}}}}"#, q.id),
    );
}

#[test]
fn all_is_the_same_as_no_state_named() {
    let shared = shared();
    let mut client = shared.client();
    let (id, [pending, blocked, delivered]) = in_three_states(&mut client);
    let expected = json!({"ok": true, "data": {&pending.id: "Pending", &blocked.id: "Blocked", &delivered.id: "Delivered"}});
    for target in [
        format!("/trans/{id}/state"),
        format!("/trans/{id}/state/All"),
    ] {
        client.call(&get(target)).assert_says(200, &expected);
    }
}

#[test]
fn one_state_shows_only_its_queues() {
    let shared = shared();
    let mut client = shared.client();
    let (id, [pending, blocked, delivered]) = in_three_states(&mut client);
    for (state, data) in [
        ("Pending", json!({&pending.id: "Pending"})),
        ("Blocked", json!({&blocked.id: "Blocked"})),
        ("Delivered", json!({&delivered.id: "Delivered"})),
        ("Expired", json!({})),
    ] {
        client
            .call(&get(format!("/trans/{id}/state/{state}")))
            .assert_says(200, &json!({"ok": true, "data": data}));
    }
}

#[test]
fn the_state_may_be_a_query_parameter() {
    let shared = shared();
    let mut client = shared.client();
    let (id, [_, blocked, _]) = in_three_states(&mut client);
    client
        .call(&get(format!("/trans/{id}/state?state=Blocked")))
        .assert_says(200, &json!({"ok": true, "data": {&blocked.id: "Blocked"}}));
}

#[test]
fn the_summary_counts_the_states_present() {
    let shared = shared();
    let mut client = shared.client();
    let (id, _) = in_three_states(&mut client);
    let expected = json!({"totalNotifications": 3, "Pending": 1, "Blocked": 1, "Delivered": 1});
    client
        .call(&get(format!("/trans/{id}/state/summary")))
        .assert_says(200, &json!({"ok": true, "data": expected}));
    let id = client.push(&Queue::fresh(), "p");
    client
        .call(&get(format!("/trans/{id}/state/summary")))
        .assert_is(
            200,
            r#"{"ok":true,"data":{"totalNotifications":1,"Pending":1}}"#,
        );
}

#[test]
fn an_unknown_transaction_has_no_states() {
    let shared = shared();
    let mut client = shared.client();
    client
        .call(&get(format!("/trans/{UNKNOWN}/state")))
        .assert_is(200, r#"{"ok":true,"data":{}}"#);
    client
        .call(&get(format!("/trans/{UNKNOWN}/state/summary")))
        .assert_is(200, r#"{"ok":true,"data":{"totalNotifications":0}}"#);
}

#[test]
fn a_state_that_does_not_exist_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push(&Queue::fresh(), "p");
    client
        .call(&get(format!("/trans/{id}/state/Sideways")))
        .assert_errors(400, &["Wrong State:Sideways"]);
}

#[test]
fn a_message_goes_from_pending_over_blocked_to_delivered() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let expect = |state: &str| -> Value { json!({&q.id: state}) };
    assert_eq!(client.state(&id), expect("Pending"));
    client.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(client.state(&id), expect("Blocked"));
    client.ack(&q, &[&id]);
    assert_eq!(client.state(&id), expect("Delivered"));
}

#[test]
fn a_plain_pop_leads_from_pending_to_delivered() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.pop(&q, &json!({}));
    client.await_state(&id, &q, "Delivered");
}

#[test]
fn each_queue_has_a_state_of_its_own() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b], "p");
    client.pop(&a, &json!({}));
    client.await_state(&id, &a, "Delivered");
    assert_eq!(client.state(&id)[&b.id], json!("Pending"));
    assert_eq!(client.peek(&b).data, ["p"]);
}
