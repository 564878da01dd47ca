//! A server of queues: the operations on a queue.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    batch::{Arguments, Batcher},
    client::Limits,
    clock::Clock,
    connection::{Connection, Fault},
    handed::Handed,
    keys,
    library::Function,
    news,
    reader::Reader,
    record::whole,
    sweep::Rounds,
};
use crate::{
    mailbox::{LeaseId, LeaseKind, Pop, QueueInfo, QueueName, Return, TransactionId, UnixMillis},
    runtime::Timers,
    store::Transitions,
};

/// Queues that one sweep looks at.
const SWEPT_AT_ONCE: u64 = 64;

/// A worker's way to a server of queues. Its connection is the worker's subscription there as well.
pub(super) struct Shard {
    pub(super) connection: Connection,
    pub(super) clock: Rc<Clock>,
    /// Pushes, which a server without memory refuses.
    pub(super) pushes: Rc<Batcher>,
    /// Everything else.
    others: Rc<Batcher>,
    pub(super) rounds: Rounds,
    /// Whether the records of all transactions are on it.
    has_records: bool,
    /// This worker's name there, another one for each connection.
    worker: RefCell<Rc<str>>,
    /// Whether it has told the server by that name that it is there.
    pub(super) has_swept: Cell<bool>,
}

/// A queue's name, as servers know it.
#[derive(Clone, Debug)]
pub(super) struct QueueKey {
    pub(super) name: QueueName,
    pub(super) key: String,
}

impl QueueKey {
    pub(super) fn of(name: &QueueName) -> Self {
        Self {
            name: name.clone(),
            key: keys::queue_key(name),
        }
    }

    /// What records and lists name it by.
    pub(super) fn tag(&self) -> &str {
        keys::queue_tag(&self.key)
    }

    /// Which of so many servers has it.
    pub(super) fn server(&self, servers: usize) -> usize {
        keys::server_of(&self.key, servers)
    }
}

/// What a pop gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Messages(Handed),
    /// It has joined the queue's waiters.
    Waits,
    Nothing,
    /// Nothing yet: to look at more in one go would have held up the server.
    Again,
}

/// A waiter's names: its worker and its number there.
#[derive(Clone, Copy)]
pub(super) struct Waiter<'name> {
    pub(super) worker: &'name str,
    pub(super) number: u64,
}

/// What a sweep tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Swept {
    /// Whether the server had known that this worker is there.
    pub(super) was_known: bool,
    /// When there is more to do.
    pub(super) next: Option<UnixMillis>,
}

/// Leases are `ends * LEASES_A_MILLISECOND + number + is reliable`.
const LEASES_A_MILLISECOND: u64 = 1024;

/// When a lease lapses, unless it is settled before.
pub(super) fn lease_ends(lease: LeaseId) -> UnixMillis {
    UnixMillis(lease.0 / LEASES_A_MILLISECOND)
}

/// Whether consumers settle it.
pub(super) fn is_reliable(lease: LeaseId) -> bool {
    lease.0 % 2 == 1
}

impl Shard {
    pub(super) fn new(
        connection: Connection,
        clock: Rc<Clock>,
        limits: &Limits,
        transitions: &Arc<Transitions>,
        has_records: bool,
        timers: &Rc<Timers>,
    ) -> Self {
        let retention_ms = u64::try_from(limits.queue_retention.as_millis()).unwrap_or(u64::MAX);
        let (queues_max, waiters_max) = (limits.queues_max as u64, limits.waiters_max as u64);
        let (deliveries_max, tells_all) = (limits.deliveries_max as u64, limits.tells_all);
        let batcher = |function| {
            let (clock, transitions) = (Rc::clone(&clock), Arc::clone(transitions));
            Batcher::new(
                connection.clone(),
                function,
                move |arguments| {
                    arguments.number(clock.for_functions());
                    arguments.number(retention_ms);
                    arguments.number(queues_max);
                    arguments.number(waiters_max);
                    arguments.number(deliveries_max);
                    arguments.number(tells_all.into());
                },
                move |news| news::tell(&news, &transitions),
            )
        };
        Self {
            pushes: batcher(Function::Push),
            others: batcher(Function::Queue),
            rounds: Rounds::new(timers, &clock),
            worker: RefCell::new("".into()),
            has_swept: Cell::new(false),
            has_records,
            connection,
            clock,
        }
    }

