//! `Idempotency-Key`: a push that is repeated is one push.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Durability, Layout, Queue, Request, Settings, at_least, delete, eventually, post, put,
    shared, unique,
};

/// A push to one queue that has a key.
fn keyed(queue: &Queue, payload: &str, key: &str) -> Request {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    post(queue.push_path(), &body).header("Idempotency-Key", key)
}

/// Pushes, and gets the id.
#[track_caller]
fn push(client: &mut Client, request: &Request) -> String {
    let response = client.call(request);
    response.assert_json_head(200);
    let answer = response.json();
    let id = answer["data"].as_str().expect("an id").to_owned();
    assert_eq!(answer, json!({"ok": true, "data": id}));
    id
}

const OTHER_PUSH: &str = "Idempotency-Key was used for another push";

#[test]
fn a_repeat_gets_the_id_of_the_first_and_no_second_message() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let request = keyed(&q, "p", &unique("key"));
    let id = push(&mut client, &request);
    for _ in 0..3 {
        assert_eq!(push(&mut client, &request), id);
    }
    // On whatever connection, through whatever agent.
    assert_eq!(push(&mut Client::connect(shared.addr), &request), id);
    assert_eq!(client.peek(&q).transactions, [id]);
}

#[test]
fn other_keys_and_none_are_other_pushes() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let key = unique("key");
    let mut ids = vec![push(&mut client, &keyed(&q, "p", &key))];
    ids.push(push(&mut client, &keyed(&q, "p", &key.to_uppercase())));
    ids.push(client.push(&q, "p"));
    ids.push(client.push(&q, "p"));
    assert_eq!(client.peek(&q).transactions, ids);
}

#[test]
fn what_became_of_the_message_does_not_matter() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let request = keyed(&q, "popped", &unique("key"));
    let id = push(&mut client, &request);
    assert_eq!(client.pop(&q, &json!({})).transactions, [id.as_str()]);
    assert_eq!(push(&mut client, &request), id);

    let request = keyed(&q, "acked", &unique("key"));
    let id = push(&mut client, &request);
    client.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(push(&mut client, &request), id);
    client.ack(&q, &[&id]);
    assert_eq!(push(&mut client, &request), id);
    assert_eq!(client.state(&id), json!({&q.id: "Delivered"}));

    let request = keyed(&q, "changed", &unique("key"));
    let id = push(&mut client, &request);
    client
        .call(&put(format!("/trans/{id}"), &json!({"payload": "new"})))
        .assert_json_head(200);
    assert_eq!(push(&mut client, &request), id);
    assert_eq!(client.pop(&q, &json!({})).data, ["new"]);

    let request = keyed(&q, "deleted", &unique("key"));
    let id = push(&mut client, &request);
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    assert_eq!(push(&mut client, &request), id);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn of_many_at_the_same_time_one_is_the_push() {
    let server = Settings::new().set("server.workers", 3).start();
    let q = Queue::fresh();
    for round in 0..10 {
        let request = keyed(&q, &round.to_string(), &unique("key"));
        // Half of them through the agent for pushes, if there is one.
        let mut clients = server.clients(8);
        clients.extend((0..8).map(|_| Client::connect(server.addr)));
        let barrier = Barrier::new(clients.len());
        let ids: Vec<String> = thread::scope(|scope| {
            let pushes: Vec<_> = clients
                .iter_mut()
                .map(|client| {
                    scope.spawn(|| {
                        barrier.wait();
                        push(client, &request)
                    })
                })
                .collect();
            pushes
                .into_iter()
                .map(|push| push.join().unwrap())
                .collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let popped = server.client().pop(&q, &json!({}));
        assert_eq!(popped.transactions, [ids[0].as_str()]);
    }
}

#[test]
fn a_key_belongs_to_one_push() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let key = unique("key");
    let id = push(&mut client, &keyed(&q, "p", &key));
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    for other in [
        keyed(&q, "other", &key),
        keyed(&Queue::fresh(), "p", &key),
        post("/trans?delay=1", &body).header("Idempotency-Key", &key),
    ] {
        client.call(&other).assert_errors(422, &[OTHER_PUSH]);
    }
    assert_eq!(push(&mut client, &keyed(&q, "p", &key)), id);
    assert_eq!(client.peek(&q).transactions, [id]);
}

#[test]
fn tenants_have_keys_of_their_own() {
    let shared = shared();
    let mut client = shared.client();
    let (name, key) = (unique("q"), unique("key"));
    let queues = [
        Queue::named(&name),
        Queue::of(&unique("org"), &name),
        Queue::of(&unique("org"), &name),
    ];
    let mut ids = Vec::new();
    for q in &queues {
        ids.push(push(&mut client, &keyed(q, &q.path(), &key)));
    }
    for (q, id) in queues.iter().zip(&ids) {
        assert_eq!(push(&mut client, &keyed(q, &q.path(), &key)), *id);
        assert_eq!(client.peek(q).transactions, [id.as_str()]);
    }
}

#[test]
fn a_delayed_push_is_one_push_before_it_is_there_and_after() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let request = post("/trans?delay=1", &body).header("Idempotency-Key", &unique("key"));
    let id = push(&mut client, &request);
    assert_eq!(push(&mut client, &request), id);
    let popped = client.pop(&q, &json!({"timeout": 60}));
    assert_eq!(popped.transactions, [id.as_str()]);
    assert_eq!(push(&mut client, &request), id);
    assert!(client.pop(&q, &json!({"timeout": 2})).is_empty());
}

