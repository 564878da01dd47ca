//! What was acknowledged is there after a restart, polite or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Durability, Layout, Popped, Queue, Server, Settings, at_least, delete, get, now_s,
    post, put, soon,
};

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Sigterm,
    Kill,
}

/// Runs `before` on one server and `after` on the next one of the same store, for every way to end and to store.
fn across_every_restart<T>(before: impl Fn(&mut Client) -> T, after: impl Fn(&mut Client, &T)) {
    for &durability in Durability::all() {
        for end in [End::Sigterm, End::Kill] {
            println!("{durability:?}, {end:?}");
            across_a_restart(durability, end, &before, &after);
        }
    }
}

fn across_a_restart<T>(
    durability: Durability,
    end: End,
    before: &impl Fn(&mut Client) -> T,
    after: &impl Fn(&mut Client, &T),
) {
    let layout = Layout::fresh();
    let server = start(&layout, durability);
    let known = before(&mut server.client());
    finish(server, end);
    let server = start(&layout, durability);
    after(&mut server.client(), &known);
}

fn start(layout: &Arc<Layout>, durability: Durability) -> Server {
    Settings::on(layout).durability(durability).start()
}

fn finish(server: Server, end: End) {
    match end {
        End::Sigterm => server.stop(),
        End::Kill => server.kill(),
    }
}

#[test]
fn acknowledged_messages_are_there_in_their_order() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            let mut ids = Vec::new();
            for (priority, payload) in [
                ("L", "l1"),
                ("H", "h1"),
                ("L", "l2"),
                ("H", "h2 😀\n\"\u{0}"),
            ] {
                ids.push(client.push_with(&q, payload, json!({"priority": priority})));
            }
            ids
        },
        |client, ids| {
            let popped = client.pop(&q, &json!({"timeout": 1}));
            assert_eq!(popped.data, ["h1", "h2 😀\n\"\u{0}", "l1", "l2"]);
            let expected: Vec<&String> = [1, 3, 0, 2]
                .iter()
                .map(|&place: &usize| &ids[place])
                .collect();
            assert_eq!(popped.transactions.iter().collect::<Vec<_>>(), expected);
        },
    );
}

#[test]
fn a_transaction_is_shown_as_before() {
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let everything = |client: &mut Client, id: &str| -> (Value, Value) {
        let shown = client
            .call(&get(format!("/trans/{id}?queues=summary")))
            .json();
        (shown, client.state(id))
    };
    across_every_restart(
        |client| {
            let id = client.push_body(&json!({
                "payload": "p", "priority": "L", "queue": [{"id": a.id}, {"id": b.id}], "callback": "http://127.0.0.1:1/",
                "expirationDate": 2_000_000_000, "other": {"a": 1},
            }));
            let shown = everything(client, &id);
            (id, shown)
        },
        |client, (id, shown)| assert_eq!(&everything(client, id), shown),
    );
}

#[test]
fn changes_and_deletions_are_kept() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            let (changed, deleted) = (client.push(&q, "old"), client.push(&q, "deleted"));
            let change = json!({"payload": "new", "expirationDate": 2_000_000_000});
            client
                .call(&put(format!("/trans/{changed}"), &change))
                .assert_json_head(200);
            client
                .call(&delete(format!("/trans/{deleted}")))
                .assert_json_head(200);
            (changed, deleted)
        },
        |client, (changed, deleted)| {
            assert_eq!(
                client.transaction(changed)["expirationDate"],
                json!("2000000000")
            );
            assert_eq!(client.transaction(deleted), json!({}));
            assert_eq!(client.queue_info(&q)["size"], json!(1));
            assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, ["new"]);
        },
    );
}

#[test]
fn groups_are_kept() {
    across_every_restart(
        |client| {
            for (name, queues) in [("kept", json!(["a"])), ("removed", json!(["b"]))] {
                client
                    .call(&post("/group", &json!({"name": name, "queues": queues})))
                    .assert_json_head(200);
            }
            client
                .call(&put(
                    "/group/kept",
                    &json!({"queuesToAdd": ["c"], "queuesToRemove": ["a"]}),
                ))
                .assert_json_head(200);
            client.call(&delete("/group/removed")).assert_json_head(200);
            client
                .call(&post(
                    "/org/o/group",
                    &json!({"name": "kept", "queues": ["theirs"]}),
                ))
                .assert_json_head(200);
        },
        |client, ()| {
            for (target, queues) in [
                ("/group/kept", json!(["c"])),
                ("/group/removed", json!([])),
                ("/org/o/group/kept", json!(["theirs"])),
            ] {
                assert_eq!(
                    client.call(&get(target)).json()["queues"],
                    queues,
                    "{target}"
                );
            }
        },
    );
}

