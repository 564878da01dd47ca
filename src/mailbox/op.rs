//! What can be asked of a store, and what it answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{GroupName, Priority, Push, QueueName, Record, State, TransactionId, Update};

/// Names an operation under way, so that its reply finds the asker: a worker and a number of that worker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket {
    /// The asking worker.
    pub worker: u16,
    /// Unique within the worker while the operation is under way.
    pub number: u64,
}

/// Names one hand-out of messages. A message handed out again has another one, so a late settling of the first
/// hand-out can do no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// What the end of a hand-out looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseKind {
    /// Settled by the server as soon as the answer is written; clients see `Pending` until then.
    Delivery,
    /// Settled by the consumer's ack; clients see `Blocked` until then.
    Reliable,
}

/// Take messages from a queue, or wait for some.
#[derive(Clone, Debug)]
pub struct Pop {
    /// Where from.
    pub queue: QueueName,
    /// At most so many messages, at least one.
    pub count_max: usize,
    /// At most so many bytes of payload; the first message is handed out whatever its size.
    pub bytes_max: usize,
    /// How long what was taken stays with its taker.
    pub lease: Duration,
    /// Who settles it.
    pub kind: LeaseKind,
    /// Whether to wait when the queue is empty. A waiting pop is answered when messages come or by
    /// [`Op::CancelPop`].
    pub wait: bool,
}

/// A change of a group's members; a queue in both lists is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupChange {
    /// Queue ids that join.
    pub add: Vec<Box<str>>,
    /// Queue ids that leave.
    pub remove: Vec<Box<str>>,
}

/// Why messages of a hand-out come back before their lease has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Return {
    /// Nothing of them was sent, so that the hand-out does not count as a delivery.
    Unsent,
    /// Their taker went away while they were sent.
    Unfinished,
    /// Their taker had its time to ack them, and that is over. What was delivered too often is dead then.
    Lapsed,
}

/// Which dead letters of a queue something is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadSelection {
    /// Whose they are.
    pub queue: QueueName,
    /// These; without, those that come first in the order of the line.
    pub transactions: Option<Vec<TransactionId>>,
    /// At most so many.
    pub count_max: usize,
}

/// One request to a store; atomic. Every `Op` but [`Op::CancelPop`] and [`Op::Settle`] gets exactly one reply.
#[derive(Clone, Debug)]
pub enum Op {
    /// Add a transaction, or find out that it has been added: [`Reply::Pushed`].
    Push(Box<Push>),
    /// Take messages or wait: [`Reply::Messages`], at once or later.
    Pop(Pop),
    /// Stop a waiting pop, which is then answered with no messages; nothing happens if it has been answered.
    CancelPop {
        /// The queue it waits on.
        queue: QueueName,
        /// The pop's ticket.
        ticket: Ticket,
    },
    /// A delivery lease's answer is written: its messages are delivered.
    Settle {
        /// Where they came from.
        queue: QueueName,
        /// The hand-out.
        lease: LeaseId,
        /// Its messages.
        transactions: Vec<TransactionId>,
    },
    /// Give messages of a hand-out back to their old places: [`Reply::Released`].
    Release {
        /// Where they came from.
        queue: QueueName,
        /// The hand-out.
        lease: LeaseId,
        /// Those of its messages to give back.
        transactions: Vec<TransactionId>,
        /// Why.
        reason: Return,
    },
    /// A consumer has dealt with messages: [`Reply::Acked`].
    Ack {
        /// Where they came from.
        queue: QueueName,
        /// As the consumer named them; what is no id at all is kept to answer in its place.
        transactions: Vec<AckItem>,
    },
    /// Look at the head of a queue: [`Reply::Messages`] with a lease of no meaning.
    Peek {
        /// The queue.
        queue: QueueName,
        /// At most so many messages.
        count_max: usize,
        /// At most so many bytes of payload, at least one message.
        bytes_max: usize,
    },
    /// Look at the dead letters of a queue, in the order of the line: [`Reply::DeadLetters`].
    DeadLetters {
        /// The queue.
        queue: QueueName,
        /// At most so many.
        count_max: usize,
    },
    /// Put dead letters back into their old places, as if they had never been handed out: [`Reply::Moved`].
    Redrive(DeadSelection),
    /// Give dead letters up; they count as expired: [`Reply::Moved`].
    Purge(DeadSelection),
    /// Describe a queue: [`Reply::Queue`].
    DescribeQueue(QueueName),
    /// Content and states of a transaction: [`Reply::Transaction`].
    Transaction(TransactionId),
    /// States of a transaction alone: [`Reply::States`].
    States(TransactionId),
    /// Where the producers of transactions want to be told of deliveries: [`Reply::Callbacks`].
    Callbacks(Vec<TransactionId>),
    /// Change a transaction: [`Reply::Found`].
    Update(TransactionId, Update),
    /// Remove a transaction from everywhere: [`Reply::Done`].
    Delete(TransactionId),
    /// Create a group or add to it: [`Reply::Done`].
    StoreGroup(GroupName, Vec<Box<str>>),
    /// Members of a group: [`Reply::Group`], none for an unknown group.
    Group(GroupName),
    /// Change a group: [`Reply::Found`].
    ChangeGroup(GroupName, GroupChange),
    /// Remove a group: [`Reply::Done`].
    RemoveGroup(GroupName),
    /// Make a secured queue, unless there is one: [`Reply::Secured`].
    SecureQueue {
        /// Which queue.
        queue: QueueName,
        /// What is kept of its user; nothing that a store understands.
        credentials: Box<str>,
    },
    /// What is kept of the user of a secured queue: [`Reply::Credentials`].
    Credentials(QueueName),
    /// Keep something else of the user of a secured queue, if what is kept is still what is thought: [`Reply::Found`].
    RenewCredentials {
        /// Which queue.
        queue: QueueName,
        /// What is thought to be kept.
        before: Box<str>,
        /// What to keep instead.
        after: Box<str>,
    },
}

