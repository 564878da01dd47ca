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
    client::{Client, UnderWay, no_messages},
    connection::{Fault, Listener},
    handed::Handed,
    reader::Reader,
    shard::{Popped, QueueKey, Shard, Terms, Waiter, takers},
};
use crate::mailbox::{Pop, Reply};

/// Names of its worker that a pop remembers. What was handed to it under others comes back when its lease lapses.
const EARLIER_MAX: usize = 4;

/// The length of a payload that does not come with a hand-over.
const NO_PAYLOAD: u32 = u32::MAX;

/// The pops of a worker that have no answer yet, by the numbers of their tickets.
///
/// Most of them wait, and an entry here is all that a waiting one has: no task waits with it. In boxes, so that room
/// for more costs little.
#[derive(Default)]
pub(super) struct Waiters(RefCell<HashMap<u64, Box<Waiting>>>);

struct Waiting {
    pop: Pop,
    /// Which of the servers has its queue.
    server: u32,
    stage: Stage,
    /// How often it has been asked for: an answer to an earlier asking is none to the last.
    askings: u8,
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

impl Waiting {
    /// Notes under which name of its worker it is asked for. That the server is told twice of those before does no
    /// harm.
    fn ask_as(&mut self, worker: &Rc<str>) {
        if !worker.is_empty()
            && let Some(before) = self.asked_as.replace(Rc::clone(worker))
            && before != *worker
        {
            if self.earlier.len() >= EARLIER_MAX {
                self.earlier.remove(0);
            }
            self.earlier.push(before);
        }
    }

    /// Whether it waits on though its connection has ended.
    fn waits_through(&self, fault: &Fault) -> bool {
        let is_lost = matches!(fault, Fault::Lost(_));
        let is_away = fault.is_of_connection() || fault.is_of_replica();
        self.pop.wait && (is_lost || self.has_waited && is_away)
    }
}

impl Client {
    /// Takes messages or waits.
    pub(super) fn pop(self: &Rc<Self>, number: u64, pop: Pop) {
        let queue = QueueKey::of(&pop.queue);
        let mut waiting = Box::new(Waiting {
            pop,
            // There are far fewer than that.
            server: u32::try_from(queue.server(self.shards.len())).unwrap_or_default(),
            stage: Stage::Asked,
            askings: 0,
            has_waited: false,
            is_cancelled: false,
            asked_as: None,
            earlier: Vec::new(),
        });
        self.ask_server(number, &mut waiting, &queue, Some(UnderWay::of(self)));
        self.waiters.0.borrow_mut().insert(number, waiting);
    }

    /// Asks again for a pop.
    fn try_pop(self: &Rc<Self>, number: u64, under_way: Option<UnderWay>) {
        if let Some(waiting) = self.waiters.0.borrow_mut().get_mut(&number) {
            let queue = QueueKey::of(&waiting.pop.queue);
            self.ask_server(number, waiting, &queue, under_way);
        }
    }

    /// Asks the server, which answers later. It is an operation under way until then, unless it has been one before.
    fn ask_server(
        self: &Rc<Self>,
        number: u64,
        waiting: &mut Waiting,
        queue: &QueueKey,
        under_way: Option<UnderWay>,
    ) {
        let shard = self.shard_at(waiting.server);
        let worker = shard.worker();
        waiting.ask_as(&worker);
        let waiter = waiting.pop.wait.then_some(Waiter {
            worker: &worker,
            number,
        });
        waiting.askings = waiting.askings.wrapping_add(1);
        let asking = waiting.askings;
        let (pop, earlier, this) = (&waiting.pop, &waiting.earlier, Rc::clone(self));
        shard.pop(queue, pop, waiter, earlier, move |popped| {
            this.note_popped(number, asking, popped, under_way);
        });
    }

    /// What the server says to a pop.
    fn note_popped(
        self: &Rc<Self>,
        number: u64,
        asking: u8,
        popped: Result<Popped, Fault>,
        under_way: Option<UnderWay>,
    ) {
        match popped {
            Ok(Popped::Messages(handed)) => self.finish(number, handed),
            // It was handed messages before this came, which are its answer or have been.
            _ if !self.is_asked(number, asking) => {}
            Ok(Popped::Again) => self.try_pop(number, under_way),
            // The connection has become another one between the asking and the sending, and whoever waits by that
            // name is nobody, or had none and was not taken for one who waits.
            Ok(Popped::Waits | Popped::Nothing) if !self.is_asked_by_its_name(number) => {
                self.try_pop(number, under_way);
            }
            Ok(Popped::Waits) => self.note_waiting(number, true),
            Ok(Popped::Nothing) => self.answer_with_nothing(number),
            Err(fault) => self.note_not_popped(number, fault, under_way),
        }
    }

