//! Ends of hand-outs.

use std::{collections::HashSet, rc::Rc, time::Duration};

use super::{
    client::{Client, Result},
    record::Mark,
    shard::{QueueKey, lease_ends},
};
use crate::mailbox::{AckItem, LeaseId, QueueName, Return, TransactionId};

/// How long to wait before a settling that failed with its connection is tried again.
const PAUSE: Duration = Duration::from_millis(200);

impl Client {
    /// A delivery's answer is written. To settle twice does no harm, so it is tried as long as the lease lasts: after
    /// that the message is delivered again.
    pub(super) async fn settle(
        self: &Rc<Self>,
        queue: &QueueName,
        lease: LeaseId,
        ids: &[TransactionId],
    ) {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let ends = lease_ends(lease);
        loop {
            match shard.settle(&queue, lease, ids).await {
                Err(fault) if fault.is_of_connection() && !shard.clock.until(ends).is_zero() => {
                    self.timers.sleep(PAUSE).await;
                }
                Ok(absent) => {
                    for (&id, _) in ids.iter().zip(absent).filter(|(_, is_absent)| *is_absent) {
                        // It may be held back still.
                        let records = self.records_of(id);
                        drop(records.note(id, queue.tag(), Mark::Delivered));
                    }
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Gives messages back; how many they were. To do so twice does no harm, so it is tried as long as the lease lasts.
    pub(super) async fn release(
        self: &Rc<Self>,
        queue: &QueueName,
        lease: LeaseId,
        ids: &[TransactionId],
        reason: Return,
    ) -> Result<usize> {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let ends = lease_ends(lease);
        loop {
            match shard.release(&queue, lease, ids, reason).await {
                Ok(released) => return Ok(released.into_iter().filter(|it| *it).count()),
                Err(fault) if fault.is_of_connection() && !shard.clock.until(ends).is_zero() => {
                    self.timers.sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Which of the messages were there to be acked. To ack twice gives another answer, so it is not tried again.
    pub(super) async fn ack(
        self: &Rc<Self>,
        queue: &QueueName,
        items: &[AckItem],
    ) -> Result<Vec<bool>> {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let mut ids: Vec<TransactionId> = items.iter().filter_map(|item| item.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(vec![false; items.len()]);
        }
        let flags = shard.ack(&queue, &ids).await?;
        let (mut acked, mut absent) = (HashSet::new(), Vec::new());
        for (&id, is_acked) in ids.iter().zip(flags) {
            if is_acked {
                acked.insert(id);
            } else {
                // It may be held back still.
                let note = self.records_of(id).note(id, queue.tag(), Mark::Delivered);
                absent.push((id, note));
            }
        }
        for (id, is_held_back) in absent {
            if is_held_back.await? {
                acked.insert(id);
            }
        }
        // Named twice, it is there once.
        let answer = |item: &AckItem| item.id.is_some_and(|id| acked.remove(&id));
        Ok(items.iter().map(answer).collect())
    }
}