    pub(super) fn worker(&self) -> Rc<str> {
        Rc::clone(&self.worker.borrow())
    }

    /// There is a new connection, and on it this worker has this name.
    pub(super) fn set_worker(&self, worker: &str) {
        let before = self.worker.replace(worker.into());
        self.has_swept.set(false);
        if !before.is_empty() {
            // The server may not have noticed yet that nobody listens there.
            let gone = [b"ZREM", keys::WORKERS.as_bytes(), before.as_bytes()];
            drop(self.connection.call(&gone));
        }
    }

    pub(super) fn ask(
        &self,
        name: &str,
        key: &QueueKey,
        write: impl FnOnce(&mut Arguments<'_>),
    ) -> super::connection::Answer<Bytes> {
        self.others.ask(&key.key, |arguments| {
            arguments.text(name);
            write(arguments);
        })
    }

    /// Takes messages, or waits if it has a waiter's names. What the same waiter was handed in vain, under `earlier`
    /// names of its worker, comes back first. What it gets is for `then`.
    pub(super) fn pop(
        &self,
        key: &QueueKey,
        pop: &Pop,
        waiter: Option<Waiter<'_>>,
        earlier: &[Rc<str>],
        then: impl FnOnce(Result<Popped, Fault>) + 'static,
    ) {
        let is_waiter = waiter.is_some();
        let write = |arguments: &mut Arguments<'_>| {
            arguments.text("pop");
            arguments.expect_ids(pop.count_max.min(POP_MAX));
            arguments.bytes(&Terms::of(pop).write());
            if let Some(waiter) = waiter {
                arguments.bytes(&waiter.write(pop));
                arguments.bytes(&takers(earlier, waiter.number));
            } else {
                arguments.text("");
                arguments.text("");
            }
            arguments.number(self.has_records.into());
        };
        self.others.ask_then(&key.key, write, move |reply| {
            let read = |reply: Bytes| {
                match reply.first() {
                    Some(b'M') => Handed::read_last(&reply.slice(1..)).map(Popped::Messages),
                    Some(b'W') if is_waiter => Some(Popped::Waits),
                    Some(b'F') => return Err(Fault::Crowded),
                    Some(b'N') => Some(Popped::Nothing),
                    Some(b'A') => Some(Popped::Again),
                    _ => None,
                }
                .ok_or(Fault::Nonsense)
            };
            then(reply.and_then(read));
        });
    }