#[test]
fn the_members_of_groups_are_those_of_the_first_time() {
    let shared = shared();
    let mut client = shared.client();
    let (first, later, group) = (Queue::fresh(), Queue::fresh(), unique("g"));
    let body = json!({"name": group, "queues": [first.id]});
    client.call(&post("/group", &body)).assert_json_head(200);
    let body = json!({"payload": "p", "priority": "H", "groups": [group]});
    let request = post("/trans", &body).header("Idempotency-Key", &unique("key"));
    let id = push(&mut client, &request);
    let change = json!({"queuesToAdd": [later.id]});
    client
        .call(&put(format!("/group/{group}"), &change))
        .assert_json_head(200);
    assert_eq!(push(&mut client, &request), id);
    assert_eq!(client.state(&id), json!({&first.id: "Pending"}));
    assert!(client.peek(&later).is_empty());
}

#[test]
fn a_push_that_was_refused_leaves_no_key() {
    let server = Settings::new().set("limits.max_queues", 2).start();
    let mut client = server.client();
    // Neither has too many members; both together have.
    let groups = [unique("g"), unique("g")];
    for group in &groups {
        let body = json!({"name": group, "queues": [unique("q"), unique("q")]});
        client.call(&post("/group", &body)).assert_json_head(200);
    }
    let key = unique("key");
    let body = json!({"payload": "p", "priority": "H", "groups": groups});
    let request = post("/trans", &body).header("Idempotency-Key", &key);
    client
        .call(&request)
        .assert_errors(400, &["too many queues: maximum 2"]);
    // Not even a push with other contents is kept from using it.
    let q = Queue::fresh();
    let id = push(&mut client, &keyed(&q, "p", &key));
    assert_eq!(client.peek(&q).transactions, [id]);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let long = "k".repeat(256);
    for key in ["", " ", "\u{e9}", "a\tb", &long] {
        client
            .call(&keyed(&q, "p", key))
            .assert_errors(400, &["invalid idempotency-key"]);
    }
    let twice = keyed(&q, "p", "k").header("idempotency-key", "k");
    client
        .call(&twice)
        .assert_errors(400, &["invalid idempotency-key"]);
    let nonsense = post(q.push_path(), &json!({})).header("Idempotency-Key", "");
    client.call(&nonsense).assert_errors(
        400,
        &[
            "undefined priority",
            "undefined queue",
            "undefined payload",
            "invalid idempotency-key",
        ],
    );
    assert!(client.peek(&q).is_empty());
    let longest = unique("k").repeat(255);
    let longest = &longest[..255];
    let id = push(&mut client, &keyed(&q, "p", longest));
    assert_eq!(push(&mut client, &keyed(&q, "p", longest)), id);
}

#[test]
fn space_around_a_key_is_not_of_it() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let key = format!("{} of \"today\"; ~", unique("order"));
    let id = push(&mut client, &keyed(&q, "p", &key));
    let repeat = keyed(&q, "p", &format!("  {key}\t "));
    assert_eq!(push(&mut client, &repeat), id);
    assert_eq!(client.peek(&q).transactions, [id]);
}

#[test]
fn a_key_is_forgotten_some_time_after_the_first_push() {
    let server = Settings::new().set("limits.idempotency_life", "1s").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let request = keyed(&q, "p", &unique("key"));
    let started = Instant::now();
    let first = push(&mut client, &request);
    // The repeats do not lengthen its life.
    let mut second = first.clone();
    eventually("the key is forgotten", || {
        second = push(&mut client, &request);
        second != first
    });
    at_least(started, Duration::from_secs(1));
    assert_eq!(client.peek(&q).transactions, [first, second]);
}

#[test]
fn keys_survive_a_kill() {
    for &durability in Durability::all() {
        let layout = Layout::fresh();
        let start = || Settings::on(&layout).durability(durability).start();
        let (q, key) = (Queue::fresh(), unique("key"));
        let server = start();
        let id = push(&mut server.client(), &keyed(&q, "p", &key));
        server.kill();
        let server = start();
        let mut client = server.client();
        assert_eq!(push(&mut client, &keyed(&q, "p", &key)), id);
        client
            .call(&keyed(&q, "other", &key))
            .assert_errors(422, &[OTHER_PUSH]);
        server.stop();
        let server = start();
        let mut client = server.client();
        assert_eq!(push(&mut client, &keyed(&q, "p", &key)), id);
        assert_eq!(client.peek(&q).transactions, [id]);
    }
}

#[test]
fn keys_have_a_limit() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_idempotency_keys", 2)
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|key| push(&mut client, &keyed(&q, "p", key)))
        .collect();
    let refused = client.call(&keyed(&q, "p", "c"));
    refused.assert_errors(503, &["no room: limits.max_idempotency_keys is reached"]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(push(&mut client, &keyed(&q, "p", "a")), ids[0]);
    let without: Value = json!(client.push(&q, "p"));
    assert_eq!(
        json!(client.peek(&q).transactions),
        json!([ids[0], ids[1], without])
    );
}
