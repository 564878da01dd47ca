//! `GET /queue/:id`.

use serde_json::{Value, json};

use crate::support::{Popped, Queue, get, now_s, post, shared};

#[test]
fn an_unknown_queue_is_an_empty_one() {
    let shared = shared();
    let info = shared.client().queue_info(&Queue::fresh());
    assert_eq!(info["ok"], json!(true));
    assert!(info["host"].is_string(), "{info}");
    assert_eq!(info["blocked"], json!(false));
    assert_eq!(info["size"], json!(0));
    assert_eq!(info["high"], json!([]));
    assert_eq!(info["low"], json!([]));
    assert_eq!(info.get("lastPop"), None);
}

#[test]
fn messages_are_listed_by_priority_in_order_with_their_addresses() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let mut ids = Vec::new();
    for priority in ["L", "H", "L", "H"] {
        ids.push(client.push_with(&q, "p", json!({"priority": priority})));
    }
    let request = get(q.path()).header("Host", "box.example:81");
    let info = client.call(&request).json();
    let entry = |id: &String| -> Value {
        json!({"id": id, "href": format!("http://box.example:81/trans/{id}?queues=All")})
    };
    assert_eq!(info["size"], json!(4));
    assert_eq!(info["high"], json!([entry(&ids[1]), entry(&ids[3])]));
    assert_eq!(info["low"], json!([entry(&ids[0]), entry(&ids[2])]));
}

#[test]
fn the_address_of_a_message_leads_to_it() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "here");
    let info = client.queue_info(&q);
    let href = info["high"][0]["href"].as_str().unwrap();
    let path = href
        .strip_prefix(&format!("http://{}", client.host()))
        .unwrap()
        .to_owned();
    let shown = client.call(&get(path)).json();
    assert_eq!(shown["payload"], json!("here"));
    assert_eq!(shown["queues"][&q.id]["state"], json!("Pending"));
}

#[test]
fn the_last_pop_is_shown_after_one_as_a_string_of_seconds() {
    let shared = shared();
    let mut client = shared.client();
    for route in ["pop", "poprel"] {
        let q = Queue::fresh();
        client.push(&q, "p");
        assert_eq!(client.queue_info(&q).get("lastPop"), None);
        client
            .call(&post(q.route(route), &json!({})))
            .assert_json_head(200);
        let info = client.queue_info(&q);
        let last: u64 = info["lastPop"].as_str().unwrap().parse().unwrap();
        assert!(last.abs_diff(now_s()) <= 5, "{last}");
    }
}

#[test]
fn blocked_tells_of_a_live_waiter() {
    let shared = shared();
    let (mut waiting, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    assert_eq!(client.queue_info(&q)["blocked"], json!(false));
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
    client.await_blocked(&q, false);
}

#[test]
fn blocked_ends_with_the_timeout_of_the_waiter() {
    let shared = shared();
    let (mut waiting, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.send(&post(q.route("pop"), &json!({"timeout": 1})));
    client.await_blocked(&q, true);
    assert!(Popped::parse(&waiting.receive()).is_empty());
    client.await_blocked(&q, false);
}

#[test]
fn blocked_ends_when_the_waiter_goes_away() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let mut waiting = shared.client();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    drop(waiting);
    client.await_blocked(&q, false);
    let mut waiting = shared.client();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    waiting.reset();
    client.await_blocked(&q, false);
}