#[test]
fn what_was_acked_stays_delivered() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            let ids = [
                client.push(&q, "a"),
                client.push(&q, "b"),
                client.push(&q, "c"),
            ];
            client.poprel(&q, &json!({"max": 1, "timeoutACK": 1}));
            let results = client.ack(&q, &[&ids[0], &ids[1]]);
            assert_eq!(
                results,
                json!([{"err": null, "data": ids[0]}, {"err": null, "data": ids[1]}])
            );
            ids
        },
        |client, ids| {
            assert_eq!(client.state(&ids[0]), json!({&q.id: "Delivered"}));
            assert_eq!(client.state(&ids[1]), json!({&q.id: "Delivered"}));
            assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, ["c"]);
            // Longer than the lease was.
            assert!(client.pop(&q, &json!({"timeout": 2})).is_empty());
        },
    );
}

#[test]
fn what_was_popped_stays_delivered_after_a_polite_end() {
    for &durability in Durability::all() {
        let q = Queue::fresh();
        across_a_restart(
            durability,
            End::Sigterm,
            &|client| {
                let id = client.push(&q, "popped");
                assert_eq!(client.pop(&q, &json!({})).data, ["popped"]);
                client.push(&q, "left");
                id
            },
            &|client, id| {
                assert_eq!(client.state(id), json!({&q.id: "Delivered"}));
                assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, ["left"]);
            },
        );
    }
}

#[test]
fn what_was_popped_before_a_kill_comes_again_at_most_in_its_old_place() {
    let server_lease = "1s";
    for &durability in Durability::all() {
        let (layout, q) = (Layout::fresh(), Queue::fresh());
        let settings = || {
            Settings::on(&layout)
                .durability(durability)
                .set("limits.delivery_lease", server_lease)
        };
        let server = settings().start();
        let mut client = server.client();
        for payload in ["a", "b", "c", "d"] {
            client.push(&q, payload);
        }
        assert_eq!(client.pop(&q, &json!({"max": 2})).data, ["a", "b"]);
        server.kill();
        let server = settings().start();
        let mut client = server.client();
        // Delivery is at least once: the answer was written, but saying so may have been lost.
        let waited = client.pop(&Queue::fresh(), &json!({"timeout": 3}));
        assert!(waited.is_empty());
        let left = client.peek(&q).data;
        assert!(
            left == ["c", "d"] || left == ["a", "b", "c", "d"],
            "{left:?}"
        );
    }
}

#[test]
fn a_lease_is_kept_and_can_be_acked() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            let ids = [client.push(&q, "a"), client.push(&q, "b")];
            client.poprel(&q, &json!({"max": 1, "timeoutACK": 100}));
            ids
        },
        |client, ids| {
            assert_eq!(client.state(&ids[0]), json!({&q.id: "Blocked"}));
            assert_eq!(client.peek(&q).data, ["b"]);
            assert_eq!(
                client.ack(&q, &[&ids[0]]),
                json!([{"err": null, "data": ids[0]}])
            );
            assert_eq!(client.peek(&q).data, ["b"]);
        },
    );
}

#[test]
fn a_lease_lapses_after_a_restart_in_order() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            for payload in ["a", "b", "c", "d"] {
                client.push(&q, payload);
            }
            let popped = client.poprel(&q, &json!({"max": 3, "timeoutACK": 2}));
            assert_eq!(popped.data, ["a", "b", "c"]);
        },
        |client, ()| {
            client.await_pending(&q, &["a", "b", "c", "d"]);
            assert_eq!(
                client.pop(&q, &json!({"timeout": 1})).data,
                ["a", "b", "c", "d"]
            );
        },
    );
}

#[test]
fn a_delayed_message_comes_after_a_restart() {
    let (soon_due, later) = (Queue::fresh(), Queue::fresh());
    across_every_restart(
        |client| {
            let body =
                |q: &Queue| json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
            client
                .call(&post("/trans?delay=2", &body(&soon_due)))
                .assert_json_head(200);
            client
                .call(&post("/trans?delay=1000", &body(&later)))
                .assert_json_head(200);
            Instant::now()
        },
        |client, pushed| {
            assert_eq!(client.pop(&soon_due, &json!({"timeout": 60})).data, ["p"]);
            at_least(*pushed, Duration::from_secs(2));
            assert!(client.peek(&later).is_empty());
        },
    );
}

