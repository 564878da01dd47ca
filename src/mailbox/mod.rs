//! The domain: transactions, queues, leases, waiters, expiry. Pure: no socket, no file, no clock, no
//! randomness; the time of day and new ids are passed in.
//!
//! A caller turns a request into an [`Op`] and gets a [`Reply`]. What an `Op` means is written once, in
//! [`engine`]; every store answers as that engine does.
//!
//! ```
//! use std::time::Duration;
//!
//! use popbox::mailbox::engine::{Engine, Output, Told};
//! use popbox::mailbox::{
//!     Expiration, LeaseKind, Limits, Op, Pop, Priority, Push, QueueName, Realm, Record, Reply,
//!     Tenant, Ticket, TransactionId, UnixMillis,
//! };
//!
//! let limits = Limits {
//!     queues_per_transaction_max: 10_000,
//!     transactions_max: 1_000,
//!     queues_max: 1_000,
//!     groups_max: 10,
//!     tenant_queues_max: usize::MAX,
//!     waiters_max: 100,
//!     secured_queues_max: 10,
//!     queue_retention: Duration::from_secs(3600),
//!     listed_messages_max: 100,
//!     deliveries_max: 0,
//!     idempotency_keys_max: 100,
//! };
//! let mut engine = Engine::new(limits, Told::Deaths);
//! let mut output = Output::default();
//! let now = UnixMillis(1_795_000_000_000);
//! let queue = QueueName::new(Realm::Plain, Tenant::default(), "alice");
//!
//! // Nothing is there yet, so the pop waits.
//! let waiting = Ticket { worker: 0, number: 1 };
//! let pop = Pop {
//!     queue: queue.clone(),
//!     count_max: 10,
//!     bytes_max: 1 << 20,
//!     lease: Duration::from_secs(10),
//!     kind: LeaseKind::Delivery,
//!     wait: true,
//! };
//! engine.apply(now, waiting, Op::Pop(pop), &mut output);
//! assert!(output.replies.is_empty());
//!
//! // The push is answered, and so is the pop.
//! let push = Push {
//!     id: TransactionId::from_random([7; 16]),
//!     priority: Priority::High,
//!     queues: vec![queue],
//!     groups: Vec::new(),
//!     realm: Realm::Plain,
//!     record: Record { payload: "Hello".into(), ..Record::default() },
//!     expiration: Expiration::After(Duration::from_secs(60)),
//!     delay: Duration::ZERO,
//!     idempotency: None,
//!     may_repeat: false,
//! };
//! let pushing = Ticket { worker: 1, number: 1 };
//! engine.apply(now, pushing, Op::Push(Box::new(push)), &mut output);
//! let [(first, Reply::Messages(handout)), (second, Reply::Pushed(_))] = &output.replies[..] else {
//!     panic!("{:?}", output.replies);
//! };
//! assert_eq!((*first, *second, handout.messages.len()), (waiting, pushing, 1));
//! ```

pub mod engine;
mod idempotency;
mod name;
mod op;
mod transaction;
pub mod validation;

pub use idempotency::{Fingerprint, Idempotency, IdempotencyKey};
pub use name::{GroupName, QueueName, Realm, Tenant};
pub use op::{
    AckItem, CALLBACK_BYTES_MAX, DeadLetter, DeadLetters, DeadSelection, GroupChange, Handout,
    LeaseId, LeaseKind, Message, Op, Pop, QueueInfo, Refusal, Reply, Return, TOLD_BYTES_MAX,
    Ticket, TransactionView, told_of_callback,
};
pub use transaction::{Expiration, Priority, Push, Record, State, TransactionId, Update};

use std::time::Duration;

/// A time of day in milliseconds since 1970-01-01 UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The time `duration` later; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// What the domain itself bounds. Past one of these an `Op` is answered with a [`Refusal`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Queues of one transaction, those of its groups included; also the members of one group.
    pub queues_per_transaction_max: usize,
    /// Transactions kept, delivered ones included until they expire.
    pub transactions_max: usize,
    /// Queues remembered; past it, idle ones are forgotten first.
    pub queues_max: usize,
    /// Groups of all tenants.
    pub groups_max: usize,
    /// Queues known at once of one tenant; `usize::MAX`: they are not counted.
    pub tenant_queues_max: usize,
    /// Pops that wait on one queue.
    pub waiters_max: usize,
    /// Secured queues of all tenants.
    pub secured_queues_max: usize,
    /// How long the last pop of an otherwise unused queue is remembered.
    pub queue_retention: Duration,
    /// Entries in each of the two lists that a queue's description carries.
    pub listed_messages_max: usize,
    /// Deliveries after which a message that is not acked in time is dead; 0: it is delivered for ever.
    pub deliveries_max: u32,
    /// Pushes remembered by their idempotency keys.
    pub idempotency_keys_max: usize,
}
