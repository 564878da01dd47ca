//! Producers and borrowers that a server dies under, and what each of them knows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use popbox_test_support::{Client, Popped, Queue, Random, Request, Response, Server, get, post};
use serde_json::{Value, json};

const PRODUCERS: usize = 3;

/// How long an answer may take on a busy machine, a checkpoint being taken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that was asked of one store, and what was answered.
pub(super) struct Load {
    producers: Vec<Producer>,
    borrower: Borrower,
}

/// Pushes to a queue of its own, which nobody takes from.
struct Producer {
    queue: Queue,
    /// Acknowledged, as id and payload, in order.
    acknowledged: Vec<(String, String)>,
    /// Pushed without an answer.
    in_doubt: Vec<String>,
    count: usize,
    filler: String,
}

/// Pushes to a queue of its own, and borrows and acks what is in it.
struct Borrower {
    queue: Queue,
    /// How many it has in its queue before it borrows, if it can.
    stock: usize,
    /// What is known of each message.
    known: BTreeMap<String, Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pushed,
    /// An ack is on its way, or was when the server died.
    AckInDoubt,
    Acked,
}

/// How far a load has come, and when it is to end.
pub(super) struct Progress {
    answered: AtomicUsize,
    refused: AtomicUsize,
    acked: AtomicUsize,
    enough: AtomicUsize,
}

impl Progress {
    /// It ends after so many answers.
    pub(super) fn until(answers: usize) -> Self {
        Self {
            answered: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            acked: AtomicUsize::new(0),
            enough: AtomicUsize::new(answers),
        }
    }

    /// It ends when told so.
    pub(super) fn endless() -> Self {
        Self::until(usize::MAX)
    }

    /// Tells it so, at the latest when what this gives is dropped, by a failing test too.
    pub(super) fn end_with(&self) -> Ending<'_> {
        Ending(self)
    }

    /// Pushes and acks that were taken.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Pushes that were refused.
    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Acks that were taken.
    pub(super) fn acked(&self) -> usize {
        self.acked.load(Ordering::Relaxed)
    }

    fn goes_on(&self) -> bool {
        self.answered() < self.enough.load(Ordering::Relaxed)
    }

    /// Takes note of the answer to a push; its id, if it was taken. A refused one is nowhere.
    fn note_push(&self, response: &Response) -> Option<String> {
        if response.status == 503 {
            response.assert_some_error(503);
            assert!(response.header("retry-after").is_some(), "{response:?}");
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        response.assert_json_head(200);
        self.answered.fetch_add(1, Ordering::Relaxed);
        Some(response.json()["data"].as_str().unwrap().to_owned())
    }
}

/// Ends a load when it is dropped.
pub(super) struct Ending<'a>(&'a Progress);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.enough.store(0, Ordering::Relaxed);
    }
}

/// One call that the death of the server may cut off.
fn try_call(client: &mut Client, request: &Request) -> Option<Response> {
    let bytes = request.bytes(client.host());
    client.try_send_raw(&bytes).ok()?;
    client.try_receive(PATIENCE).ok()
}

fn push_to(queue: &Queue, payload: &str) -> Request {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    post("/trans", &body)
}

impl Load {
    /// Pushes that fill the journal soon, or many small ones; and so many messages before the first is borrowed.
    pub(super) fn new(random: &mut Random, are_large: bool, stock: usize) -> Self {
        let producers = (0..PRODUCERS).map(|_| Producer {
            queue: Queue::fresh(),
            acknowledged: Vec::new(),
            in_doubt: Vec::new(),
            count: 0,
            filler: if are_large {
                "x".repeat(60_000 + random.below(60_000))
            } else {
                random.text(300)
            },
        });
        Self {
            producers: producers.collect(),
            borrower: Borrower {
                queue: Queue::fresh(),
                stock,
                known: BTreeMap::new(),
            },
        }
    }

    /// Asks until the server dies or there has been enough.
    pub(super) fn run(&mut self, server: &Server, random: &mut Random, progress: &Progress) {
        thread::scope(|scope| {
            for producer in &mut self.producers {
                scope.spawn(|| {
                    if let Ok(mut client) = Client::try_connect(server.addr) {
                        while progress.goes_on() && producer.push(&mut client, progress).is_some() {
                        }
                    }
                });
            }
            let (borrower, mut random) = (&mut self.borrower, random.split());
            scope.spawn(move || {
                if let Ok(mut client) = Client::try_connect(server.addr) {
                    while progress.goes_on()
                        && borrower.turn(&mut client, &mut random, progress).is_some()
                    {
                    }
                }
            });
        });
    }

