//! What becomes of messages that are out: delivered, given back, or lapsed.

use super::{
    AckItem, BTreeSet, Change, DUE_AT_ONCE_MAX, Delivery, Engine, Handout, LeaseId, LeaseKind,
    Mark, Output, Progress, QueueIndex, QueueName, Return, TransactionId, Transition, UnixMillis,
};

impl Engine {
    pub(super) fn settle(
        &mut self,
        name: &QueueName,
        lease: LeaseId,
        ids: &[TransactionId],
        output: &mut Output,
    ) {
        let Some(queue) = self.queues.find(name) else {
            return;
        };
        for &id in ids {
            // A message whose lease has lapsed and that nobody else has yet is delivered all the same: its consumer
            // has it. One that somebody else has by now is theirs to settle.
            self.deliver(id, queue, output, |progress| match progress {
                Progress::InLine { .. } => true,
                Progress::Out { lease: holder, .. } => *holder == lease,
                Progress::Delivered | Progress::Dead { .. } | Progress::Purged => false,
            });
        }
    }

    pub(super) fn ack(
        &mut self,
        now: UnixMillis,
        name: &QueueName,
        items: &[AckItem],
        output: &mut Output,
    ) -> Vec<bool> {
        let Some(queue) = self.queues.find(name) else {
            return vec![false; items.len()];
        };
        let mut acked = Vec::with_capacity(items.len());
        for item in items {
            let id = item.id.filter(|&id| self.alive(now, id).is_some());
            // A dead one may be acked still: a consumer that was late has dealt with it.
            let open =
                |progress: &Progress| !matches!(progress, Progress::Delivered | Progress::Purged);
            acked.push(id.is_some_and(|id| self.deliver(id, queue, output, open)));
        }
        output.promised |= acked.contains(&true);
        acked
    }

    /// Makes a message Delivered if `may` says so of where it is.
    pub(super) fn deliver(
        &mut self,
        id: TransactionId,
        queue: QueueIndex,
        output: &mut Output,
        may: impl Fn(&Progress) -> bool,
    ) -> bool {
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        let (key, position, priority) =
            (transaction.key, transaction.position, transaction.priority);
        let Some(delivery) = transaction.delivery_mut(queue) else {
            return false;
        };
        if !may(&delivery.progress) {
            return false;
        }
        let before = std::mem::replace(&mut delivery.progress, Progress::Delivered);
        let ordinal = delivery.ordinal;
        match before {
            Progress::InLine { .. } => self.queues.line(queue, priority).remove(position),
            Progress::Out { until, .. } => self.schedule.remove_lease(until, id, queue),
            Progress::Dead { .. } => self.queues.dead_mut(queue).remove(priority, position),
            Progress::Delivered | Progress::Purged => {}
        }
        output.changes.push(Change::Marked {
            key,
            ordinal,
            mark: Mark::Delivered,
        });
        true
    }

    pub(super) fn release(
        &mut self,
        now: UnixMillis,
        name: &QueueName,
        lease: LeaseId,
        ids: &[TransactionId],
        reason: Return,
        output: &mut Output,
    ) -> usize {
        let Some(queue) = self.queues.find(name) else {
            return 0;
        };
        let mut released = 0;
        for &id in ids {
            let out = self
                .transactions
                .get_mut(id)
                .and_then(|it| it.delivery_mut(queue));
            if let Some(Delivery {
                progress:
                    Progress::Out {
                        lease: holder,
                        until,
                        ..
                    },
                ..
            }) = out
                && *holder == lease
            {
                let until = *until;
                self.schedule.remove_lease(until, id, queue);
                if self.put_back(id, queue, reason, output) {
                    self.tell(queue, id, Transition::Returned, output);
                }
                released += 1;
            }
        }
        // All of them are back before anybody is served, so the next taker gets them in order.
        self.serve(now, queue, output);
        released
    }

    /// Takes a hand-out back whose reply never left, so that nobody has heard that its messages were out.
    pub fn take_back<P>(&mut self, now: UnixMillis, handout: &Handout<P>, output: &mut Output) {
        if handout.lease == LeaseId::default() {
            // Nothing was handed out: it was only looked at.
            return;
        }
        let mut queues = BTreeSet::new();
        for message in &handout.messages {
            let Some(transaction) = self.transactions.get(message.id) else {
                continue;
            };
            let out = transaction
                .deliveries
                .iter()
                .find_map(|it| match it.progress {
                    Progress::Out { lease, until, .. } if lease == handout.lease => {
                        Some((it.queue, until))
                    }
                    _ => None,
                });
            if let Some((queue, until)) = out {
                self.schedule.remove_lease(until, message.id, queue);
                self.put_back(message.id, queue, Return::Unsent, output);
                queues.insert(queue);
            }
        }
        for queue in queues {
            self.serve(now, queue, output);
        }
    }

    /// Returns messages whose leases have lapsed to their lines, and serves who waits there. How many they were.
    pub(super) fn lapse(&mut self, now: UnixMillis, output: &mut Output) -> usize {
        let mut lapsed = 0;
        let mut last = None;
        let mut queues = BTreeSet::new();
        while let Some(first) = self.schedule.first_lapsed(now) {
            // What was handed out together goes back together, however much it is.
            if lapsed >= DUE_AT_ONCE_MAX && last != Some(first) {
                break;
            }
            last = Some(first);
            let Some((id, queue)) = self.schedule.take_first_lease() else {
                break;
            };
            if self.put_back(id, queue, Return::Lapsed, output) {
                self.tell(queue, id, Transition::Returned, output);
            }
            queues.insert(queue);
            lapsed += 1;
        }
        // All of it is back before anybody is served, so that its order holds.
        for queue in queues {
            self.serve(now, queue, output);
        }
        lapsed
    }

    /// A message that is out returns to its old place in its line, unless it is dead by now. Whether clients saw that
    /// it was out, and see it in the line.
    fn put_back(
        &mut self,
        id: TransactionId,
        queue: QueueIndex,
        reason: Return,
        output: &mut Output,
    ) -> bool {
        let deliveries_max = self.limits.deliveries_max;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        let (key, position, priority) =
            (transaction.key, transaction.position, transaction.priority);
        let Some(delivery) = transaction.delivery_mut(queue) else {
            return false;
        };
        let Progress::Out {
            kind, deliveries, ..
        } = delivery.progress
        else {
            return false;
        };
        let deliveries = match reason {
            Return::Unsent => deliveries.saturating_sub(1),
            Return::Unfinished | Return::Lapsed => deliveries,
        };
        let is_dead = reason == Return::Lapsed
            && kind == LeaseKind::Reliable
            && (1..=deliveries).contains(&deliveries_max);
        let mark = if is_dead {
            delivery.progress = Progress::Dead { deliveries };
            Mark::Dead { deliveries }
        } else {
            delivery.progress = Progress::InLine { deliveries };
            Mark::Pending { deliveries }
        };
        output.changes.push(Change::Marked {
            key,
            ordinal: delivery.ordinal,
            mark,
        });
        if is_dead {
            let dead = self.queues.dead_mut(queue);
            dead.insert(priority, position, id);
            self.tell(queue, id, Transition::Died { deliveries }, output);
        } else {
            self.queues.line(queue, priority).insert(position, id);
        }
        kind == LeaseKind::Reliable && !is_dead
    }
}
