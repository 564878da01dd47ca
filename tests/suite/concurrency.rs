//! Many clients on one queue: nothing lost, nothing twice, order kept.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::support::{Popped, Queue, Settings, shared};

const CONSUMERS: usize = 8;

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn number(payload: &str) -> usize {
    payload.parse().unwrap()
}

/// Fails unless `batches` together are `0..count`, each once.
#[track_caller]
fn assert_each_once(batches: &[Vec<String>], count: usize) {
    let all: Vec<usize> = batches
        .iter()
        .flatten()
        .map(|payload| number(payload))
        .collect();
    let distinct: BTreeSet<usize> = all.iter().copied().collect();
    let missing: Vec<usize> = (0..count)
        .filter(|number| !distinct.contains(number))
        .collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    assert_eq!(all.len(), count, "some came twice");
}

#[test]
fn concurrent_pops_lose_and_duplicate_nothing() {
    const COUNT: usize = 2000;
    let shared = shared();
    let q = Queue::fresh();
    shared.client().push_many(&q, &numbered(COUNT));
    let left = AtomicUsize::new(COUNT);
    let batches: Vec<Vec<String>> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = shared.client();
                    let mut seen = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let popped: Popped = client.pop(&q, &json!({"max": 7, "timeout": 1}));
                        left.fetch_sub(popped.data.len(), Ordering::SeqCst);
                        seen.extend(popped.data);
                    }
                    seen
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| consumer.join().unwrap())
            .collect()
    });
    assert_each_once(&batches, COUNT);
    for seen in &batches {
        assert!(
            seen.is_sorted_by_key(|payload| number(payload)),
            "out of order: {seen:?}"
        );
    }
}

#[test]
fn concurrent_pops_lose_no_low_priority_message() {
    const COUNT: usize = 800;
    let shared = shared();
    let q = Queue::fresh();
    let mut pusher = shared.client();
    for number in 0..COUNT {
        let priority = if number % 3 == 0 { "H" } else { "L" };
        pusher.push_with(&q, &number.to_string(), json!({"priority": priority}));
    }
    let left = AtomicUsize::new(COUNT);
    let batches: Vec<Vec<String>> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|place| {
                let (left, q, shared) = (&left, &q, &shared);
                scope.spawn(move || {
                    let mut client = shared.client();
                    let mut seen = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let popped = client.pop(q, &json!({"max": place + 2, "timeout": 1}));
                        left.fetch_sub(popped.data.len(), Ordering::SeqCst);
                        seen.extend(popped.data);
                    }
                    seen
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| consumer.join().unwrap())
            .collect()
    });
    assert_each_once(&batches, COUNT);
}

#[test]
fn waiting_consumers_and_concurrent_producers_lose_and_duplicate_nothing() {
    const PRODUCERS: usize = 4;
    const EACH: usize = 300;
    let shared = shared();
    let q = Queue::fresh();
    let left = AtomicUsize::new(PRODUCERS * EACH);
    let batches: Vec<Vec<String>> = thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (q, shared) = (&q, &shared);
            scope.spawn(move || {
                let mut client = shared.client();
                for number in 0..EACH {
                    client.push(q, &(producer * EACH + number).to_string());
                }
            });
        }
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = shared.client();
                    let mut seen = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let popped = client.pop(&q, &json!({"max": 3, "timeout": 1}));
                        left.fetch_sub(popped.data.len(), Ordering::SeqCst);
                        seen.extend(popped.data);
                    }
                    seen
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| consumer.join().unwrap())
            .collect()
    });
    assert_each_once(&batches, PRODUCERS * EACH);
    for seen in &batches {
        for producer in 0..PRODUCERS {
            let mut of_one = seen
                .iter()
                .map(|payload| number(payload))
                .filter(|number| number / EACH == producer);
            assert!(of_one.by_ref().is_sorted(), "producer {producer}: {seen:?}");
        }
    }
}

#[test]
fn concurrent_producers_keep_each_its_own_order() {
    const PRODUCERS: usize = 8;
    const EACH: usize = 150;
    let shared = shared();
    let q = Queue::fresh();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (q, shared) = (&q, &shared);
            scope.spawn(move || {
                let payloads: Vec<String> = (0..EACH)
                    .map(|number| (producer * EACH + number).to_string())
                    .collect();
                shared.client().push_many(q, &payloads);
            });
        }
    });
    let all = shared.client().pop(&q, &json!({"max": 10_000})).data;
    assert_each_once(std::slice::from_ref(&all), PRODUCERS * EACH);
    for producer in 0..PRODUCERS {
        let of_one: Vec<usize> = all
            .iter()
            .map(|payload| number(payload))
            .filter(|number| number / EACH == producer)
            .collect();
        assert!(of_one.is_sorted(), "producer {producer}: {of_one:?}");
    }
}

#[test]
fn concurrent_reliable_consumers_ack_each_message_once() {
    const COUNT: usize = 600;
    let shared = shared();
    let q = Queue::fresh();
    shared.client().push_many(&q, &numbered(COUNT));
    let left = AtomicUsize::new(COUNT);
    let batches: Vec<Vec<String>> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = shared.client();
                    let mut seen = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let popped =
                            client.poprel(&q, &json!({"max": 5, "timeout": 1, "timeoutACK": 100}));
                        let ids: Vec<&str> =
                            popped.transactions.iter().map(String::as_str).collect();
                        let results = client.ack(&q, &ids);
                        let results = results.as_array().unwrap();
                        assert!(
                            results.iter().all(|result| result["err"].is_null()),
                            "{results:?}"
                        );
                        left.fetch_sub(popped.data.len(), Ordering::SeqCst);
                        seen.extend(popped.data);
                    }
                    seen
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| consumer.join().unwrap())
            .collect()
    });
    assert_each_once(&batches, COUNT);
    assert!(shared.client().peek(&q).is_empty());
}

#[test]
fn pops_deletes_and_pushes_at_once_never_answer_null_or_hang() {
    let server = Settings::new().set("server.workers", 2).start();
    let q = Queue::fresh();
    let popped = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = server.client();
                for number in 0..150 {
                    let id = client.push(&q, &format!("payload {number}"));
                    if number % 2 == 0 {
                        let response = client.call(&crate::support::delete(format!("/trans/{id}")));
                        response.assert_is(200, r#"{"ok":true}"#);
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = server.client();
                loop {
                    let some = client.pop(&q, &json!({"max": 4, "timeout": 1}));
                    if some.is_empty() {
                        break;
                    }
                    assert!(
                        some.data
                            .iter()
                            .all(|payload| payload.starts_with("payload ")),
                        "{some:?}"
                    );
                    popped.fetch_add(some.data.len(), Ordering::SeqCst);
                }
            });
        }
    });
    let popped = popped.into_inner() + server.client().pop(&q, &json!({"timeout": 1})).data.len();
    // Those of odd number are never deleted; those of even number may have been popped first.
    assert!((225..=450).contains(&popped), "{popped}");
}
