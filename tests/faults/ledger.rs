//! What was pushed and what came of it: everything that producers and consumers know, each with its moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::caller::Away;
use super::calm::Bound;
use super::letter::Parcel;

/// How many things are told that must not be seen at all.
const STRANGE_MAX: usize = 50;

/// How often a wait looks whether its bound is over.
const BOUND_LOOK: Duration = Duration::from_millis(100);

/// Milliseconds since the trial began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u32);

impl Moment {
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0).into())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:>4}.{:03} s", self.0 / 1000, self.0 % 1000)
    }
}

/// Who takes messages: the outlet's number and the consumer's within it.
pub(crate) type Consumer = u16;

/// One thing that happened to a message, or to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Sent to that agent.
    Pushed { agent: usize },
    /// Answered 200.
    Acknowledged,
    /// Answered with another status: it may be there or not.
    PushRefused { status: u16 },
    /// Not answered: it may be there or not.
    PushUnanswered { why: Away },
    /// In the answer to a request that was sent at `asked`; where it is to be acked, with how often it was delivered.
    Received {
        by: Consumer,
        asked: Moment,
        deliveries: Option<u64>,
    },
    /// Its ack is being sent.
    Acking,
    /// Its ack was answered; whether the server says that it was still there to be acked.
    Acked { is_known: bool },
    /// This is what its state was when somebody looked.
    Seen { state: State },
}

/// What `/trans/:id/state` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Blocked,
    Delivered,
    Dead,
    Expired,
    /// It is not listed, or the transaction is not known.
    Unknown,
}

/// An event and when it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Moment,
    pub(crate) event: Event,
}

/// What a push has led to, as far as its producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    UnderWay,
    /// There was no connection for it.
    Unsent,
    Acknowledged,
    Unknown,
}

/// A transaction in one of its queues.
pub(crate) struct Message {
    pub(crate) outlet: usize,
    pub(crate) entries: Vec<Entry>,
}

impl Message {
    pub(crate) fn receipts(&self) -> impl Iterator<Item = (Moment, Consumer, Moment)> {
        self.entries.iter().filter_map(|entry| match entry.event {
            Event::Received { by, asked, .. } => Some((entry.at, by, asked)),
            _ => None,
        })
    }

    pub(crate) fn is_received(&self) -> bool {
        self.receipts().next().is_some()
    }

    /// Whether somebody has seen it among the dead letters.
    pub(crate) fn has_died(&self) -> bool {
        let dead = Event::Seen { state: State::Dead };
        self.entries.iter().any(|entry| entry.event == dead)
    }

    /// Whether the server has said that it is done with.
    pub(crate) fn is_acked(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.event, Event::Acked { .. }))
    }

    fn note(&mut self, at: Moment, event: Event) {
        self.entries.push(Entry { at, event });
    }
}

/// What a producer sent.
pub(crate) struct Transaction {
    /// As the producer was told, or else as a consumer saw it.
    pub(crate) id: Option<String>,
    pub(crate) outcome: Outcome,
    /// Whether it has an end of its own, soon: it may end before anybody takes it.
    pub(crate) may_expire: bool,
    pub(crate) is_probe: bool,
    /// Whether it has an `Idempotency-Key`, and is repeated.
    pub(crate) is_keyed: bool,
    pub(crate) entries: Vec<Entry>,
    pub(crate) messages: Vec<Message>,
}

/// Who has seen an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    Producer,
    Consumer,
}

/// A transaction that has been seen with an id besides the one it has in the ledger.
#[derive(PartialEq, Eq)]
pub(crate) struct Double {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) by: Witness,
}

/// All of it.
pub(crate) struct Books {
    pub(crate) transactions: Vec<Transaction>,
    /// The transactions by their ids, as far as those are known.
    pub(crate) numbers: HashMap<String, usize>,
    pub(crate) doubles: Vec<Double>,
    /// How many dead letters were put back.
    pub(crate) redriven: usize,
    /// What must not be seen at all, in words.
    pub(crate) strange: Vec<String>,
    /// Of each outlet, how often a client has left that may have been answered.
    pub(crate) departures: Vec<usize>,
}

pub(crate) struct Ledger {
    began: Instant,
    books: Mutex<Books>,
    /// Rung when a probe is received.
    probe_received: Condvar,
}

/// A transaction that is about to be pushed.
pub(crate) struct Opening<'a> {
    pub(crate) outlets: &'a [usize],
    pub(crate) may_expire: bool,
    pub(crate) is_probe: bool,
    pub(crate) is_keyed: bool,
}