    /// Whether it is the answer to this asking that a pop goes on with.
    fn is_asked(&self, number: u64, asking: u8) -> bool {
        let waiters = self.waiters.0.borrow();
        let waiting = waiters.get(&number);
        waiting.is_some_and(|it| it.stage == Stage::Asked && it.askings == asking)
    }

    /// Whether the name by which a pop was asked for is still its worker's, where that makes a difference.
    fn is_asked_by_its_name(&self, number: u64) -> bool {
        let waiters = self.waiters.0.borrow();
        let waiting = waiters.get(&number).filter(|it| it.pop.wait);
        waiting.is_none_or(|waiting| {
            let asked_as = waiting.asked_as.as_deref().unwrap_or_default();
            asked_as == &*self.shard_at(waiting.server).worker()
        })
    }

    fn note_not_popped(self: &Rc<Self>, number: u64, fault: Fault, under_way: Option<UnderWay>) {
        let mut waiters = self.waiters.0.borrow_mut();
        let waiting = waiters.get(&number);
        if let Some(waiting) = waiting.filter(|it| it.waits_through(&fault)) {
            let is_up = self.shard_at(waiting.server).connection.is_up();
            drop(waiters);
            // What it took goes back when it is tried again.
            return if is_up && !fault.is_of_replica() {
                self.try_pop(number, under_way);
            } else {
                self.note_waiting(number, false);
            };
        }
        waiters.remove(&number);
        drop(waiters);
        self.reply(number, Reply::Refused(fault.into()), None);
    }

    /// Answers a pop with what it was handed, or goes on with it if all of that was of transactions that are gone. It
    /// stays here meanwhile, so that its cancelling is not missed.
    fn finish(self: &Rc<Self>, number: u64, handed: Handed) {
        let mut waiters = self.waiters.0.borrow_mut();
        let Some(waiting) = waiters.get_mut(&number) else {
            return warn_of_nobody(number);
        };
        waiting.stage = Stage::Handed;
        let (name, shard) = (waiting.pop.queue.clone(), self.shard_at(waiting.server));
        if let Some((handout, contents)) = self.read_carried(shard, &handed) {
            waiters.remove(&number);
            drop(waiters);
            return self.reply(number, Reply::Messages(handout), contents);
        }
        drop(waiters);
        self.operate(async move |this| {
            if this.bring(number, &QueueKey::of(&name), handed).await {
                this.waiters.0.borrow_mut().remove(&number);
            } else {
                this.go_on(number);
            }
        });
    }

    /// What a pop was handed is gone.
    fn go_on(self: &Rc<Self>, number: u64) {
        let is_cancelled = match self.waiters.0.borrow_mut().get_mut(&number) {
            Some(waiting) => {
                waiting.stage = Stage::Asked;
                waiting.is_cancelled
            }
            None => return,
        };
        if is_cancelled {
            self.answer_with_nothing(number);
        } else {
            self.try_pop(number, Some(UnderWay::of(self)));
        }
    }

    fn answer_with_nothing(&self, number: u64) {
        self.waiters.0.borrow_mut().remove(&number);
        self.reply(number, no_messages(), None);
    }

