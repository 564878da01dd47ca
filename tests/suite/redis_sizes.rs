//! Much at once through Redis: large payloads, pops of many, pushes to many.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Client, Layout, Popped, Queue, Settings, get, post, soon};

#[test]
fn a_push_to_ten_thousand_queues_reaches_all_and_others_are_served_meanwhile() {
    const PUSHES: usize = 3;
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).set("server.workers", 2).start();
    let queues: Vec<Queue> = (0..10_000).map(|_| Queue::fresh()).collect();
    let all: Vec<&Queue> = queues.iter().collect();
    let mut pushing = server.client();
    let ids: Vec<String> = thread::scope(|scope| {
        let pushes = scope.spawn(|| -> Vec<String> {
            (0..PUSHES)
                .map(|number| pushing.push_to_all(&all, &number.to_string()))
                .collect()
        });
        let mut client = server.client();
        while !pushes.is_finished() {
            client.assert_alive();
        }
        pushes.join().unwrap()
    });

    let mut client = server.client();
    for id in &ids {
        let summary = client
            .call(&get(format!("/trans/{id}/state/summary")))
            .json();
        assert_eq!(
            summary["data"],
            json!({"totalNotifications": queues.len(), "Pending": queues.len()})
        );
    }
    // Several on their way at once, so that it does not take all day.
    for batch in queues.chunks(25) {
        let requests = batch.iter().map(|q| post(q.route("pop"), &json!({})));
        let bytes: Vec<u8> = requests.flat_map(|request| request.bytes("h")).collect();
        client.send_raw(&bytes);
        for q in batch {
            let popped = Popped::parse(&client.receive());
            assert_eq!(popped.transactions, ids, "{q:?}");
        }
    }
}

#[test]
fn payloads_of_full_size_come_back_whole() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let mut client = server.client();
    let q = Queue::fresh();
    // More bytes than characters, and all that could end a string somewhere.
    for unit in ["x", "漢", "\r\n", "\0", "$5\r\n"] {
        let payload = unit.repeat(1_048_576 / unit.chars().count());
        let id = client.push(&q, &payload);
        assert!(client.transaction(&id)["payload"] == json!(payload));
        let popped = client.pop(&q, &json!({}));
        assert!(popped.data == [payload.as_str()], "{unit:?}");
        assert_eq!(popped.transactions, [id]);
    }
}

#[test]
fn a_pop_of_many_is_whole_and_in_order() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..10_000)
        .map(|number| format!("{number} {}", "x".repeat(100)))
        .collect();
    let ids = client.push_many(&q, &payloads);
    let popped = client.poprel(&q, &json!({"max": 10_000, "timeoutACK": 1000}));
    assert!(popped.data == payloads);
    assert!(popped.transactions == ids);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let results = client.ack(&q, &ids);
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), ids.len());
    for (result, id) in results.iter().zip(ids) {
        assert_eq!(result, &json!({"err": Value::Null, "data": id}));
    }
    assert!(client.peek(&q).is_empty());
}

#[test]
fn many_that_lapse_together_are_all_back_in_their_order() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    let popped = client.poprel(&q, &json!({"max": 10_000, "timeoutACK": 1}));
    assert!(popped.data == payloads);
    client.await_size(&q, payloads.len());
    assert!(client.pop(&q, &json!({"max": 10_000})).data == payloads);
}

/// One large push does not make a waiter of another queue wait for all of it.
#[test]
fn waiters_of_a_push_to_many_are_all_answered() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let agents = [Settings::on(&layout).start(), Settings::on(&layout).start()];
    let queues: Vec<Queue> = (0..10_000).map(|_| Queue::fresh()).collect();
    let awaited: Vec<&Queue> = queues.iter().step_by(100).collect();
    let mut waiting: Vec<Client> = (0..awaited.len())
        .map(|place| agents[place % 2].client())
        .collect();
    let mut client = agents[0].client();
    for (waiter, q) in waiting.iter_mut().zip(&awaited) {
        waiter.start_pop(q);
        client.await_blocked(q, true);
    }
    let started = std::time::Instant::now();
    let id = client.push_to_all(&queues.iter().collect::<Vec<_>>(), "to all");
    for waiter in &mut waiting {
        assert_eq!(Popped::parse(&waiter.receive()).transactions, [id.as_str()]);
    }
    soon(started);
}