impl Ledger {
    pub(crate) fn new(outlets: usize) -> Self {
        Self {
            began: Instant::now(),
            books: Mutex::new(Books {
                transactions: Vec::new(),
                numbers: HashMap::new(),
                doubles: Vec::new(),
                redriven: 0,
                strange: Vec::new(),
                departures: vec![0; outlets],
            }),
            probe_received: Condvar::new(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX))
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down a transaction before it is pushed; its number.
    pub(crate) fn open(&self, opening: &Opening) -> usize {
        let mut books = self.books();
        books.transactions.push(Transaction {
            id: None,
            outcome: Outcome::UnderWay,
            may_expire: opening.may_expire,
            is_probe: opening.is_probe,
            is_keyed: opening.is_keyed,
            entries: Vec::new(),
            messages: opening
                .outlets
                .iter()
                .map(|&outlet| Message {
                    outlet,
                    entries: Vec::new(),
                })
                .collect(),
        });
        books.transactions.len() - 1
    }

    /// What its producer has done or learnt.
    pub(crate) fn note_push(&self, number: usize, event: Event) {
        let at = self.now();
        let transaction = &mut self.books().transactions[number];
        transaction.entries.push(Entry { at, event });
        // What a repeat leads to takes nothing back.
        transaction.outcome = match (transaction.outcome, event) {
            (Outcome::Acknowledged, _) | (_, Event::Acknowledged) => Outcome::Acknowledged,
            (Outcome::Unknown, _) => Outcome::Unknown,
            (_, Event::PushUnanswered { why: Away::Refused }) => Outcome::Unsent,
            (_, Event::PushRefused { .. } | Event::PushUnanswered { .. }) => Outcome::Unknown,
            (outcome, _) => outcome,
        };
    }

    /// Which id goes with the number; it must stay the same.
    pub(crate) fn identify(&self, number: usize, id: &str, by: Witness) {
        let mut books = self.books();
        match &books.transactions[number].id {
            Some(known) if known == id => {}
            Some(_) => {
                let id = id.to_owned();
                let double = Double { number, id, by };
                if !books.doubles.contains(&double) {
                    books.doubles.push(double);
                }
            }
            None => {
                books.transactions[number].id = Some(id.to_owned());
                books.numbers.insert(id.to_owned(), number);
            }
        }
    }

    /// A message has come out of that outlet, so many times by now.
    pub(crate) fn received(
        &self,
        parcel: &Parcel,
        outlet: usize,
        by: Consumer,
        asked: Moment,
    ) -> usize {
        let event = Event::Received {
            by,
            asked,
            deliveries: parcel.deliveries,
        };
        self.identify(parcel.number, &parcel.id, Witness::Consumer);
        if self.note(parcel.number, outlet, event) {
            self.probe_received.notify_all();
        }
        let books = self.books();
        let messages = &books.transactions[parcel.number].messages;
        let message = messages.iter().find(|message| message.outlet == outlet);
        message.map_or(0, |message| message.receipts().count())
    }

    /// A dead letter with that id is in that outlet.
    pub(crate) fn died(&self, id: &str, outlet: usize) {
        let number = self.books().numbers.get(id).copied();
        // Nobody need have seen it: its push may be in doubt, and its consumers may be gone.
        if let Some(number) = number {
            let state = State::Dead;
            self.note(number, outlet, Event::Seen { state });
        }
    }

    /// So many dead letters were put back.
    pub(crate) fn redriven(&self, count: usize) {
        self.books().redriven += count;
    }

    /// What else is known of a message; whether it is a probe.
    pub(crate) fn note(&self, number: usize, outlet: usize, event: Event) -> bool {
        let at = self.now();
        let mut books = self.books();
        let Some(transaction) = books.transactions.get_mut(number) else {
            books.strange(format!("a message {number} that nobody pushed"));
            return false;
        };
        let is_probe = transaction.is_probe;
        match transaction
            .messages
            .iter_mut()
            .find(|message| message.outlet == outlet)
        {
            Some(message) => message.note(at, event),
            None => books.strange(format!(
                "transaction {number} came out of queue {outlet}, where nobody pushed it"
            )),
        }
        is_probe
    }

    /// What must not be seen at all.
    pub(crate) fn strange(&self, text: &str) {
        let text = format!("{} {text}", self.now());
        self.books().strange(text);
    }

    /// A client has left that may have been answered.
    pub(crate) fn departed(&self, outlet: usize) {
        self.books().departures[outlet] += 1;
    }

    /// Waits until those have been received; the numbers of those that have not by then.
    pub(crate) fn await_probes(&self, numbers: &[usize], bound: &Bound) -> Vec<usize> {
        let mut books = self.books();
        loop {
            let missing: Vec<usize> = numbers
                .iter()
                .copied()
                .filter(|&number| !books.transactions[number].messages[0].is_received())
                .collect();
            if missing.is_empty() || bound.is_over() {
                return missing;
            }
            books = self
                .probe_received
                .wait_timeout(books, BOUND_LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Books {
    fn strange(&mut self, text: String) {
        if self.strange.len() < STRANGE_MAX {
            self.strange.push(text);
        }
    }
}
