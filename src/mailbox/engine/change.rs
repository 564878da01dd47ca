//! What a store keeps of an engine: enough to build the same engine again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::{
    Fingerprint, GroupName, IdempotencyKey, Priority, QueueName, Record, TransactionId, UnixMillis,
    Update,
};

/// Where a store keeps the content of a transaction. Keys grow with time, so what is stored together was pushed
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(pub u64);

/// A transaction without its content and without the marks of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its id.
    pub id: TransactionId,
    /// Its priority.
    pub priority: Priority,
    /// Its place in every line.
    pub position: u64,
    /// Until when it is held back, if it is.
    pub due: Option<UnixMillis>,
    /// When it ends, in seconds since 1970.
    pub expires_at: u32,
    /// Size of its payload.
    pub payload_bytes: usize,
    /// Its queues; a message is known by its index here, its ordinal.
    pub queues: Vec<QueueName>,
}

/// A push that is known by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPush {
    /// Its transaction.
    pub id: TransactionId,
    /// What it said.
    pub fingerprint: Fingerprint,
    /// Until when its key is remembered.
    pub until: UnixMillis,
}

/// Where a message is, if not in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In its line again.
    Pending {
        /// How often it has been handed out; where that is 0, no mark need be kept.
        deliveries: u32,
    },
    /// Out with a reliable pop until then.
    Blocked {
        /// When the lease lapses.
        until: UnixMillis,
        /// How often it has been handed out, this time included.
        deliveries: u32,
    },
    /// With its consumer for good.
    Delivered,
    /// Among the dead letters.
    Dead {
        /// How often it has been handed out.
        deliveries: u32,
    },
    /// Among the dead letters no more, and given up.
    Purged,
}

/// One thing to keep. A delivery lease is not kept: after a restart its message is back in its line, which is where
/// a crash is to leave it; nor is it counted then that it was out.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new transaction.
    Stored {
        /// Where its content goes.
        key: RecordKey,
        /// The rest of it.
        header: Header,
        /// Its content.
        record: Record,
    },
    /// A transaction's header is another one.
    Header {
        /// Which transaction.
        key: RecordKey,
        /// The header to keep instead.
        header: Header,
    },
    /// A transaction's header and content changed.
    Updated {
        /// Which transaction.
        key: RecordKey,
        /// The header to keep instead.
        header: Header,
        /// What is new in the content.
        update: Update,
    },
    /// A transaction is gone.
    Removed {
        /// Which one.
        key: RecordKey,
        /// The ordinals of its messages that may bear a mark.
        marked: Vec<u32>,
    },
    /// A message is somewhere else.
    Marked {
        /// Its transaction.
        key: RecordKey,
        /// Which of its messages.
        ordinal: u32,
        /// Where it is now.
        mark: Mark,
    },
    /// A group has these members now.
    GroupStored {
        /// Which group.
        name: GroupName,
        /// All its members.
        members: Vec<Box<str>>,
    },
    /// A group is gone.
    GroupRemoved(GroupName),
    /// Of the user of a secured queue this is kept now.
    QueueSecured {
        /// Which queue.
        queue: QueueName,
        /// What is kept.
        credentials: Box<str>,
    },
    /// A push has a key.
    KeyStored {
        /// The key.
        key: IdempotencyKey,
        /// What repeats of the push get.
        push: KnownPush,
    },
    /// A push need not be known by its key any longer.
    KeyForgotten(Arc<IdempotencyKey>),
    /// A queue was popped; told once a second at most.
    QueuePopped {
        /// Which queue.
        queue: QueueName,
        /// When, in seconds since 1970.
        second: u64,
    },
    /// A queue's last pop need not be remembered any longer.
    QueueForgotten(QueueName),
}
