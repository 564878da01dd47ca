//! Waiting pops: woken whatever connection or worker the push came by, served first come first, and never deaf.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Broken, Client, Popped, Queue, READ_TIMEOUT, Random, eventually, get, pause, post, shared,
    soon, unique,
};

#[track_caller]
fn received(client: &mut Client) -> Vec<String> {
    Popped::parse(&client.receive()).data
}

#[test]
fn a_push_wakes_a_pop_on_another_connection_at_once() {
    let shared = shared();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.start_pop(&q);
    pusher.await_blocked(&q, true);
    let started = Instant::now();
    let id = pusher.push(&q, "p1");
    waiting.receive().assert_is(
        200,
        &format!(r#"{{"ok":true,"data":["p1"],"transactions":["{id}"]}}"#),
    );
    soon(started);
}

#[test]
fn a_push_wakes_pops_of_every_worker_from_every_worker() {
    let shared = shared();
    // Connections are spread over the workers by chance: with this many of each, every pair meets.
    let mut waiting = shared.clients(12);
    let mut pushers = shared.clients(12);
    let queues: Vec<Queue> = (0..12).map(|_| Queue::fresh()).collect();
    for round in 0..12 {
        for (client, q) in waiting.iter_mut().zip(&queues) {
            client.start_pop(q);
        }
        for (place, q) in queues.iter().enumerate() {
            let pusher = &mut pushers[(place + round) % 12];
            pusher.await_blocked(q, true);
            pusher.push(q, "woken");
        }
        for client in &mut waiting {
            assert_eq!(received(client), ["woken"]);
        }
    }
}

#[test]
fn a_reliable_pop_is_woken_and_its_message_blocked() {
    let shared = shared();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.send(&post(
        q.route("poprel"),
        &json!({"timeout": 60, "timeoutACK": 1}),
    ));
    pusher.await_blocked(&q, true);
    let id = pusher.push(&q, "p");
    assert_eq!(received(&mut waiting), ["p"]);
    pusher.await_state(&id, &q, "Blocked");
    pusher.await_pending(&q, &["p"]);
}

#[test]
fn one_push_wakes_one_waiter_first_come_first_served() {
    let shared = shared();
    let mut pusher = shared.client();
    let q = Queue::fresh();
    let mut waiting = shared.clients(5);
    for client in &mut waiting {
        client.start_pop(&q);
        pusher.await_blocked(&q, true);
        pause();
    }
    for (number, client) in waiting.iter_mut().enumerate() {
        pusher.push(&q, &number.to_string());
        assert_eq!(received(client), [number.to_string()]);
    }
    assert!(pusher.peek(&q).is_empty());
}

#[test]
fn one_transaction_wakes_the_waiters_of_all_its_queues() {
    let shared = shared();
    let queues: Vec<Queue> = (0..20).map(|_| Queue::fresh()).collect();
    let mut waiting = shared.clients(20);
    let mut pusher = shared.client();
    for (client, q) in waiting.iter_mut().zip(&queues) {
        client.start_pop(q);
        pusher.await_blocked(q, true);
    }
    pusher.push_to_all(&queues.iter().collect::<Vec<_>>(), "to all");
    for client in &mut waiting {
        assert_eq!(received(client), ["to all"]);
    }
}

#[test]
fn a_push_to_a_group_wakes_its_waiters() {
    let shared = shared();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    let (q, group) = (Queue::fresh(), unique("g"));
    pusher
        .call(&post("/group", &json!({"name": group, "queues": [q.id]})))
        .assert_json_head(200);
    waiting.start_pop(&q);
    pusher.await_blocked(&q, true);
    pusher.push_body(&json!({"payload": "p", "priority": "L", "groups": [group]}));
    assert_eq!(received(&mut waiting), ["p"]);
}

#[test]
fn a_waiter_that_asks_for_many_is_not_kept_for_more() {
    let shared = shared();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.send(&post(q.route("pop"), &json!({"timeout": 60, "max": 100})));
    pusher.await_blocked(&q, true);
    let payloads: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    pusher.push_many(&q, &payloads);
    let mut seen = received(&mut waiting);
    assert!(!seen.is_empty());
    seen.extend(pusher.peek(&q).data);
    assert_eq!(seen, payloads);
}

#[test]
fn a_waiter_that_goes_away_costs_no_message() {
    let shared = shared();
    let mut client = shared.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let mut waiting = shared.client();
        waiting.start_pop(&q);
        client.await_blocked(&q, true);
        waiting.leave(reset);
        client.await_blocked(&q, false);
        client.push(&q, "a");
        client.push(&q, "b");
        assert_eq!(client.pop(&q, &json!({"timeout": 60})).data, ["a", "b"]);
    }
}