    /// The server has a pop among its waiters, or, if it is not known there yet, will when there is a connection again.
    fn note_waiting(self: &Rc<Self>, number: u64, is_known: bool) {
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
                waiting.earlier = Vec::new();
            }
            waiting.is_cancelled
        };
        if is_cancelled {
            self.cancel(number);
        }
    }

    /// Ends a wait. If messages were handed over before that, they are the answer.
    pub(super) fn cancel(self: &Rc<Self>, number: u64) {
        let mut waiters = self.waiters.0.borrow_mut();
        let Some(waiting) = waiters.get_mut(&number).filter(|it| it.pop.wait) else {
            return;
        };
        waiting.is_cancelled = true;
        if waiting.stage != Stage::Registered {
            // Once the answer is there, or what was handed over turns out to be gone.
            return;
        }
        self.ask_to_cancel(number, &waiting.pop, true);
    }

    fn ask_to_cancel(self: &Rc<Self>, number: u64, pop: &Pop, is_first: bool) {
        let queue = QueueKey::of(&pop.queue);
        let shard = self.shard_of(&queue);
        let worker = shard.worker();
        let waiter = Waiter {
            worker: &worker,
            number,
        };
        let under_way = UnderWay::of(self);
        let asked_as = Rc::clone(&worker);
        shard.cancel(&queue, pop, waiter, move |cancelled| {
            let client = under_way.client();
            if is_first && matches!(cancelled, Ok(false)) {
                client.cancel_again(number);
            } else {
                client.note_cancelled(number, &asked_as, cancelled.map(drop));
            }
        });
    }

    /// A wait that was to end was not there any more: what it was handed has come before that answer, or, from some
    /// servers, comes right behind it. So it has come before the next one.
    fn cancel_again(self: &Rc<Self>, number: u64) {
        let waiters = self.waiters.0.borrow();
        if let Some(waiting) = waiters
            .get(&number)
            .filter(|it| it.stage == Stage::Registered)
        {
            self.ask_to_cancel(number, &waiting.pop, false);
        }
    }

    /// A wait that was asked to end under that name of its worker has ended, and what was handed over has come.
    fn note_cancelled(
        self: &Rc<Self>,
        number: u64,
        worker: &Rc<str>,
        cancelled: Result<(), Fault>,
    ) {
        let (server, is_its_name) = {
            let mut waiters = self.waiters.0.borrow_mut();
            let waiting = waiters.get_mut(&number);
            let Some(waiting) = waiting.filter(|it| it.stage == Stage::Registered) else {
                return;
            };
            waiting.stage = Stage::Over;
            (waiting.server, waiting.asked_as.as_ref() == Some(worker))
        };
        match cancelled {
            // The next one will do.
            Err(fault) if fault.is_of_connection() && self.shard_at(server).worker() == *worker => {
            }
            cancelled => self.forget(number, cancelled.is_ok() && is_its_name),
        }
        self.reply(number, no_messages(), None);
    }

    /// Forgets a waiter that is over. What it was handed and did not get comes back; under its last name that can be
    /// nothing if its cancelling was answered.
    fn forget(self: &Rc<Self>, number: u64, is_answered: bool) {
        let waiting = self.waiters.0.borrow_mut().remove(&number);
        let Some(waiting) = waiting.filter(|it| !is_answered || !it.earlier.is_empty()) else {
            return;
        };
        self.operate(async move |this| {
            let Waiting {
                pop,
                asked_as,
                earlier,
                ..
            } = *waiting;
            let names: Vec<Rc<str>> = earlier.into_iter().chain(asked_as).collect();
            let queue = QueueKey::of(&pop.queue);
            let shard = this.shard_of(&queue);
            // If that fails, too, it comes back when its lease lapses.
            let _ = shard.recover(&queue, &pop, number, &names).await;
        });
    }

    /// Messages for a waiter.
    fn hand_over(self: &Rc<Self>, number: u64, handed: Handed) {
        let waiters = self.waiters.0.borrow();
        let waiting = waiters.get(&number);
        let is_waiting = waiting.is_some_and(|it| !matches!(it.stage, Stage::Handed | Stage::Over));
        drop(waiters);
        if is_waiting {
            self.finish(number, handed);
        } else {
            warn_of_nobody(number);
        }
    }

    /// Registers again who waits on the queues of a server.
    fn register_again(self: &Rc<Self>, server: usize) {
        let mut again = Vec::new();
        let mut over = Vec::new();
        for (&number, waiting) in self.waiters.0.borrow_mut().iter_mut() {
            if usize::try_from(waiting.server) != Ok(server) {
                continue;
            }
            match waiting.stage {
                // Its cancelling is under way, and finds that there is another connection.
                Stage::Registered if waiting.is_cancelled => {}
                Stage::Registered => {
                    waiting.stage = Stage::Asked;
                    again.push(number);
                }
                Stage::Over => over.push(number),
                Stage::Asked | Stage::Handed => {}
            }
        }
        for number in over {
            self.forget(number, false);
        }
        // Tickets are numbered in the order of their requests.
        again.sort_unstable();
        for number in again {
            // Not counted as one under way: it is none of those that clients ask for now.
            self.try_pop(number, None);
        }
    }

    fn shard_at(&self, server: u32) -> &Rc<Shard> {
        // It was found for a queue, by their number.
        &self.shards[server as usize]
    }
}

/// It cannot be told which queue they are of; their lease returns them.
fn warn_of_nobody(number: u64) {
    warn!(number, "messages for nobody");
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
            arguments.bytes(&takers(earlier, number));
            arguments.number(Terms::of(pop).life_ms);
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
            client.operate(async move |_| swept.await);
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

/// Reads a hand-over: the ticket it is for, what is handed out, and a payload if there is one.
fn read_letter(letters: &mut Reader<'_>) -> Option<(u64, Handed)> {
    let ticket = u64::from_be_bytes(letters.array()?);
    let payload_bytes = u32::from_be_bytes(letters.array()?);
    let mut handed = Handed::read(letters)?;
    if payload_bytes != NO_PAYLOAD {
        handed.payload = Some(letters.bytes(usize::try_from(payload_bytes).ok()?)?);
    }
    Some((ticket, handed))
}
