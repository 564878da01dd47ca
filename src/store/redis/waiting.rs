//! Pops: those that are answered at once, and those that wait.
//!
//! To look for messages and to join the waiters is one step of the server's, so nothing can come between. What comes
//! later is handed over on the worker's own channel. The server knows a waiter by its worker's name, which is another
//! one for each connection: so one that has waited since before is nobody's, and is registered again.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use tracing::warn;

use super::{
    client::{Client, no_messages},
    connection::{Fault, Listener},
    handed::Handed,
    reader::Reader,
    shard::{Popped, QueueKey, Shard, Waiter, terms},
};
use crate::{
    mailbox::{Pop, Reply},
    runtime,
};

/// Names of its worker that a pop remembers. What was handed to it under others comes back when its lease lapses.
const EARLIER_MAX: usize = 4;

/// The pops of a worker that wait, by the numbers of their tickets.
#[derive(Default)]
pub(super) struct Waiters(RefCell<HashMap<u64, Waiting>>);

struct Waiting {
    pop: Pop,
    stage: Stage,
    /// Whether it has been among the waiters before, so that a connection that ends is no reason to refuse it.
    has_waited: bool,
    /// Nobody waits for messages any more.
    is_cancelled: bool,
    /// The name of its worker under which it was asked for last.
    asked_as: Option<Rc<str>>,
    /// Those under which it was before, in vain: what it was handed under them has come nowhere.
    earlier: Vec<Rc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server has been asked.
    Asked,
    /// The server knows it, unless the connection has ended since.
    Registered,
    /// It was handed messages, whose contents are on their way.
    Handed,
    /// It was answered with nothing while its server could not be asked. What it may have been handed in that time
    /// comes back when there is a connection again.
    Over,
}

impl Client {
    /// Takes messages or waits.
    pub(super) async fn pop(self: &Rc<Self>, number: u64, pop: Pop) {
        let queue = QueueKey::of(&pop.queue);
        if pop.wait {
            let waiting = Waiting {
                pop: pop.clone(),
                stage: Stage::Asked,
                has_waited: false,
                is_cancelled: false,
                asked_as: None,
                earlier: Vec::new(),
            };
            self.waiters.0.borrow_mut().insert(number, waiting);
        }
        self.try_pop(number, &queue, pop).await;
    }

    async fn try_pop(self: &Rc<Self>, number: u64, queue: &QueueKey, pop: Pop) {
        loop {
            let shard = self.shard_of(queue);
            let worker = shard.worker();
            let waiter = pop.wait.then_some(Waiter {
                worker: &worker,
                number,
            });
            let earlier = self.ask_as(number, &worker);
            let handed = match shard.pop(queue, &pop, waiter, &earlier).await {
                Ok(Popped::Messages(handed)) => handed,
                Ok(Popped::Again) => continue,
                // The connection has become another one between the asking and the sending, and whoever waits by that
                // name is nobody.
                Ok(Popped::Waits) if shard.worker() != worker => continue,
                Ok(Popped::Nothing) => return self.answer_with_nothing(number),
                Ok(Popped::Waits) => return Box::pin(self.note_waiting(number, true)).await,
                Err(fault) if self.waits_through(number, &fault) => {
                    // What it took goes back when it is tried again.
                    if shard.connection.is_up() && !fault.is_of_replica() {
                        continue;
                    }
                    return Box::pin(self.note_waiting(number, false)).await;
                }
                Err(fault) => {
                    self.waiters.0.borrow_mut().remove(&number);
                    return self.reply(number, Reply::Refused(fault.into()), None);
                }
            };
            // In boxes, these: what is asked for at once by thousands is to be small until it has something.
            if Box::pin(self.finish(number, queue, handed)).await {
                return;
            }
        }
    }

    /// Notes under which name of its worker a pop is asked for; gives those under which it was before. That they are
    /// told twice does no harm.
    fn ask_as(&self, number: u64, worker: &Rc<str>) -> Vec<Rc<str>> {
        let mut waiters = self.waiters.0.borrow_mut();
        let Some(waiting) = waiters.get_mut(&number) else {
            return Vec::new();
        };
        if !worker.is_empty()
            && let Some(before) = waiting.asked_as.replace(Rc::clone(worker))
            && before != *worker
        {
            if waiting.earlier.len() >= EARLIER_MAX {
                waiting.earlier.remove(0);
            }
            waiting.earlier.push(before);
        }
        waiting.earlier.clone()
    }

