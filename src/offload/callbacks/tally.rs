//! What is counted of callbacks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start, and how things stand.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    undecodable: AtomicU64,
    waiting: AtomicU64,
    oldest: AtomicU64,
}

impl Tally {
    /// Callbacks that got through.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Callbacks that were given up.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Attempts that failed or could not be made, and were followed by another.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Entries of the spool that could not be decoded.
    pub fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }

    /// Callbacks in memory that are neither through nor given up.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// When the oldest event happened that has a callback in memory, in milliseconds since 1970; 0 if there is none.
    pub fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, waiting: usize, oldest: u64) {
        self.waiting.store(waiting as u64, Ordering::Relaxed);
        self.oldest.store(oldest, Ordering::Relaxed);
    }
}
