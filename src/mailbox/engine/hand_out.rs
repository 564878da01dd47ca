//! Handing messages out: to who asks, to who waits, or only to look at.

use super::{
    Change, DELIVERIES_COUNTED_MAX, End, Engine, EngineReply, Handout, LeaseId, LeaseKind, Mark,
    Message, Output, Pop, Progress, QueueIndex, QueueName, RecordKey, Refusal, Reply, Terms,
    Ticket, UnixMillis, Waiter, is_over,
};

impl Engine {
    pub(super) fn pop(
        &mut self,
        now: UnixMillis,
        ticket: Ticket,
        pop: &Pop,
        output: &mut Output,
    ) -> Option<EngineReply> {
        let queue = match self.queue_for(&pop.queue, output) {
            Ok(queue) => queue,
            Err(refusal) => return Some(Reply::Refused(refusal)),
        };
        if self.queues.note_pop(queue, now) {
            let second = now.seconds();
            output.changes.push(Change::QueuePopped {
                queue: pop.queue.clone(),
                second,
            });
        }
        let terms = Terms::of(pop);
        let handout = self.take(now, queue, terms, output);
        if !pop.wait || !handout.messages.is_empty() {
            return Some(Reply::Messages(handout));
        }
        if self.queues.waiter_count(queue) >= self.limits.waiters_max {
            return Some(Reply::Refused(Refusal::Full(
                "limits.max_waiters is reached",
            )));
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.queues.add_waiter(
            queue,
            Waiter {
                turn,
                ticket,
                terms,
            },
        );
        self.waiting.insert(ticket, (queue, turn));
        None
    }

    /// Hands what is in the line to whoever waits, the longest waiting first.
    pub(super) fn serve(&mut self, now: UnixMillis, queue: QueueIndex, output: &mut Output) {
        while let Some(waiter) = self.queues.next_to_serve(queue) {
            let (ticket, terms) = (waiter.ticket, waiter.terms);
            let handout = self.take(now, queue, terms, output);
            if handout.messages.is_empty() {
                break;
            }
            self.queues.remove_first_waiter(queue);
            self.waiting.remove(&ticket);
            output.replies.push((ticket, Reply::Messages(handout)));
        }
    }

    /// Takes messages out of a line, high priority first, and leases them.
    pub(super) fn take(
        &mut self,
        now: UnixMillis,
        queue: QueueIndex,
        terms: Terms,
        output: &mut Output,
    ) -> Handout<RecordKey> {
        let lease = LeaseId(self.next_lease);
        let until = now.plus(terms.lease);
        let mut messages = Vec::new();
        let mut bytes = 0_usize;
        while messages.len() < terms.count_max {
            let Some(id) = self.queues.first_in_line(queue) else {
                break;
            };
            // Every message in a line belongs to a transaction of the table: `remove` takes it out of both.
            let Some(transaction) = self.transactions.get_mut(id) else {
                break;
            };
            if is_over(transaction.expires_at, now) {
                self.remove(id, End::Life, output);
                continue;
            }
            bytes = bytes.saturating_add(transaction.payload_bytes);
            if !messages.is_empty() && bytes > terms.bytes_max {
                break;
            }
            let (key, position, priority) =
                (transaction.key, transaction.position, transaction.priority);
            let Some(delivery) = transaction.delivery_mut(queue) else {
                break;
            };
            let Progress::InLine { deliveries } = delivery.progress else {
                break;
            };
            let deliveries = deliveries.saturating_add(1).min(DELIVERIES_COUNTED_MAX);
            delivery.progress = Progress::Out {
                lease,
                until,
                kind: terms.kind,
                deliveries,
            };
            if terms.kind == LeaseKind::Reliable {
                let mark = Mark::Blocked { until, deliveries };
                output.changes.push(Change::Marked {
                    key,
                    ordinal: delivery.ordinal,
                    mark,
                });
            }
            self.queues.line(queue, priority).remove(position);
            self.schedule.add_lease(until, id, queue);
            messages.push(Message {
                id,
                payload: key,
                deliveries,
            });
        }
        if !messages.is_empty() {
            self.next_lease += 1;
        }
        Handout { lease, messages }
    }

    pub(super) fn cancel(&mut self, name: &QueueName, ticket: Ticket, output: &mut Output) {
        let Some((queue, turn)) = self.waiting.remove(&ticket) else {
            return;
        };
        debug_assert_eq!(
            self.queues.find(name),
            Some(queue),
            "a waiter waits on one queue"
        );
        self.queues.remove_waiter(queue, turn);
        let nothing = Handout {
            lease: LeaseId::default(),
            messages: Vec::new(),
        };
        output.replies.push((ticket, Reply::Messages(nothing)));
    }

    pub(super) fn peek(
        &self,
        now: UnixMillis,
        name: &QueueName,
        count_max: usize,
        bytes_max: usize,
    ) -> Handout<RecordKey> {
        let mut messages = Vec::new();
        let mut bytes = 0_usize;
        let ids = self
            .queues
            .find(name)
            .into_iter()
            .flat_map(|queue| self.queues.in_order(queue));
        for id in ids {
            let Some(transaction) = self.transactions.get(id) else {
                continue;
            };
            if is_over(transaction.expires_at, now) {
                continue;
            }
            bytes = bytes.saturating_add(transaction.payload_bytes);
            if messages.len() >= count_max || (!messages.is_empty() && bytes > bytes_max) {
                break;
            }
            messages.push(Message {
                id,
                payload: transaction.key,
                deliveries: 0,
            });
        }
        Handout {
            lease: LeaseId::default(),
            messages,
        }
    }
}