    /// Whether a pop waits on though its connection has ended.
    fn waits_through(&self, number: u64, fault: &Fault) -> bool {
        let waiters = self.waiters.0.borrow();
        let Some(waiting) = waiters.get(&number) else {
            return false;
        };
        matches!(fault, Fault::Lost(_))
            || waiting.has_waited && (fault.is_of_connection() || fault.is_of_replica())
    }

    /// Answers a pop with what it was handed. False if it is to go on, since all of that was of transactions that are
    /// gone. It stays among the waiters meanwhile, so that its cancelling is not missed.
    async fn finish(self: &Rc<Self>, number: u64, queue: &QueueKey, handed: Handed) -> bool {
        if let Some(waiting) = self.waiters.0.borrow_mut().get_mut(&number) {
            waiting.stage = Stage::Handed;
        }
        if self.bring(number, queue, handed).await {
            self.waiters.0.borrow_mut().remove(&number);
            return true;
        }
        let is_cancelled = match self.waiters.0.borrow_mut().get_mut(&number) {
            Some(waiting) => {
                waiting.stage = Stage::Asked;
                waiting.is_cancelled
            }
            None => false,
        };
        if is_cancelled {
            self.answer_with_nothing(number);
        }
        is_cancelled
    }

    fn answer_with_nothing(&self, number: u64) {
        self.waiters.0.borrow_mut().remove(&number);
        self.reply(number, no_messages(), None);
    }

    /// The server has a pop among its waiters, or, if it is not known there yet, will when there is a connection again.
    async fn note_waiting(self: &Rc<Self>, number: u64, is_known: bool) {
        let is_cancelled = {
            let mut waiters = self.waiters.0.borrow_mut();
            // Messages may have been handed over already.
            let Some(waiting) = waiters
                .get_mut(&number)
                .filter(|waiting| waiting.stage == Stage::Asked)
            else {
                return;
            };
            waiting.stage = Stage::Registered;
            waiting.has_waited = true;
            if is_known {
                // What it was handed by them has been taken back.
                waiting.earlier.clear();
            }
            waiting.is_cancelled
        };
        if is_cancelled {
            self.cancel(number).await;
        }
    }

    /// Ends a wait. If messages were handed over before that, they are the answer.
    pub(super) async fn cancel(self: &Rc<Self>, number: u64) {
        let pop = {
            let mut waiters = self.waiters.0.borrow_mut();
            let Some(waiting) = waiters.get_mut(&number) else {
                return;
            };
            waiting.is_cancelled = true;
            if waiting.stage != Stage::Registered {
                // Once the answer is there, or what was handed over turns out to be gone.
                return;
            }
            waiting.pop.clone()
        };
        let queue = QueueKey::of(&pop.queue);
        let shard = self.shard_of(&queue);
        let worker = shard.worker();
        let waiter = Waiter {
            worker: &worker,
            number,
        };
        // Whether it was still there or not: what was handed over has come before this answer.
        let cancelled = shard.cancel(&queue, &pop, waiter).await;
        {
            let mut waiters = self.waiters.0.borrow_mut();
            let waiting = waiters.get_mut(&number);
            let Some(waiting) = waiting.filter(|it| it.stage == Stage::Registered) else {
                return;
            };
            waiting.stage = Stage::Over;
        }
        match cancelled {
            // The next one will do.
            Err(fault) if fault.is_of_connection() && shard.worker() == worker => {}
            cancelled => self.forget(number, &queue, &pop, cancelled.is_ok()),
        }
        self.reply(number, no_messages(), None);
    }

    /// Forgets a waiter that is over. What it was handed and did not get comes back; under its last name that can be
    /// nothing if its cancelling was answered.
    fn forget(self: &Rc<Self>, number: u64, queue: &QueueKey, pop: &Pop, is_answered: bool) {
        let waiting = self.waiters.0.borrow_mut().remove(&number);
        let Some(waiting) = waiting.filter(|it| !is_answered || !it.earlier.is_empty()) else {
            return;
        };
        let names: Vec<Rc<str>> = waiting
            .earlier
            .into_iter()
            .chain(waiting.asked_as)
            .collect();
        let (this, queue, pop) = (Rc::clone(self), queue.clone(), pop.clone());
        self.spawn(async move {
            // If that fails, too, it comes back when its lease lapses.
            let shard = this.shard_of(&queue);
            let _ = shard.recover(&queue, &pop, number, &names).await;
        });
    }