    /// Everything acknowledged is there, in order and unchanged; nothing else but what was not answered. Takes it all
    /// out of the queues of the producers.
    #[track_caller]
    pub(super) fn assert_kept(&self, client: &mut Client) {
        for producer in &self.producers {
            producer.assert_kept(client);
        }
        self.borrower.assert_kept(client);
    }

    /// How many pushes and acks were answered.
    pub(super) fn acknowledged(&self) -> usize {
        let pushes: usize = self.producers.iter().map(|it| it.acknowledged.len()).sum();
        pushes + self.borrower.known.len()
    }
}

impl Producer {
    fn push(&mut self, client: &mut Client, progress: &Progress) -> Option<()> {
        self.count += 1;
        let payload = format!("{}:{}", self.count, self.filler);
        let Some(response) = try_call(client, &push_to(&self.queue, &payload)) else {
            self.in_doubt.push(payload);
            return None;
        };
        if let Some(id) = progress.note_push(&response) {
            self.acknowledged.push((id, payload));
        }
        Some(())
    }

    fn assert_kept(&self, client: &mut Client) {
        let mut found = Vec::new();
        loop {
            let size = &client.queue_info(&self.queue)["size"];
            if *size == json!(0) {
                break;
            }
            let popped = client.pop(&self.queue, &json!({"max": 10_000, "timeout": 1}));
            found.extend(popped.transactions.into_iter().zip(popped.data));
        }
        let mut found = found.iter();
        let mut unanswered: Vec<&String> = self.in_doubt.iter().collect();
        let mut take_doubtful = |payload: &String, place: usize| {
            let known = unanswered.iter().position(|&it| it == payload);
            let known = known.unwrap_or_else(|| panic!("a stranger before {place}: {payload:.40}"));
            unanswered.remove(known);
        };
        for (place, (id, payload)) in self.acknowledged.iter().enumerate() {
            loop {
                let (found_id, found_payload) = found.next().unwrap_or_else(|| {
                    let count = self.acknowledged.len();
                    panic!("LOST: {id}, {payload:.40}, {place} of {count}")
                });
                if found_id == id {
                    assert!(found_payload == payload, "{id} is not what was pushed");
                    break;
                }
                take_doubtful(found_payload, place);
            }
        }
        for (_, payload) in found {
            take_doubtful(payload, self.acknowledged.len());
        }
    }
}

impl Borrower {
    /// One push, or one round of borrowing and acking.
    fn turn(
        &mut self,
        client: &mut Client,
        random: &mut Random,
        progress: &Progress,
    ) -> Option<()> {
        let left = self
            .known
            .values()
            .filter(|&&fate| fate == Fate::Pushed)
            .count();
        if left < self.stock {
            let response = try_call(client, &push_to(&self.queue, "to be borrowed"))?;
            if let Some(id) = progress.note_push(&response) {
                self.known.insert(id, Fate::Pushed);
                return Some(());
            }
        }
        let parameters = json!({"max": 1 + random.below(3), "timeout": 1, "timeoutACK": 1});
        let response = try_call(client, &post(self.queue.route("poprel"), &parameters))?;
        let popped = Popped::parse(&response);
        for id in &popped.transactions {
            assert!(self.known.get(id) != Some(&Fate::Acked), "{id} was acked");
            // One whose push was not answered may come.
            self.known.insert(id.clone(), Fate::AckInDoubt);
        }
        let ids = json!({"transactions": popped.transactions});
        let response = try_call(client, &post(self.queue.route("ack"), &ids))?;
        for result in response.json().as_array().unwrap() {
            assert_eq!(result["err"], Value::Null, "{result}");
            let id = result["data"].as_str().unwrap().to_owned();
            self.known.insert(id, Fate::Acked);
            progress.acked.fetch_add(1, Ordering::Relaxed);
        }
        progress.answered.fetch_add(1, Ordering::Relaxed);
        Some(())
    }

    fn assert_kept(&self, client: &mut Client) {
        for (id, fate) in &self.known {
            let state = client.call(&get(format!("/trans/{id}/state"))).json();
            let state = &state["data"][&self.queue.id];
            let is_possible = match fate {
                Fate::Pushed => ["Pending", "Blocked"].contains(&state.as_str().unwrap_or("")),
                Fate::AckInDoubt => state.is_string(),
                // With its last message delivered, a transaction may be told of or be gone.
                Fate::Acked => state.is_null() || state == "Delivered",
            };
            assert!(is_possible, "{id} is {state}, and was {fate:?}");
        }
    }
}