#[test]
fn what_fell_due_while_the_server_was_away_is_there_at_once() {
    let (layout, delayed, leased) = (Layout::fresh(), Queue::fresh(), Queue::fresh());
    let server = start(&layout, Durability::Sync);
    let mut client = server.client();
    let body = json!({"payload": "delayed", "priority": "H", "queue": [{"id": delayed.id}]});
    client
        .call(&post("/trans?delay=1", &body))
        .assert_json_head(200);
    client.push(&leased, "leased");
    client.poprel(&leased, &json!({"timeoutACK": 1}));
    server.kill();
    // The time of the store goes on: there is nothing to await but the clock.
    std::thread::sleep(Duration::from_millis(1200));
    let server = start(&layout, Durability::Sync);
    let mut client = server.client();
    let started = Instant::now();
    assert_eq!(
        client.pop(&delayed, &json!({"timeout": 60})).data,
        ["delayed"]
    );
    assert_eq!(
        client.pop(&leased, &json!({"timeout": 60})).data,
        ["leased"]
    );
    soon(started);
}

#[test]
fn what_expired_while_the_server_was_away_is_gone() {
    let (layout, q) = (Layout::fresh(), Queue::fresh());
    let server = start(&layout, Durability::Sync);
    let mut client = server.client();
    let date = now_s() + 1;
    let id = client.push_with(&q, "short", json!({"expirationDate": date}));
    client.push(&q, "long");
    server.kill();
    while now_s() <= date {
        std::thread::sleep(Duration::from_millis(50));
    }
    let server = start(&layout, Durability::Sync);
    let mut client = server.client();
    assert_eq!(client.peek(&q).data, ["long"]);
    assert_eq!(client.transaction(&id), json!({}));
    assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, ["long"]);
}

#[test]
fn order_survives_many_restarts() {
    let (layout, q) = (Layout::fresh(), Queue::fresh());
    let mut expected = Vec::new();
    for round in 0..6 {
        let durability = if round % 3 == 0 {
            Durability::Interval
        } else {
            Durability::Sync
        };
        let server = start(&layout, durability);
        let mut client = server.client();
        assert_eq!(client.peek(&q).data, expected);
        if round > 0 {
            let popped = client.poprel(&q, &json!({"max": 2, "timeoutACK": 100}));
            let ids: Vec<&str> = popped.transactions.iter().map(String::as_str).collect();
            assert_eq!(popped.data, expected[..2]);
            client.ack(&q, &ids);
            expected.drain(..2);
        }
        let more: Vec<String> = (0..10).map(|number| format!("{round}.{number}")).collect();
        client.push_many(&q, &more);
        expected.extend(more);
        finish(
            server,
            if round % 2 == 0 {
                End::Kill
            } else {
                End::Sigterm
            },
        );
    }
    let server = start(&layout, Durability::Sync);
    assert_eq!(server.client().pop(&q, &json!({})).data, expected);
}

#[test]
fn a_large_backlog_is_there_after_a_kill() {
    let (layout, q, large) = (Layout::fresh(), Queue::fresh(), Queue::fresh());
    let server = start(&layout, Durability::Interval);
    let mut client = server.client();
    let payloads: Vec<String> = (0..5000)
        .map(|number| format!("{number} {}", "x".repeat(100)))
        .collect();
    client.push_many(&q, &payloads);
    let megabyte = "y".repeat(1_048_576);
    client.push(&large, &megabyte);
    server.kill();
    let server = start(&layout, Durability::Interval);
    let mut client = server.client();
    assert!(client.pop(&q, &json!({"max": 10_000})).data == payloads);
    assert!(client.pop(&large, &json!({})).data == [megabyte]);
}

#[test]
fn waiters_of_before_leave_no_ghost() {
    let (layout, q) = (Layout::fresh(), Queue::fresh());
    let server = start(&layout, Durability::Sync);
    let mut waiting = server.client();
    waiting.start_pop(&q);
    server.client().await_blocked(&q, true);
    server.kill();
    let server = start(&layout, Durability::Sync);
    let mut client = server.client();
    client.await_blocked(&q, false);
    let mut waiting = server.client();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
}

#[test]
fn tenants_stay_apart_after_a_restart() {
    let plain = Queue::fresh();
    let theirs = Queue::of("o", plain.id.clone());
    across_every_restart(
        |client| {
            client.push(&plain, "plain");
            client.push(&theirs, "theirs");
        },
        |client, ()| {
            assert_eq!(client.pop(&plain, &json!({"timeout": 1})).data, ["plain"]);
            assert_eq!(client.pop(&theirs, &json!({"timeout": 1})).data, ["theirs"]);
        },
    );
}

#[test]
fn deliveries_are_counted_on_after_a_restart() {
    let q = Queue::fresh();
    across_every_restart(
        |client| {
            client.push(&q, "p");
            client.poprel(&q, &json!({"timeoutACK": 0.2}));
            client.await_pending(&q, &["p"]);
            client.poprel(&q, &json!({"timeoutACK": 1}));
        },
        |client, ()| {
            // Out at the restart, and back at the end of its lease.
            client.await_pending(&q, &["p"]);
            assert_eq!(client.poprel(&q, &json!({})).deliveries, [3]);
        },
    );
}
