//! How far the history is.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::mailbox::UnixMillis;

/// Counts since the start, and how far it is.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    behind: AtomicU64,
    /// 0: none waits.
    oldest: AtomicU64,
}

impl Tally {
    /// Documents that are in.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Documents that MongoDB did not want, and events that could not be read: they are in no collection.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Batches that were tried again.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Bytes of the spool that were read and are not yet in. There may be more that was not read.
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// When the oldest event happened that was read and is not yet in.
    pub fn oldest(&self) -> Option<UnixMillis> {
        let millis = self.oldest.load(Ordering::Relaxed);
        (millis > 0).then_some(UnixMillis(millis))
    }

    pub(super) fn add_sent(&self, documents: usize) {
        self.sent.fetch_add(documents as u64, Ordering::Relaxed);
    }

    pub(super) fn add_failed(&self, documents: usize) {
        self.failed.fetch_add(documents as u64, Ordering::Relaxed);
    }

    pub(super) fn add_retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_behind(&self, bytes: u64) {
        self.behind.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_oldest(&self, at: Option<UnixMillis>) {
        let millis = at.map_or(0, |at| at.0.max(1));
        self.oldest.store(millis, Ordering::Relaxed);
    }
}
