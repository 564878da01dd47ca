//! Arriving: a push, at once or after its delay.

use std::collections::HashSet;

use super::{
    Change, Delivery, End, Engine, EngineReply, Header, KnownPush, Output, Progress, Push,
    QueueIndex, QueueName, RecordKey, Refusal, Reply, Transaction, TransactionId, UnixMillis,
    is_over,
};

/// Queues of one push that are compared with each other one by one. A set is made for more, which is most of what a
/// push to a single queue would cost here.
const COMPARED_NAMES_MAX: usize = 8;

impl Engine {
    pub(super) fn push(
        &mut self,
        now: UnixMillis,
        mut push: Push,
        output: &mut Output,
    ) -> EngineReply {
        let Some(idempotency) = push.idempotency.take() else {
            return self.push_new(now, push, output);
        };
        if let Some(known) = self.keys.find(&idempotency.key, now) {
            return if known.fingerprint == idempotency.fingerprint {
                Reply::Pushed(known.id)
            } else {
                Reply::Refused(Refusal::OtherPush)
            };
        }
        if self.keys.len() >= self.limits.idempotency_keys_max {
            return Reply::Refused(Refusal::Full("limits.max_idempotency_keys is reached"));
        }
        let reply = self.push_new(now, push, output);
        if let Reply::Pushed(id) = reply {
            let push = KnownPush {
                id,
                fingerprint: idempotency.fingerprint,
                until: now.plus(idempotency.life),
            };
            self.keys.insert(idempotency.key.clone(), push);
            output.changes.push(Change::KeyStored {
                key: idempotency.key,
                push,
            });
            output.promised = true;
        }
        reply
    }

    fn push_new(&mut self, now: UnixMillis, push: Push, output: &mut Output) -> EngineReply {
        let names = match self.destinations(&push) {
            Ok(names) => names,
            Err(refusal) => return Reply::Refused(refusal),
        };
        let starts_at = now.plus(push.delay);
        let expires_at = push.expiration.second(starts_at);
        if is_over(expires_at, now) || self.transactions.get(push.id).is_some() {
            // Over before it began, or a repeat of a push that has been taken in: there is nothing to do.
            return Reply::Pushed(push.id);
        }
        if self.transactions.len() >= self.limits.transactions_max {
            return Reply::Refused(Refusal::Full("limits.max_transactions is reached"));
        }
        let mut deliveries = Vec::with_capacity(names.len());
        for (ordinal, name) in (0..).zip(&names) {
            match self.queue_for(name, output) {
                Ok(queue) => {
                    self.queues.refer(queue);
                    deliveries.push(Delivery {
                        queue,
                        ordinal,
                        progress: Progress::FRESH,
                    });
                }
                Err(refusal) => {
                    for delivery in deliveries {
                        self.queues.unrefer(delivery.queue);
                    }
                    return Reply::Refused(refusal);
                }
            }
        }
        deliveries.sort_unstable_by_key(|delivery| delivery.queue);
        let key = self.take_key();
        let transaction = Transaction {
            key,
            position: key.0,
            due: (!push.delay.is_zero()).then_some(starts_at),
            expires_at,
            payload_bytes: push.record.payload.len(),
            priority: push.priority,
            deliveries: deliveries.into(),
        };
        let header = Header {
            id: push.id,
            priority: push.priority,
            position: transaction.position,
            due: transaction.due,
            expires_at,
            payload_bytes: transaction.payload_bytes,
            queues: names,
        };
        output.changes.push(Change::Stored {
            key,
            header,
            record: push.record,
        });
        output.promised = true;
        self.schedule.add_expiry(expires_at, key, push.id);
        let (due, position) = (transaction.due, transaction.position);
        self.transactions.insert(push.id, transaction);
        match due {
            Some(due) => self.schedule.add_delay(due, position, push.id),
            None => self.join_lines(now, push.id, output),
        }
        Reply::Pushed(push.id)
    }

    /// The distinct queues of a push, those of its groups included, in the order they are named.
    pub(super) fn destinations(&self, push: &Push) -> Result<Vec<QueueName>, Refusal> {
        let members = push.groups.iter().flat_map(|group| {
            let members = self.groups.get(group).into_iter().flatten();
            members.map(|id| QueueName::new(push.realm, group.tenant.clone(), id))
        });
        let mut seen = HashSet::new();
        let mut names: Vec<QueueName> = Vec::with_capacity(push.queues.len());
        for name in push.queues.iter().cloned().chain(members) {
            let is_new = if names.len() < COMPARED_NAMES_MAX {
                !names.contains(&name)
            } else {
                if seen.is_empty() {
                    seen.extend(names.iter().cloned());
                }
                seen.insert(name.clone())
            };
            if is_new {
                names.push(name);
            }
            if names.len() > self.limits.queues_per_transaction_max {
                return Err(Refusal::TooManyQueues(
                    self.limits.queues_per_transaction_max,
                ));
            }
        }
        Ok(names)
    }

    /// The queue of that name, made if need be; a full table, or one full of its tenant's, forgets an idle queue for
    /// it.
    pub(super) fn queue_for(
        &mut self,
        name: &QueueName,
        output: &mut Output,
    ) -> Result<QueueIndex, Refusal> {
        if let Some(queue) = self.queues.find(name) {
            return Ok(queue);
        }
        let tenant = name.tenant();
        if self.queues.tenant_count(tenant) >= self.limits.tenant_queues_max {
            let Some(forgotten) = self.queues.forget_idlest_of(tenant) else {
                return Err(Refusal::Full("limits.max_tenant_queues is reached"));
            };
            output.changes.push(Change::QueueForgotten(forgotten));
        }
        if self.queues.len() >= self.limits.queues_max {
            let Some(forgotten) = self.queues.forget_idlest() else {
                return Err(Refusal::Full("limits.max_known_queues is reached"));
            };
            output.changes.push(Change::QueueForgotten(forgotten));
        }
        Ok(self.queues.create(name.clone()))
    }

    pub(super) fn take_key(&mut self) -> RecordKey {
        let key = RecordKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// A held-back transaction's time has come: it arrives now, behind what arrived before. Of how many messages it is.
    pub(super) fn enter_queues(
        &mut self,
        now: UnixMillis,
        id: TransactionId,
        output: &mut Output,
    ) -> usize {
        if self.alive(now, id).is_none() {
            // Its end has come, too. In a line, the first waiter served would find it over and remove it while it is
            // still joining the other lines.
            return self.remove(id, End::Life, output);
        }
        let position = self.take_key().0;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return 0;
        };
        transaction.due = None;
        transaction.position = position;
        let (key, messages) = (transaction.key, transaction.deliveries.len());
        if let Some(header) = self.header(id) {
            output.changes.push(Change::Header { key, header });
        }
        self.join_lines(now, id, output);
        messages
    }

    /// Puts every message of a transaction that is still to be delivered into its line, and serves who waits there.
    pub(super) fn join_lines(&mut self, now: UnixMillis, id: TransactionId, output: &mut Output) {
        let Some(transaction) = self.transactions.get(id) else {
            return;
        };
        let (position, priority) = (transaction.position, transaction.priority);
        let queues: Vec<QueueIndex> = transaction
            .deliveries
            .iter()
            .filter(|delivery| matches!(delivery.progress, Progress::InLine { .. }))
            .map(|delivery| delivery.queue)
            .collect();
        for queue in queues {
            self.queues.line(queue, priority).insert(position, id);
            self.serve(now, queue, output);
        }
    }
}