#[test]
fn the_next_waiter_is_served_in_place_of_one_that_went_away() {
    let shared = shared();
    let mut pusher = shared.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let (mut first, mut second) = (shared.client(), shared.client());
        first.start_pop(&q);
        pusher.await_blocked(&q, true);
        second.start_pop(&q);
        pause();
        first.leave(reset);
        // At once: the server may not have noticed yet.
        pusher.push(&q, "p");
        assert_eq!(received(&mut second), ["p"]);
    }
}

#[test]
fn a_waiter_that_vanishes_just_as_it_is_woken_costs_no_message() {
    let shared = shared();
    let mut random = Random::seeded("a_waiter_that_vanishes_just_as_it_is_woken");
    let mut pusher = shared.client();
    for _ in 0..60 {
        let q = Queue::fresh();
        let mut waiting = shared.client();
        waiting.start_pop(&q);
        if random.below(4) != 0 {
            pusher.await_blocked(&q, true);
        }
        let reset = random.below(2) == 0;
        waiting.leave(reset);
        pusher.push(&q, "a");
        pusher.push(&q, "b");
        // The end of the connection was sent before the pushes: whoever writes to a waiter can see it first. Wherever
        // the hand-over was, both are there again, in order.
        pusher.await_pending(&q, &["a", "b"]);
    }
}

#[test]
fn a_client_that_vanishes_with_its_request_still_on_the_way_costs_no_message() {
    let shared = shared();
    let mut client = shared.client();
    for _ in 0..30 {
        let q = Queue::fresh();
        let mut gone = shared.client();
        gone.start_pop(&q);
        gone.leave(true);
        client.push(&q, "p");
        client.await_pending(&q, &["p"]);
    }
}

#[test]
fn a_half_closed_connection_costs_no_message() {
    let shared = shared();
    let (mut waiting, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    waiting.finish_sending();
    pause();
    client.push(&q, "p");
    // Either it is answered still, or it counts as gone.
    match waiting.try_receive(READ_TIMEOUT) {
        Ok(response) => assert_eq!(Popped::parse(&response).data, ["p"]),
        Err(Broken::Closed { midway: false }) => client.await_pending(&q, &["p"]),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_push_behind_a_waiting_pop_on_its_own_connection_is_not_lost() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let mut bytes = post(q.route("pop"), &json!({"timeout": 1})).bytes("h");
    bytes.extend(post("/trans", &push).bytes("h"));
    client.send_raw(&bytes);
    // Whether the pop is done before the push begins is the server's choice; the order of the answers is not.
    let mut seen = received(&mut client);
    client.receive().assert_json_head(200);
    seen.extend(client.peek(&q).data);
    assert_eq!(seen, ["p"]);
}

#[test]
fn two_waiting_pops_never_get_the_same_message() {
    let shared = shared();
    let q = Queue::fresh();
    let mut pusher = shared.client();
    for round in 0..50 {
        let mut waiting = shared.clients(2);
        for client in &mut waiting {
            client.start_pop(&q);
        }
        pusher.await_blocked(&q, true);
        pusher.push(&q, &format!("{round} a"));
        pusher.push(&q, &format!("{round} b"));
        let mut seen: Vec<String> = Vec::new();
        // Whoever is first may take both; then the other is not answered, and leaves.
        let started = Instant::now();
        while seen.len() < 2 {
            for client in &mut waiting {
                if !client.is_silent_for(Duration::from_millis(5)) {
                    seen.extend(received(client));
                }
            }
            soon(started);
        }
        seen.sort();
        assert_eq!(seen, [format!("{round} a"), format!("{round} b")]);
        drop(waiting);
        pusher.await_blocked(&q, false);
    }
}

#[test]
fn a_push_and_a_pop_at_the_same_instant_always_meet() {
    let shared = shared();
    let (mut popping, mut pusher) = (shared.client(), shared.client());
    for _ in 0..200 {
        let q = Queue::fresh();
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                popping.start_pop(&q);
                assert_eq!(received(&mut popping), ["p"]);
            });
            pusher.push(&q, "p");
        });
        soon(started);
    }
}

