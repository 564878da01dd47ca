//! Transactions by id.

use std::collections::HashMap;

use super::super::{LeaseId, LeaseKind, Priority, TransactionId, UnixMillis};
use super::{QueueIndex, RecordKey, id_hash::IdHash};

/// Bookkeeping of one transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) key: RecordKey,
    /// Its place in every line: the smaller, the nearer to the head.
    pub(super) position: u64,
    /// Until when it is held back from its queues, if it is.
    pub(super) due: Option<UnixMillis>,
    pub(super) expires_at: u32,
    pub(super) priority: Priority,
    pub(super) payload_bytes: usize,
    /// One for each queue, sorted by queue.
    pub(super) deliveries: Box<[Delivery]>,
}

/// One message: a transaction in a queue.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) queue: QueueIndex,
    /// Its place in the push's list of queues, by which stores know it.
    pub(super) ordinal: u32,
    pub(super) progress: Progress,
}

/// Where a message is.
#[derive(Debug)]
pub(super) enum Progress {
    /// In its queue's line, or held back from it by the transaction's delay.
    InLine {
        /// How often it has been handed out.
        deliveries: u32,
    },
    /// With a taker, until settled, released or lapsed.
    Out {
        lease: LeaseId,
        until: UnixMillis,
        kind: LeaseKind,
        /// How often it has been handed out, this time included.
        deliveries: u32,
    },
    /// With its consumer for good.
    Delivered,
    /// Handed out too often without an ack, and kept out of the line.
    Dead {
        /// How often it has been handed out.
        deliveries: u32,
    },
    /// It was dead and was given up.
    Purged,
}

impl Progress {
    /// In the line, and never handed out.
    pub(super) const FRESH: Self = Self::InLine { deliveries: 0 };
}

impl Transaction {
    pub(super) fn delivery_mut(&mut self, queue: QueueIndex) -> Option<&mut Delivery> {
        let found = self
            .deliveries
            .binary_search_by_key(&queue, |delivery| delivery.queue);
        found.ok().and_then(|index| self.deliveries.get_mut(index))
    }

    pub(super) fn delivery(&self, queue: QueueIndex) -> Option<&Delivery> {
        let found = self
            .deliveries
            .binary_search_by_key(&queue, |delivery| delivery.queue);
        found.ok().and_then(|index| self.deliveries.get(index))
    }

    /// Its messages in the order of the push.
    pub(super) fn by_ordinal(&self) -> Vec<&Delivery> {
        let mut ordered: Vec<&Delivery> = self.deliveries.iter().collect();
        ordered.sort_unstable_by_key(|delivery| delivery.ordinal);
        ordered
    }
}

/// A table in parts that grow one at a time: one large table would stop the engine for as long as it takes to move
/// a million entries.
#[derive(Debug)]
pub(super) struct TransactionTable {
    parts: Box<[HashMap<TransactionId, Transaction, IdHash>; PARTS]>,
    len: usize,
}

/// One for each value of a folded id.
const PARTS: usize = 256;

impl Default for TransactionTable {
    fn default() -> Self {
        let hash = IdHash::default();
        Self {
            parts: Box::new(std::array::from_fn(|_| HashMap::with_hasher(hash.clone()))),
            len: 0,
        }
    }
}

impl TransactionTable {
    fn part(id: TransactionId) -> usize {
        usize::from(id.folded())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: TransactionId) -> Option<&Transaction> {
        self.parts[Self::part(id)].get(&id)
    }

    pub(super) fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction> {
        self.parts[Self::part(id)].get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: TransactionId, transaction: Transaction) {
        if self.parts[Self::part(id)].insert(id, transaction).is_none() {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: TransactionId) -> Option<Transaction> {
        let removed = self.parts[Self::part(id)].remove(&id)?;
        self.len -= 1;
        Some(removed)
    }
}
