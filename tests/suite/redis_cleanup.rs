//! Whatever is written to Redis expires or is swept: a store that is used for years does not grow.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Layout, Popped, Queue, Settings, delete, eventually, post, unique};

/// What is there as long as servers are, and does not grow.
const CONSTANT: &[&str] = &["pb:workers"];

/// The keys that are there because of what clients did.
fn leftovers(layout: &Layout) -> BTreeSet<String> {
    let keys = layout
        .redis_servers()
        .into_iter()
        .flat_map(|redis| redis.keys());
    keys.filter(|key| !CONSTANT.contains(&key.as_str()))
        .collect()
}

/// Waits longer than `eventually` does: what is over has to be noticed first, and then to be forgotten.
#[track_caller]
fn await_empty(layout: &Layout) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let left = leftovers(layout);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Settings under which nothing is remembered for long.
fn forgetful(layout: &std::sync::Arc<Layout>) -> Settings {
    Settings::on(layout)
        .set("limits.queue_retention", "1s")
        .set("limits.default_expiration", "3s")
        .set("limits.delivery_lease", "1s")
}

fn push_delayed(client: &mut Client, queue: &Queue, delay: &str) {
    let body = json!({"payload": "later", "priority": "L", "queue": [{"id": queue.id}]});
    client
        .call(&post(format!("/trans?delay={delay}"), &body))
        .assert_json_head(200);
}

#[test]
fn nothing_is_left_of_what_is_over() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = forgetful(&layout).start();
    let (mut client, mut waiting) = (server.client(), server.client());
    // Popped, acked, lapsed, never looked at.
    let queues = [(); 4].map(|()| Queue::fresh());
    client.push_to_all(&queues.each_ref(), "to all");
    client.pop(&queues[0], &json!({}));
    let id = client.poprel(&queues[1], &json!({})).transactions.remove(0);
    client.ack(&queues[1], &[&id]);
    client.poprel(&queues[2], &json!({"timeoutACK": 1}));
    // Expires while it is lent.
    client.push(&queues[2], "lent");
    client.poprel(&queues[2], &json!({"timeoutACK": 100}));
    // Was over before it came; is deleted; is changed.
    let q = Queue::fresh();
    client.push_with(&q, "late", json!({"expirationDate": 1}));
    let id = client.push(&q, "deleted");
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    let id = client.push(&q, "changed");
    client
        .call(&crate::support::put(
            format!("/trans/{id}"),
            &json!({"payload": "new"}),
        ))
        .assert_json_head(200);
    // Comes later.
    push_delayed(&mut client, &q, "0.5");
    // Is asked about.
    let id = client.push(&Queue::fresh(), "in no queue for long");
    client.ack(&Queue::fresh(), &[&id, "unknown"]);
    // In no queue at all; a tenant's.
    client.push_body(&json!({"payload": "p", "priority": "H", "queue": []}));
    client.push(&Queue::of(&unique("org"), "q"), "theirs");
    // A group, and a push to it.
    let name = unique("g");
    let group = json!({"name": name, "queues": [q.id, unique("q")]});
    client.call(&post("/group", &group)).assert_json_head(200);
    client.push_body(&json!({"payload": "p", "priority": "H", "groups": [name]}));
    client
        .call(&delete(format!("/group/{name}")))
        .assert_json_head(200);
    // A wait that ends with a message, one without, and one whose client leaves.
    let awaited = Queue::fresh();
    waiting.start_pop(&awaited);
    client.await_blocked(&awaited, true);
    client.push(&awaited, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
    assert!(client.pop(&awaited, &json!({"timeout": 1})).is_empty());
    waiting.start_pop(&awaited);
    client.await_blocked(&awaited, true);
    waiting.leave(true);
    // A stream.
    let mut stream = server.client();
    stream.subscribe(&Queue::fresh(), "subscribe", &json!({}));
    stream.leave(false);
    // Questions leave nothing at all.
    let unknown = Queue::fresh();
    client.peek(&unknown);
    client.queue_info(&unknown);
    client.state("11111111-2222-4333-8444-999999999999");

    await_empty(&layout);
    server.stop();
    assert_eq!(leftovers(&layout), BTreeSet::new());
}

#[test]
fn nothing_is_left_of_very_much() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = forgetful(&layout).start();
    let mut client = server.client();
    let queues: Vec<Queue> = (0..3000).map(|_| Queue::fresh()).collect();
    for payload in ["a", "b"] {
        client.push_to_all(&queues.iter().collect::<Vec<_>>(), payload);
    }
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    client.poprel(&q, &json!({"max": 1000, "timeoutACK": 2}));
    await_empty(&layout);
}

#[test]
fn nothing_is_left_of_a_killed_server() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (killed, other) = (forgetful(&layout).start(), forgetful(&layout).start());
    let mut client = other.client();
    let mut waiting = killed.clients(10);
    for waiter in &mut waiting {
        let q = Queue::fresh();
        waiter.start_pop(&q);
        client.await_blocked(&q, true);
    }
    let lent = Queue::fresh();
    client.push(&lent, "p");
    killed.client().poprel(&lent, &json!({"timeoutACK": 100}));
    killed.kill();
    await_empty(&layout);
}

/// Room is given back as soon as it can be, not only when the last date has come.
#[test]
fn a_deleted_transaction_gives_its_room_back_at_once() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.queue_retention", "1s")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let ids: Vec<String> = (0..20)
        .map(|_| client.push_with(&q, "p", json!({"expirationDelay": 100_000})))
        .collect();
    for id in &ids {
        client
            .call(&delete(format!("/trans/{id}")))
            .assert_json_head(200);
    }
    eventually("no key is about it", || {
        leftovers(&layout)
            .iter()
            .all(|key| !ids.iter().any(|id| key.contains(id)) && !key.contains(&q.id))
    });
}

/// Whoever makes up names fills nothing: not with what is popped once, nor with what is waited for once.
#[test]
fn queues_of_made_up_names_are_not_kept() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_known_queues", 3)
        .start();
    let mut waiting = server.clients(20);
    for waiter in &mut waiting {
        let pop = format!("/queue/{}/pop", Queue::fresh().id);
        waiter.send(&post(pop, &json!({"timeout": 1})));
    }
    for waiter in &mut waiting {
        assert!(Popped::parse(&waiter.receive()).transactions.is_empty());
    }
    let servers = layout.redis_servers().len();
    eventually("only so many queues are known", || {
        let keys = leftovers(&layout);
        let queues = keys.iter().filter(|key| key.starts_with("pb:q:"));
        queues.count() <= 3 * servers
    });
    // What holds messages is known all the same.
    let mut client = server.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    assert_eq!(client.pop(&q, &json!({})).data, ["p"]);
}