#[test]
fn many_idle_waiters_are_all_heard() {
    let shared = shared();
    let queues: Vec<Queue> = (0..300).map(|_| Queue::fresh()).collect();
    let mut waiting = shared.clients(queues.len());
    for (client, q) in waiting.iter_mut().zip(&queues) {
        client.start_pop(q);
    }
    let mut pusher = shared.client();
    for q in &queues {
        pusher.await_blocked(q, true);
    }
    pusher.push_to_all(&queues.iter().collect::<Vec<_>>(), "to all");
    for client in &mut waiting {
        assert_eq!(received(client), ["to all"]);
    }
}

/// Waits until so many messages of a transaction are delivered and the others are pending.
fn await_delivered(client: &mut Client, id: &str, delivered: usize, total: usize) {
    let mut expected = json!({"totalNotifications": total, "Delivered": delivered});
    if delivered < total {
        expected["Pending"] = json!(total - delivered);
    }
    eventually(&format!("{expected}"), || {
        let summary = client.call(&get(format!("/trans/{id}/state/summary")));
        summary.json()["data"] == expected
    });
}

/// As many queues as one push may name, some with somebody waiting.
#[test]
fn a_push_to_ten_thousand_queues_wakes_those_who_wait_and_waits_for_the_others() {
    let shared = shared();
    let queues: Vec<Queue> = (0..10_000).map(|_| Queue::fresh()).collect();
    let awaited: Vec<&Queue> = queues.iter().step_by(400).collect();
    let mut waiting = shared.clients(awaited.len());
    let mut pusher = shared.client();
    for (client, q) in waiting.iter_mut().zip(&awaited) {
        client.start_pop(q);
        pusher.await_blocked(q, true);
    }
    let started = Instant::now();
    let id = pusher.push_to_all(&queues.iter().collect::<Vec<_>>(), "to ten thousand");
    for client in &mut waiting {
        let popped = Popped::parse(&client.receive());
        assert_eq!(popped.data, ["to ten thousand"]);
        assert_eq!(popped.transactions, [id.as_str()]);
    }
    soon(started);
    await_delivered(&mut pusher, &id, awaited.len(), queues.len());
    // Every other one has it, and has it once.
    let left = queues.iter().enumerate();
    for (_, q) in left.filter(|(place, _)| place % 400 != 0) {
        pusher.send(&post(q.route("pop"), &json!({"timeout": 60})));
        assert_eq!(received(&mut pusher), ["to ten thousand"]);
    }
    await_delivered(&mut pusher, &id, queues.len(), queues.len());
}

#[test]
fn a_connection_serves_pop_after_pop() {
    let shared = shared();
    let (mut waiting, mut pusher) = (shared.client(), shared.client());
    let q = Queue::fresh();
    for number in 0..30 {
        waiting.start_pop(&q);
        pusher.await_blocked(&q, true);
        pusher.push(&q, &number.to_string());
        assert_eq!(received(&mut waiting), [number.to_string()]);
    }
}
