//! What is told of messages that die.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::info;

use crate::mailbox::{QueueName, TransactionId};

/// The dead letters that this process has made, each told once.
#[derive(Debug, Default)]
pub struct Deaths(AtomicU64);

impl Deaths {
    /// A message has become a dead letter of a queue, after so many deliveries.
    pub fn note(&self, queue: &QueueName, id: TransactionId, deliveries: u32) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let tenant = queue.tenant().0.as_deref();
        info!(target: "dead_letter", queue = queue.id(), tenant, transaction = %id, deliveries);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
