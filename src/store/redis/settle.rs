//! Ends of hand-outs.

use std::{collections::HashSet, rc::Rc, time::Duration};

use super::{
    client::{Client, Result},
    connection::Fault,
    record::Mark,
    shard::{QueueKey, Released, Settled, is_reliable, lease_ends},
};
use crate::mailbox::{AckItem, LeaseId, QueueName, Return, TransactionId};

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
        // With the settling and not behind it, so that who has the message finds it delivered.
        let noted: Vec<_> = ids
            .iter()
            .filter(|_| is_safe)
            .map(|&id| self.note(id, &queue, Mark::Settling(lease)))
            .collect();
        let settled = loop {
            match shard.settle(&queue, lease, ids).await {
                Ok(settled) => break settled,
                Err(fault) if fault.is_of_connection() && !shard.clock.until(ends).is_zero() => {
                    self.timers.sleep(PAUSE).await;
                }
                Err(_) => return,
            }
        };
        let mut noted = noted.into_iter();
        for (&id, settled) in ids.iter().zip(settled) {
            let is_noted = match noted.next() {
                Some(noted) => noted.await.unwrap_or(false),
                None => false,
            };
            let mark = match settled {
                Settled::Elsewhere if is_noted => Mark::Pending(lease),
                // Another note, of what has been before, was in the way.
                Settled::Delivered if !is_noted => Mark::Delivered,
                Settled::Absent if !is_safe => Mark::AckedEarly,
                _ => continue,
            };
            drop(self.note(id, &queue, mark));
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
        let released = loop {
            match shard.release(&queue, lease, ids, reason).await {
                Ok(released) => break released,
                Err(fault) if fault.is_of_connection() && !shard.clock.until(ends).is_zero() => {
                    self.timers.sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault.into()),
            }
        };
        let mut count = 0;
        for (&id, released) in ids.iter().zip(released) {
            let mark = match released {
                Released::Back => Mark::Pending(lease),
                Released::Dead => Mark::Dead(lease),
                Released::No => continue,
            };
            count += 1;
            if is_reliable(lease) {
                drop(self.note(id, &queue, mark));
            }
        }
        Ok(count)
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
                let noted = self.note(id, &queue, mark);
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

    /// Notes what became of a message; whether there was anything to note.
    fn note(
        &self,
        id: TransactionId,
        queue: &QueueKey,
        mark: Mark,
    ) -> impl Future<Output = std::result::Result<bool, Fault>> + use<> {
        self.records_of(id).mark(id, &queue.tag, mark)
    }
}