    /// Ends a wait, and calls `then` with whether it was still there.
    pub(super) fn cancel(
        &self,
        key: &QueueKey,
        pop: &Pop,
        waiter: Waiter<'_>,
        then: impl FnOnce(Result<bool, Fault>) + 'static,
    ) {
        let write = |arguments: &mut Arguments<'_>| {
            arguments.text("cancel");
            arguments.bytes(&waiter.write(pop));
        };
        let then = move |reply: Result<Bytes, Fault>| then(reply.map(|it| *it == *b"1"));
        self.others.ask_then(&key.key, write, then);
    }

    /// Messages that are out by a lease are delivered; which of them the queue does not have.
    pub(super) async fn settle(
        &self,
        key: &QueueKey,
        lease: LeaseId,
        ids: &[TransactionId],
    ) -> Result<Vec<bool>, Fault> {
        let answer = self.ask("settle", key, |arguments| {
            arguments.number(lease.0);
            arguments.text(&joined(ids));
        });
        read_flags(&answer.await?, ids.len(), |flag| flag == b'0')
    }

    /// Which of the messages were still out by this lease, and are no more.
    pub(super) async fn release(
        &self,
        key: &QueueKey,
        lease: LeaseId,
        ids: &[TransactionId],
        reason: Return,
    ) -> Result<Vec<bool>, Fault> {
        let answer = self.ask("release", key, |arguments| {
            arguments.text(match reason {
                Return::Unsent => "U",
                Return::Unfinished => "F",
                Return::Lapsed => "L",
            });
            arguments.number(lease.0);
            arguments.text(&joined(ids));
        });
        read_flags(&answer.await?, ids.len(), |flag| flag == b'1')
    }

    /// Which of the messages were there to be acked.
    pub(super) async fn ack(
        &self,
        key: &QueueKey,
        ids: &[TransactionId],
    ) -> Result<Vec<bool>, Fault> {
        let answer = self.ask("ack", key, |arguments| arguments.text(&joined(ids)));
        read_flags(&answer.await?, ids.len(), |flag| flag == b'1')
    }

    /// The head of the line.
    pub(super) async fn peek(
        &self,
        key: &QueueKey,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Handed, Fault> {
        let answer = self.ask("peek", key, |arguments| {
            let count_max = count_max.min(POP_MAX);
            arguments.expect_ids(count_max);
            arguments.number(count_max as u64);
            arguments.number(clamped(bytes_max));
        });
        Handed::read(&mut Reader::new(&answer.await?)).ok_or(Fault::Nonsense)
    }

    pub(super) async fn describe(
        &self,
        key: &QueueKey,
        listed_max: usize,
    ) -> Result<QueueInfo, Fault> {
        let answer = self.ask("info", key, |arguments| {
            let listed_max = listed_max.min(POP_MAX);
            arguments.expect_ids(2 * listed_max);
            arguments.number(listed_max as u64);
        });
        let reply = answer.await?;
        let mut reader = Reader::new(&reply);
        let mut read = || {
            let last_pop = match reader.word()? {
                "-" => None,
                second => Some(second.parse().ok()?),
            };
            let blocked = reader.word()? == "1";
            let size = usize::try_from(reader.number()?).ok()?;
            let dead = usize::try_from(reader.number()?).ok()?;
            let high_count = usize::try_from(reader.number()?).ok()?;
            let mut high = reader.all_ids()?;
            let low = high.split_off(high_count.min(high.len()));
            Some(QueueInfo {
                last_pop,
                blocked,
                size,
                high,
                low,
                dead,
            })
        };
        read().ok_or(Fault::Nonsense)
    }

    /// Tells a queue of a message's new end or size.
    pub(super) fn amend(
        &self,
        key: &QueueKey,
        id: TransactionId,
        expires_at: Option<u32>,
        payload_bytes: Option<usize>,
    ) -> impl Future<Output = Result<(), Fault>> + use<> {
        let answer = self.ask("amend", key, |arguments| {
            arguments.text(id.write_to(&mut [0; 36]));
            match expires_at {
                Some(second) => arguments.number(second.into()),
                None => arguments.text(""),
            }
            match payload_bytes {
                Some(bytes) => arguments.number(bytes as u64),
                None => arguments.text(""),
            }
        });
        async move { answer.await.map(|_| ()) }
    }

    /// Takes messages away whose transactions are gone.
    pub(super) fn remove(
        &self,
        key: &QueueKey,
        ids: &[TransactionId],
    ) -> impl Future<Output = Result<(), Fault>> + use<> {
        let answer = self.ask("remove", key, |arguments| arguments.text(&joined(ids)));
        async move { answer.await.map(|_| ()) }
    }

    /// Says that this worker is there, for so long, and does what fell due.
    pub(super) fn sweep(
        &self,
        worker: &str,
        life: Duration,
    ) -> impl Future<Output = Result<Swept, Fault>> + use<> {
        let asked = self.clock.tick();
        let clock = Rc::clone(&self.clock);
        let answer = self.others.ask(keys::DUE, |arguments| {
            arguments.text("sweep");
            arguments.text(worker);
            arguments.number(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
            arguments.number(SWEPT_AT_ONCE);
        });
        async move {
            let reply = answer.await?;
            let mut reader = Reader::new(&reply);
            let mut read = || {
                let was_known = reader.word()? == "1";
                clock.set(UnixMillis(reader.number()?), asked);
                let next = match reader.word()? {
                    "-" => None,
                    time => Some(UnixMillis(time.parse().ok()?)),
                };
                Some(Swept { was_known, next })
            };
            read().ok_or(Fault::Nonsense)
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        let batchers = [&self.pushes, &self.others];
        batchers.iter().all(|it| it.is_idle()) && self.connection.in_flight() == 0
    }
}

/// Reads a letter for each of so many messages.
fn read_flags<T>(reply: &Bytes, count: usize, read: impl Fn(u8) -> T) -> Result<Vec<T>, Fault> {
    if reply.len() != count {
        return Err(Fault::Nonsense);
    }
    Ok(reply.iter().copied().map(read).collect())
}

pub(super) fn joined(ids: &[TransactionId]) -> String {
    let mut text = String::with_capacity(36 * ids.len());
    for id in ids {
        text.push_str(id.write_to(&mut [0; 36]));
    }
    text
}

/// What a pop asks for, as servers take it.
pub(super) struct Terms {
    count_max: u32,
    bytes_max: u64,
    pub(super) life_ms: u64,
    kind: u8,
}

impl Terms {
    /// Those of a pop, each at least one, and no larger than what is exact in the servers' functions.
    pub(super) fn of(pop: &Pop) -> Self {
        let life_ms = u64::try_from(pop.lease.as_millis()).unwrap_or(u64::MAX);
        Self {
            // No larger than that, which fits.
            count_max: u32::try_from(pop.count_max.clamp(1, POP_MAX)).unwrap_or(1),
            bytes_max: clamped(pop.bytes_max),
            life_ms: life_ms.clamp(1, LEASE_MAX_MS),
            kind: match pop.kind {
                LeaseKind::Delivery => b'D',
                LeaseKind::Reliable => b'R',
            },
        }
    }

    /// As in `TERMS` of the servers' functions.
    fn write(&self) -> [u8; 21] {
        let mut text = [0; 21];
        text[..4].copy_from_slice(&self.count_max.to_be_bytes());
        text[4..12].copy_from_slice(&whole(self.bytes_max));
        text[12..20].copy_from_slice(&whole(self.life_ms));
        text[20] = self.kind;
        text
    }
}

impl Waiter<'_> {
    /// As in `WAITER` of the servers' functions.
    fn write(&self, pop: &Pop) -> [u8; 69] {
        let mut text = [0; 69];
        let name = self.worker.as_bytes();
        let length = name.len().min(32);
        text[..length].copy_from_slice(&name[..length]);
        text[32..40].copy_from_slice(&self.number.to_be_bytes());
        text[40..48].copy_from_slice(&taker(self.worker, self.number));
        text[48..].copy_from_slice(&Terms::of(pop).write());
        text
    }
}

/// A ticket is the count of its worker's requests times this, and some more.
const TICKETS_A_REQUEST: u64 = 1 << 32;

/// A number for a pop, by which it is known whose what is out is: the beginning of its worker's name, which is
/// hexadecimal, and what no other ticket of that worker begins with.
fn taker(worker: &str, number: u64) -> [u8; 8] {
    let name = worker
        .get(..5)
        .and_then(|start| u64::from_str_radix(start, 16).ok());
    whole(name.unwrap_or_default() * TICKETS_A_REQUEST + number / TICKETS_A_REQUEST)
}

/// The numbers of a pop under so many names of its worker.
pub(super) fn takers(workers: &[Rc<str>], number: u64) -> Vec<u8> {
    let takers = workers.iter().map(|worker| taker(worker, number));
    takers.flatten().collect()
}

/// Messages of one answer: as many ids as a server sends in one go without trouble. The rest stays in the queue.
pub(super) const POP_MAX: usize = 100_000;

/// Numbers beyond this are not exact in the servers' functions.
const NUMBER_MAX: u64 = 1 << 50;

/// The longest lease that can be told from others: about thirty years.
const LEASE_MAX_MS: u64 = 1_000_000_000_000;

fn clamped(number: usize) -> u64 {
    (number as u64).min(NUMBER_MAX)
}
