//! Changing and removing transactions.

use super::{
    Change, Delivery, End, Engine, Header, Output, Progress, TransactionId, Transition, UnixMillis,
    Update,
};

impl Engine {
    pub(super) fn update(
        &mut self,
        now: UnixMillis,
        id: TransactionId,
        update: Update,
        output: &mut Output,
    ) -> bool {
        if self.alive(now, id).is_none() {
            return false;
        }
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        let key = transaction.key;
        if let Some(payload) = &update.payload {
            transaction.payload_bytes = payload.len();
        }
        if let Some(expiration) = update.expiration {
            let starts_at = transaction.due.unwrap_or(now);
            let before = transaction.expires_at;
            transaction.expires_at = expiration.second(starts_at);
            self.schedule
                .move_expiry(before, transaction.expires_at, key, id);
        }
        if let Some(header) = self.header(id) {
            output.changes.push(Change::Updated {
                key,
                header,
                update,
            });
            output.promised = true;
        }
        true
    }

    /// Takes a transaction and all its messages away: it was deleted or has expired. How many those were.
    pub(super) fn remove(&mut self, id: TransactionId, end: End, output: &mut Output) -> usize {
        let Some(transaction) = self.transactions.remove(id) else {
            return 0;
        };
        let mut marked = Vec::new();
        for delivery in &transaction.deliveries {
            let is_open = !matches!(delivery.progress, Progress::Delivered | Progress::Purged);
            if is_open && end == End::Life {
                self.tell(delivery.queue, id, Transition::Expired, output);
            }
            match delivery.progress {
                Progress::InLine { deliveries } => {
                    let line = self.queues.line(delivery.queue, transaction.priority);
                    line.remove(transaction.position);
                    if deliveries > 0 {
                        marked.push(delivery.ordinal);
                    }
                }
                Progress::Dead { .. } => {
                    let dead = self.queues.dead_mut(delivery.queue);
                    dead.remove(transaction.priority, transaction.position);
                    marked.push(delivery.ordinal);
                }
                Progress::Out { until, .. } => {
                    self.schedule.remove_lease(until, id, delivery.queue);
                    marked.push(delivery.ordinal);
                }
                Progress::Delivered | Progress::Purged => marked.push(delivery.ordinal),
            }
            self.queues.unrefer(delivery.queue);
        }
        self.schedule
            .remove_expiry(transaction.expires_at, transaction.key);
        if let Some(due) = transaction.due {
            self.schedule.remove_delay(due, transaction.position, id);
        }
        output.changes.push(Change::Removed {
            key: transaction.key,
            marked,
        });
        transaction.deliveries.len()
    }

    /// What is to be kept of a transaction apart from its record and marks.
    pub(super) fn header(&self, id: TransactionId) -> Option<Header> {
        let transaction = self.transactions.get(id)?;
        let name = |delivery: &Delivery| self.queues.name(delivery.queue).clone();
        Some(Header {
            id,
            priority: transaction.priority,
            position: transaction.position,
            due: transaction.due,
            expires_at: transaction.expires_at,
            payload_bytes: transaction.payload_bytes,
            queues: transaction.by_ordinal().into_iter().map(name).collect(),
        })
    }
}