    /// Messages for a waiter.
    fn hand_over(self: &Rc<Self>, number: u64, handed: Handed) {
        let waiting = {
            let mut waiters = self.waiters.0.borrow_mut();
            let waiting = waiters
                .get_mut(&number)
                .filter(|it| !matches!(it.stage, Stage::Handed | Stage::Over));
            waiting.map(|waiting| {
                waiting.stage = Stage::Handed;
                waiting.pop.clone()
            })
        };
        let Some(pop) = waiting else {
            // It cannot be told which queue they are of; their lease returns them.
            warn!(number, "messages for nobody");
            return;
        };
        let this = Rc::clone(self);
        self.spawn(async move {
            let queue = QueueKey::of(&pop.queue);
            if !this.finish(number, &queue, handed).await {
                this.try_pop(number, &queue, pop).await;
            }
        });
    }

    /// Registers again who waits on the queues of a server.
    fn register_again(self: &Rc<Self>, server: usize) {
        let mut again = Vec::new();
        let mut over = Vec::new();
        for (&number, waiting) in self.waiters.0.borrow_mut().iter_mut() {
            let queue = QueueKey::of(&waiting.pop.queue);
            if queue.server(self.shards.len()) != server {
                continue;
            }
            match waiting.stage {
                // Its cancelling is under way, and finds that there is another connection.
                Stage::Registered if waiting.is_cancelled => {}
                Stage::Registered => {
                    waiting.stage = Stage::Asked;
                    again.push((number, queue, waiting.pop.clone()));
                }
                Stage::Over => over.push((number, queue, waiting.pop.clone())),
                Stage::Asked | Stage::Handed => {}
            }
        }
        for (number, queue, pop) in over {
            self.forget(number, &queue, &pop, false);
        }
        // Tickets are numbered in the order of their requests.
        again.sort_unstable_by_key(|&(number, ..)| number);
        for (number, queue, pop) in again {
            let this = Rc::clone(self);
            // Not counted as one under way: it is none of those that clients ask for now.
            runtime::spawn(async move { this.try_pop(number, &queue, pop).await });
        }
    }
}

impl Shard {
    /// What a waiter that waits no more was handed in vain, by earlier names of its worker, comes back.
    pub(super) async fn recover(
        &self,
        key: &QueueKey,
        pop: &Pop,
        number: u64,
        earlier: &[Rc<str>],
    ) -> Result<(), Fault> {
        let answer = self.ask("recover", key, |arguments| {
            let (_, _, life_ms) = terms(pop);
            arguments.text(&earlier.join(" "));
            arguments.number(number);
            arguments.number(life_ms);
        });
        answer.await.map(|_| ())
    }
}

/// Follows the connection to one server of queues.
pub(super) struct Follower {
    client: Weak<Client>,
    server: usize,
}

impl Follower {
    pub(super) fn new(client: &Rc<Client>, server: usize) -> Rc<Self> {
        Rc::new(Self {
            client: Rc::downgrade(client),
            server,
        })
    }
}

impl Listener for Follower {
    fn connected(&self, worker: &str) {
        if let Some(client) = self.client.upgrade()
            && let Some(shard) = client.shards.get(self.server)
        {
            shard.set_worker(worker);
            // In this order: waiters of a worker that has not said that it is there are nobody's.
            let swept = client.sweep_shard(self.server);
            client.spawn(swept);
            client.register_again(self.server);
        }
    }

    fn message(&self, payload: Bytes) {
        if let Some(client) = self.client.upgrade() {
            let mut letters = Reader::new(&payload);
            while !letters.is_empty() {
                let Some((number, handed)) = read_letter(&mut letters) else {
                    warn!("hand-overs that make no sense");
                    return;
                };
                client.hand_over(number, handed);
            }
        }
    }
}

/// Reads `<ticket> <number of ids> <length of the payload, or -> <lease> <bytes> <deliveries> <ids><payload>`.
fn read_letter(letters: &mut Reader<'_>) -> Option<(u64, Handed)> {
    let ticket = letters.number()?;
    let count = usize::try_from(letters.number()?).ok()?;
    let payload_bytes = match letters.word()? {
        "-" => None,
        length => Some(length.parse().ok()?),
    };
    let mut handed = Handed::read(letters, Some(count))?;
    if let Some(length) = payload_bytes {
        handed.payload = Some(letters.bytes(length)?);
    }
    Some((ticket, handed))
}