impl Op {
    /// Bytes of payload that it brings.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Push(push) => push.record.payload.len(),
            Self::Update(_, update) => update.payload.as_ref().map_or(0, Bytes::len),
            _ => 0,
        }
    }

    /// Whether the reply has contents: payloads, or a whole record.
    pub fn brings_contents(&self) -> bool {
        matches!(
            self,
            Self::Pop(_) | Self::Peek { .. } | Self::Transaction(_)
        )
    }

    /// Whether it is one that fills a store. The others may go on in a store that is full: they empty it.
    pub fn takes_space(&self) -> bool {
        matches!(
            self,
            Self::Push(_)
                | Self::Update(..)
                | Self::StoreGroup(..)
                | Self::ChangeGroup(..)
                | Self::SecureQueue { .. }
                | Self::RenewCredentials { .. }
        )
    }
}

/// One element of an ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckItem {
    /// As the consumer spelled it.
    pub text: Box<str>,
    /// What it names, if it can name anything.
    pub id: Option<TransactionId>,
}

/// A message on its way to a consumer. `P` is the payload, or what stands for it inside a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<P = Bytes> {
    /// Its transaction.
    pub id: TransactionId,
    /// Its payload; UTF-8 text.
    pub payload: P,
    /// How often it has been handed out, this time included; 0 where it is only looked at.
    pub deliveries: u32,
}

/// Messages handed out together, in the order of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handout<P = Bytes> {
    /// To settle or release them by.
    pub lease: LeaseId,
    /// The messages; none when a wait ended without any.
    pub messages: Vec<Message<P>>,
}

/// What is shown of a transaction. `R` is the record, or what stands for it inside a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionView<R = Record> {
    /// Its priority.
    pub priority: Priority,
    /// When it ends, in seconds since 1970.
    pub expires_at: u32,
    /// Its content.
    pub record: R,
    /// Its state in each queue, in the order of the push.
    pub states: Vec<(QueueName, State)>,
}

/// What is shown of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueInfo {
    /// Second since 1970 of the last pop, if one is remembered.
    pub last_pop: Option<u64>,
    /// Whether a pop waits on it now.
    pub blocked: bool,
    /// Messages waiting in it, of both priorities.
    pub size: usize,
    /// The first of them, high priority.
    pub high: Vec<TransactionId>,
    /// The first of them, low priority.
    pub low: Vec<TransactionId>,
    /// How many dead letters it has.
    pub dead: usize,
}

/// What is shown of a queue's dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many there are.
    pub size: usize,
    /// The first of them.
    pub letters: Vec<DeadLetter>,
}

/// A message that was delivered too often without an ack, and is out of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its transaction.
    pub id: TransactionId,
    /// Its priority.
    pub priority: Priority,
    /// How often it has been handed out.
    pub deliveries: u32,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client's fault: more queues than a transaction or group may have.
    #[error("too many queues: maximum {0}")]
    TooManyQueues(usize),
    /// The client's fault: its idempotency key is that of a push with other contents.
    #[error("Idempotency-Key was used for another push")]
    OtherPush,
    /// The store is as full as the configuration allows; room comes back as transactions expire.
    #[error("no room: {0}")]
    Full(&'static str),
    /// The store is out of reach or cannot write; nothing is acknowledged. Retryable.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
}

/// A store's answer. `P`, `R` and `C` stand for payloads, records and callbacks inside a store; outside they are the
/// real ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<P = Bytes, R = Record, C = Box<str>> {
    /// It is done.
    Done,
    /// The transaction is there, under this id: that of the first push where this is a repeat.
    Pushed(TransactionId),
    /// Whether the thing to change exists; if so, it is changed.
    Found(bool),
    /// Messages handed out or looked at.
    Messages(Handout<P>),
    /// How many messages of the hand-out were still out, and are so no more.
    Released(usize),
    /// For each element of the ack: whether it was there to be acked.
    Acked(Vec<bool>),
    /// A queue's dead letters.
    DeadLetters(DeadLetters),
    /// What became of a selection of dead letters.
    Moved {
        /// How many are so no more.
        moved: usize,
        /// How many the queue still has.
        left: usize,
    },
    /// A queue's description.
    Queue(QueueInfo),
    /// A transaction, or nothing where it is unknown or has expired.
    Transaction(Option<TransactionView<R>>),
    /// Its states in the order of the push; none where it is unknown or has expired.
    States(Vec<(QueueName, State)>),
    /// For each transaction its callback, [as far as it is told](told_of_callback); none where it has none, or an empty
    /// one, or is unknown, or has expired.
    Callbacks(Vec<Option<C>>),
    /// A group's members, sorted.
    Group(Vec<Box<str>>),
    /// Whether the secured queue was made; if not, there is one already.
    Secured(bool),
    /// What is kept of the user of a secured queue; none: it was never made.
    Credentials(Option<Box<str>>),
    /// Not done, and why.
    Refused(Refusal),
}

/// Bytes of a callback that may be called.
pub const CALLBACK_BYTES_MAX: usize = 4 * 1024;

/// What is told of a callback outside of its record: all of it, or of one that is too long a beginning that is too long
/// as well. A push to thousands of queues has one that is told for each, and pops take thousands at once.
pub fn told_of_callback(callback: &str) -> &str {
    callback
        .get(..callback.floor_char_boundary(TOLD_BYTES_MAX))
        .unwrap_or_default()
}

/// With room for a character that begins where a callback becomes too long.
pub const TOLD_BYTES_MAX: usize = CALLBACK_BYTES_MAX + 4;
