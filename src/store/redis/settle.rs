//! Ends of hand-outs.

use std::{collections::HashSet, rc::Rc, time::Duration};

use super::{
    client::{Client, Result},
    connection::Fault,
    record::Mark,
    shard::{QueueKey, Settled, lease_ends},
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
                Ok(settled) => {
                    for (&id, settled) in ids.iter().zip(settled) {
                        let mark = match settled {
                            Settled::Delivered => Mark::Delivered,
                            Settled::Absent => Mark::DeliveredEarly,
                            Settled::Elsewhere => continue,
                        };
                        drop(self.note(id, &queue, mark));
                    }
                    return;
                }
                Err(fault) if fault.is_of_connection() && !shard.clock.until(ends).is_zero() => {
                    self.timers.sleep(PAUSE).await;
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
                drop(self.note(id, &queue, Mark::Delivered));
            } else {
                absent.push((id, self.note(id, &queue, Mark::DeliveredEarly)));
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

    /// Notes what became of a message; whether there was anything to note.
    fn note(
        &self,
        id: TransactionId,
        queue: &QueueKey,
        mark: Mark,
    ) -> impl Future<Output = std::result::Result<bool, Fault>> + use<> {
        self.records_of(id).mark(id, queue.tag(), mark)
    }
}
