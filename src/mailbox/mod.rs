//! The domain: transactions, queues, leases, waiters, expiry. Pure: no socket, no file, no clock, no
//! randomness; the time of day and new ids are passed in.
//!
//! A caller turns a request into an [`Op`] and gets a [`Reply`]. What an `Op` means is written once, in
//! [`engine`]; every store answers as that engine does.

pub mod engine;
mod name;
mod op;
mod transaction;
pub mod validation;

pub use name::{GroupName, QueueName, Realm, Tenant};
pub use op::{
    AckItem, GroupChange, Handout, LeaseId, LeaseKind, Message, Op, Pop, QueueInfo, Refusal, Reply,
    Ticket, TransactionView,
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
    /// How long the last pop of an otherwise unused queue is remembered.
    pub queue_retention: Duration,
    /// Entries in each of the two lists that a queue's description carries.
    pub listed_messages_max: usize,
}
