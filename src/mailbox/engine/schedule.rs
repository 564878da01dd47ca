//! What falls due, in the order of time.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{TransactionId, UnixMillis};
use super::{QueueIndex, RecordKey};

/// Deadlines of leases, delays and lives.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    leases: BTreeSet<(UnixMillis, QueueIndex, TransactionId)>,
    /// What is due together comes in the order of the pushes, which is that of the positions.
    delays: BTreeSet<(UnixMillis, u64, TransactionId)>,
    /// By the keys, which grow with time: most of what is added goes to the end, and not to a place by chance in a tree
    /// of millions.
    expiries: BTreeMap<(u32, RecordKey), TransactionId>,
}

impl Schedule {
    pub(super) fn add_lease(&mut self, until: UnixMillis, id: TransactionId, queue: QueueIndex) {
        self.leases.insert((until, queue, id));
    }

    pub(super) fn remove_lease(&mut self, until: UnixMillis, id: TransactionId, queue: QueueIndex) {
        self.leases.remove(&(until, queue, id));
    }

    /// When and where the lease that lapsed first did.
    pub(super) fn first_lapsed(&self, now: UnixMillis) -> Option<(UnixMillis, QueueIndex)> {
        let &(until, queue, _) = self.leases.first()?;
        (until <= now).then_some((until, queue))
    }

    /// Takes out the lease that ends first.
    pub(super) fn take_first_lease(&mut self) -> Option<(TransactionId, QueueIndex)> {
        self.leases.pop_first().map(|(_, queue, id)| (id, queue))
    }

    pub(super) fn add_delay(&mut self, due: UnixMillis, position: u64, id: TransactionId) {
        self.delays.insert((due, position, id));
    }

    pub(super) fn remove_delay(&mut self, due: UnixMillis, position: u64, id: TransactionId) {
        self.delays.remove(&(due, position, id));
    }

    /// Takes out the held-back transaction that is due first.
    pub(super) fn due(&mut self, now: UnixMillis) -> Option<TransactionId> {
        let &(due, ..) = self.delays.first()?;
        if due > now {
            return None;
        }
        self.delays.pop_first().map(|(.., id)| id)
    }

    /// Moves every lease; which those are.
    pub(super) fn shift_leases(
        &mut self,
        moved: impl Fn(UnixMillis) -> UnixMillis,
    ) -> Vec<(TransactionId, QueueIndex)> {
        let leases = std::mem::take(&mut self.leases);
        self.leases = leases
            .into_iter()
            .map(|(until, queue, id)| (moved(until), queue, id))
            .collect();
        self.leases
            .iter()
            .map(|&(_, queue, id)| (id, queue))
            .collect()
    }

    /// Moves every delay; whose those are.
    pub(super) fn shift_delays(
        &mut self,
        moved: impl Fn(UnixMillis) -> UnixMillis,
    ) -> Vec<TransactionId> {
        let delays = std::mem::take(&mut self.delays);
        self.delays = delays
            .into_iter()
            .map(|(due, position, id)| (moved(due), position, id))
            .collect();
        self.delays.iter().map(|&(.., id)| id).collect()
    }

    pub(super) fn add_expiry(&mut self, second: u32, key: RecordKey, id: TransactionId) {
        self.expiries.insert((second, key), id);
    }

    pub(super) fn move_expiry(
        &mut self,
        before: u32,
        after: u32,
        key: RecordKey,
        id: TransactionId,
    ) {
        self.remove_expiry(before, key);
        self.add_expiry(after, key, id);
    }

    pub(super) fn remove_expiry(&mut self, second: u32, key: RecordKey) {
        self.expiries.remove(&(second, key));
    }

    /// Takes out the transaction that ended first.
    pub(super) fn expired(&mut self, now: UnixMillis) -> Option<TransactionId> {
        let first = self.expiries.first_entry()?;
        let &(second, _) = first.key();
        super::is_over(second, now).then(|| first.remove())
    }

    /// When the first of all falls due.
    pub(super) fn next(&self) -> Option<UnixMillis> {
        let lease = self.leases.first().map(|&(until, ..)| until);
        let delay = self.delays.first().map(|&(due, ..)| due);
        let expiry = self
            .expiries
            .first_key_value()
            .map(|(&(second, _), _)| UnixMillis(u64::from(second) * 1000));
        [lease, delay, expiry].into_iter().flatten().min()
    }
}
