//! How often each limit was the reason for a refusal.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Refusals since the start, by the limit that was the reason. As many entries as there are limits, at most.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// Counts one.
    pub fn note(&self, limit: &'static str) {
        *self.entries().entry(limit).or_default() += 1;
    }

    /// All that there were, by name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.entries()
            .iter()
            .map(|(&limit, &count)| (limit, count))
            .collect()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // Whatever panicked while it counted, the numbers are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
