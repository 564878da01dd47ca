//! What has been done with events.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{callbacks, history::History};

/// All that is counted.
#[derive(Debug, Default)]
pub struct Tallies {
    /// On the way into the spool.
    pub intake: Arc<Tally>,
    /// The history, if there is one, which counts by itself.
    pub history: Option<Arc<History>>,
    /// On the way to producers, if they are told.
    pub callbacks: Option<Arc<callbacks::Tally>>,
}

/// Counts of events since the start, on their way into the spool.
#[derive(Debug, Default)]
pub struct Tally {
    spooled: AtomicU64,
    dropped: AtomicU64,
    spool_bytes: AtomicU64,
    damaged_bytes: AtomicU64,
}

impl Tally {
    /// Events that reached the spool.
    pub fn spooled(&self) -> u64 {
        self.spooled.load(Ordering::Relaxed)
    }

    /// Events that are lost, since there was no room for them or the disk did not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What the spool takes of its disk.
    pub fn spool_bytes(&self) -> u64 {
        self.spool_bytes.load(Ordering::Relaxed)
    }

    /// What of the spool was passed over since it is damaged.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn note_spooled(&self, events: u64) {
        self.spooled.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn note_dropped(&self, events: u64) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn note_spool(&self, bytes: u64, damaged_bytes: u64) {
        self.spool_bytes.store(bytes, Ordering::Relaxed);
        self.damaged_bytes.store(damaged_bytes, Ordering::Relaxed);
    }
}
