//! `kill -9` in the middle of everything: what was acknowledged is there, exactly as it was pushed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Durability, Layout, Popped, Queue, Random, Request, Response, Server, Settings,
    eventually, post,
};

const PRODUCERS: usize = 4;
const CONSUMERS: usize = 3;
/// What the consumers find in their queues at the start.
const BACKLOG: usize = 300;
/// Calls that were answered before the kill may come.
const ANSWERED_MIN: usize = 400;

/// What one producer knows: the ids and payloads that were acknowledged, and the one that may or may not be there.
struct Produced {
    queue: Queue,
    acknowledged: Vec<(String, String)>,
    in_doubt: String,
}

/// What one consumer knows of its queue's messages, by id.
struct Consumed {
    queue: Queue,
    all: Vec<(String, String)>,
    /// Acknowledged, or about to be when the server died.
    acked: BTreeMap<String, Ack>,
}

#[derive(PartialEq, Eq)]
enum Ack {
    Answered,
    InDoubt,
}

/// One call that the death of the server may cut off.
fn try_call(client: &mut Client, request: &Request) -> Option<Response> {
    let client = client.for_request(request).ok()?;
    let bytes = request.bytes(client.host());
    client.try_send_raw(&bytes).ok()?;
    client.try_receive(Duration::from_secs(10)).ok()
}

fn produce(server: &Server, mut random: Random, answered: &AtomicUsize) -> Produced {
    let mut client = server.client();
    let mut produced = Produced {
        queue: Queue::fresh(),
        acknowledged: Vec::new(),
        in_doubt: String::new(),
    };
    loop {
        let payload = format!("{}:{}", produced.acknowledged.len(), random.text(300));
        let push =
            json!({"payload": payload, "priority": "H", "queue": [{"id": produced.queue.id}]});
        let Some(response) = try_call(&mut client, &post("/trans", &push)) else {
            produced.in_doubt = payload;
            return produced;
        };
        response.assert_json_head(200);
        let id = response.json()["data"].as_str().unwrap().to_owned();
        produced.acknowledged.push((id, payload));
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn consume(
    server: &Server,
    mut random: Random,
    mut consumed: Consumed,
    answered: &AtomicUsize,
) -> Consumed {
    let mut client = server.client();
    loop {
        let parameters = json!({"max": random.below(5) + 1, "timeoutACK": 2, "timeout": 1});
        let Some(response) = try_call(
            &mut client,
            &post(consumed.queue.route("poprel"), &parameters),
        ) else {
            return consumed;
        };
        // Some are acked, the others left to lapse.
        let ids: Vec<String> = Popped::parse(&response)
            .transactions
            .into_iter()
            .filter(|_| random.below(3) > 0)
            .collect();
        for id in &ids {
            consumed.acked.insert(id.clone(), Ack::InDoubt);
        }
        let ack = post(consumed.queue.route("ack"), &json!({"transactions": ids}));
        let Some(response) = try_call(&mut client, &ack) else {
            return consumed;
        };
        for result in response.json().as_array().unwrap() {
            assert_eq!(result["err"], Value::Null, "{result}");
            let id = result["data"].as_str().unwrap().to_owned();
            consumed.acked.insert(id, Ack::Answered);
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn check_produced(client: &mut Client, produced: &Produced) {
    let mut found = Vec::new();
    loop {
        let popped = client.pop(&produced.queue, &json!({"max": 10_000, "timeout": 1}));
        if popped.is_empty() {
            break;
        }
        found.extend(popped.transactions.into_iter().zip(popped.data));
    }
    let count = produced.acknowledged.len();
    assert!(found.len() >= count, "{} of {count} are left", found.len());
    for (place, (expected, got)) in produced.acknowledged.iter().zip(&found).enumerate() {
        assert_eq!(expected, got, "at {place}");
    }
    // The one whose answer never came may have been kept, whole.
    let extra: Vec<&String> = found[count..].iter().map(|(_, payload)| payload).collect();
    assert!(
        extra.is_empty() || extra == [&produced.in_doubt],
        "{extra:?}"
    );
}

fn check_consumed(client: &mut Client, consumed: &Consumed) {
    let due: Vec<&String> = consumed
        .all
        .iter()
        .map(|(id, _)| id)
        .filter(|id| !consumed.acked.contains_key(*id))
        .collect();
    let mut pending = BTreeMap::new();
    eventually("everything that was not acked is pending again", || {
        let peeked = client.peek(&consumed.queue);
        pending = peeked.transactions.into_iter().zip(peeked.data).collect();
        due.iter().all(|id| pending.contains_key(*id))
    });
    let payloads: BTreeMap<&String, &String> = consumed
        .all
        .iter()
        .map(|(id, payload)| (id, payload))
        .collect();
    for (id, payload) in &pending {
        assert_eq!(payloads.get(id), Some(&payload), "{id}");
        assert!(
            consumed.acked.get(id) != Some(&Ack::Answered),
            "{id} was acked"
        );
    }
    let popped = client.pop(&consumed.queue, &json!({"max": 10_000, "timeout": 1}));
    let distinct: BTreeMap<&String, &String> =
        popped.transactions.iter().zip(&popped.data).collect();
    assert_eq!(distinct.len(), popped.data.len(), "some are there twice");
    assert!(due.iter().all(|id| distinct.contains_key(*id)));
}

fn killed_under_load(durability: Durability) {
    if !Durability::all().contains(&durability) {
        println!("skipped: the store has no {durability:?}");
        return;
    }
    let mut random = Random::seeded("killed_under_load");
    let layout = Layout::fresh();
    let settings = || {
        Settings::on(&layout)
            .durability(durability)
            .set("server.workers", 2)
    };
    let server = settings().start();
    let backlogs: Vec<Consumed> = (0..CONSUMERS)
        .map(|_| {
            let queue = Queue::fresh();
            let payloads: Vec<String> = (0..BACKLOG)
                .map(|number| format!("{number}:{}", random.text(50)))
                .collect();
            let ids = server.client().push_many(&queue, &payloads);
            Consumed {
                queue,
                all: ids.into_iter().zip(payloads).collect(),
                acked: BTreeMap::new(),
            }
        })
        .collect();
    let answered = AtomicUsize::new(0);
    let extra_calls = random.below(300);
    let (produced, consumed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            let random = random.split();
            let (server, answered, produced) = (&server, &answered, &produced);
            scope.spawn(move || {
                let one = produce(server, random, answered);
                produced.lock().unwrap().push(one);
            });
        }
        for backlog in backlogs {
            let random = random.split();
            let (server, answered, consumed) = (&server, &answered, &consumed);
            scope.spawn(move || {
                let one = consume(server, random, backlog, answered);
                consumed.lock().unwrap().push(one);
            });
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while answered.load(Ordering::Relaxed) < ANSWERED_MIN + extra_calls
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(1));
        }
        server.signal(libc::SIGKILL);
    });
    assert!(
        answered.into_inner() >= ANSWERED_MIN,
        "too slow to mean anything"
    );
    drop(server);
    let server = settings().start();
    let mut client = server.client();
    for one in produced.into_inner().unwrap() {
        check_produced(&mut client, &one);
    }
    for one in consumed.into_inner().unwrap() {
        check_consumed(&mut client, &one);
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_every_write_is_synced() {
    killed_under_load(Durability::Sync);
}

#[test]
fn nothing_acknowledged_is_lost_when_writes_are_synced_at_intervals() {
    killed_under_load(Durability::Interval);
}
