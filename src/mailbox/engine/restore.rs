//! Building an engine from what a store kept.

use super::super::{GroupName, IdempotencyKey, LeaseId, LeaseKind, QueueName};
use super::{Delivery, Engine, Header, KnownPush, Mark, Progress, RecordKey, Transaction};

impl Engine {
    /// Puts back a transaction with the marks of its messages, sorted by ordinal. What has expired meanwhile is taken
    /// in as well and goes with the next [`Engine::advance`], so that the store hears of it.
    pub fn restore_transaction(&mut self, key: RecordKey, header: Header, marks: &[(u32, Mark)]) {
        let mut deliveries = Vec::with_capacity(header.queues.len());
        for (ordinal, name) in (0..).zip(header.queues) {
            let queue = self
                .queues
                .find(&name)
                .unwrap_or_else(|| self.queues.create(name));
            self.queues.refer(queue);
            let marked = marks.binary_search_by_key(&ordinal, |&(marked, _)| marked);
            let mark = marked
                .ok()
                .and_then(|place| marks.get(place))
                .map(|&(_, mark)| mark);
            let progress = match mark {
                None => Progress::FRESH,
                Some(Mark::Pending { deliveries }) => Progress::InLine { deliveries },
                Some(Mark::Delivered) => Progress::Delivered,
                Some(Mark::Dead { deliveries }) => {
                    self.queues
                        .dead_mut(queue)
                        .insert(header.priority, header.position, header.id);
                    Progress::Dead { deliveries }
                }
                Some(Mark::Purged) => Progress::Purged,
                Some(Mark::Blocked { until, deliveries }) => {
                    self.schedule.add_lease(until, header.id, queue);
                    // No hand-out of this engine has the default lease, and only an ack or its lapse ends it.
                    let lease = LeaseId::default();
                    Progress::Out {
                        lease,
                        until,
                        kind: LeaseKind::Reliable,
                        deliveries,
                    }
                }
            };
            if header.due.is_none() && matches!(progress, Progress::InLine { .. }) {
                self.queues
                    .line(queue, header.priority)
                    .insert(header.position, header.id);
            }
            deliveries.push(Delivery {
                queue,
                ordinal,
                progress,
            });
        }
        deliveries.sort_unstable_by_key(|delivery| delivery.queue);
        self.schedule.add_expiry(header.expires_at, key, header.id);
        if let Some(due) = header.due {
            self.schedule.add_delay(due, header.position, header.id);
        }
        self.next_key = self.next_key.max(key.0 + 1).max(header.position + 1);
        let transaction = Transaction {
            key,
            position: header.position,
            due: header.due,
            expires_at: header.expires_at,
            priority: header.priority,
            payload_bytes: header.payload_bytes,
            deliveries: deliveries.into(),
        };
        self.transactions.insert(header.id, transaction);
    }

    /// Puts back a group.
    pub fn restore_group(&mut self, name: GroupName, members: impl IntoIterator<Item = Box<str>>) {
        self.groups.insert(name, members.into_iter().collect());
    }

    /// Puts back what is kept of the user of a secured queue.
    pub fn restore_secured(&mut self, queue: QueueName, credentials: Box<str>) {
        self.secured.insert(queue, credentials);
    }

    /// Puts back what repeats of a push get.
    pub fn restore_key(&mut self, key: IdempotencyKey, push: KnownPush) {
        self.keys.insert(key, push);
    }

    /// Puts back the second of a queue's last pop.
    pub fn restore_last_pop(&mut self, name: QueueName, second: u64) {
        let queue = self
            .queues
            .find(&name)
            .unwrap_or_else(|| self.queues.create(name));
        self.queues.restore_last_pop(queue, second);
    }
}
