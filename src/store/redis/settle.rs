//! Ends of hand-outs.

use std::{collections::HashSet, rc::Rc, time::Duration};

use super::{
    client::{Client, Result},
    record::Mark,
    shard::{QueueKey, Settled, is_reliable, lease_ends},
};
use crate::mailbox::{AckItem, LeaseId, QueueName, TransactionId};

/// How long to wait before a settling that failed with its connection is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// A lease that has so long to go is taken to hold until a settling arrives.
const MARGIN: Duration = Duration::from_millis(500);

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
        let is_safe = shard.clock.until(ends) > MARGIN;
        if is_safe {
            // With the settling and not behind it, so that who has the message finds it delivered.
            self.mark(&queue, ids, Mark::Settling(lease));
        }
        loop {
            match shard.settle(&queue, lease, ids).await {
                Ok(settled) => {
                    let of = |what| {
                        chosen(
                            ids,
                            &settled.iter().map(|it| *it == what).collect::<Vec<_>>(),
                        )
                    };
                    if is_safe {
                        self.mark(&queue, &of(Settled::Elsewhere), Mark::Pending(lease));
                    } else {
                        self.mark(&queue, &of(Settled::Delivered), Mark::Delivered);
                        self.mark(&queue, &of(Settled::Absent), Mark::AckedEarly);
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
    ) -> Result<usize> {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let ends = lease_ends(lease);
        loop {
            match shard.release(&queue, lease, ids).await {
                Ok(flags) => {
                    let released = chosen(ids, &flags);
                    if is_reliable(lease) {
                        self.mark(&queue, &released, Mark::Pending(lease));
                    }
                    return Ok(released.len());
                }
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
        let marks: Vec<_> = ids
            .iter()
            .zip(flags)
            .map(|(&id, is_acked)| {
                let mark = if is_acked {
                    Mark::Delivered
                } else {
                    Mark::AckedEarly
                };
                let noted = self.records_of(id).mark(id, &queue.tag, mark);
                (id, is_acked, noted)
            })
            .collect();
        let mut acked = HashSet::new();
        for (id, is_acked, noted) in marks {
            // Where it cannot be noted it is acked all the same; only who looks at the transaction does not see it.
            let is_noted = noted.await.unwrap_or(false);
            if is_acked || is_noted {
                acked.insert(id);
            }
        }
        // Named twice, it is there once.
        let answer = |item: &AckItem| item.id.is_some_and(|id| acked.remove(&id));
        Ok(items.iter().map(answer).collect())
    }

    /// Notes what became of messages, with nobody waiting for it.
    fn mark(&self, queue: &QueueKey, ids: &[TransactionId], mark: Mark) {
        for &id in ids {
            drop(self.records_of(id).mark(id, &queue.tag, mark));
        }
    }
}

fn chosen(ids: &[TransactionId], flags: &[bool]) -> Vec<TransactionId> {
    let pairs = ids.iter().zip(flags);
    pairs.filter(|it| *it.1).map(|it| *it.0).collect()
}
