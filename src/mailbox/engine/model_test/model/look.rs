//! What can be seen of the model without changing it.

use super::{Copy, Entry, Model, Place};
use crate::mailbox::{
    DeadLetter, DeadLetters, GroupName, LeaseKind, Message, Priority, QueueInfo, QueueName, State,
    TransactionId, TransactionView, UnixMillis,
};

impl Model {
    /// When a last pop in that second is forgotten, if nothing else keeps its queue known.
    pub(crate) fn forget_at(&self, second: u64) -> UnixMillis {
        UnixMillis(second * 1000).plus(self.limits.queue_retention)
    }

    /// When the next thing falls due, if idle queues need not be counted on.
    pub(in super::super) fn next_event(&self) -> Option<UnixMillis> {
        let leases = self.entries.iter().flat_map(|it| &it.messages);
        let leases = leases.filter_map(|copy| match copy.place {
            Place::Out { until, .. } => Some(until),
            _ => None,
        });
        let dues = self.entries.iter().filter_map(|it| it.due);
        let ends = self.entries.iter();
        let ends = ends.map(|it| UnixMillis(u64::from(it.expires_at) * 1000));
        let keys = self.keys.iter().map(|it| it.1.until);
        leases.chain(dues).chain(ends).chain(keys).min()
    }

    /// When the next idle queue is forgotten.
    pub(in super::super) fn next_forgotten(&self) -> Option<UnixMillis> {
        let idle = self.last_pops.iter().filter(|it| !self.is_used(&it.0));
        idle.map(|&(_, second)| self.forget_at(second)).min()
    }

    pub(in super::super) fn used_queues(&self) -> Vec<QueueName> {
        let mut used: Vec<QueueName> = self.waiters.iter().map(|it| it.1.queue.clone()).collect();
        for copy in self.entries.iter().flat_map(|it| &it.messages) {
            used.push(copy.queue.clone());
        }
        used.sort();
        used.dedup();
        used
    }

    pub(super) fn is_used(&self, queue: &QueueName) -> bool {
        self.used_queues().contains(queue)
    }

    /// Idle queues make room for new ones, so only used ones can fill the table.
    pub(super) fn has_room_for(&self, names: &[QueueName]) -> bool {
        let mut used = self.used_queues();
        used.extend(names.iter().cloned());
        used.sort();
        used.dedup();
        let tenants_max = self.limits.tenant_queues_max;
        let is_fair = names.iter().all(|name| {
            let of_tenant = used.iter().filter(|it| it.tenant() == name.tenant());
            name.tenant().0.is_none() || of_tenant.count() <= tenants_max
        });
        is_fair && used.len() <= self.limits.queues_max
    }

    /// The messages in line, as they are to be handed out.
    pub(super) fn line(&self, now: UnixMillis, queue: &QueueName) -> Vec<&Entry> {
        let mut line = self.at(queue, Place::Line);
        line.retain(|it| it.due.is_none() && !it.is_over(now));
        line
    }

    pub(super) fn dead(&self, queue: &QueueName) -> Vec<&Entry> {
        self.at(queue, Place::Dead)
    }

    fn at(&self, queue: &QueueName, place: Place) -> Vec<&Entry> {
        let is_here = |it: &Copy| it.queue == *queue && it.place == place;
        let entries = self.entries.iter();
        let mut here: Vec<&Entry> = entries
            .filter(|it| it.messages.iter().any(is_here))
            .collect();
        here.sort_by_key(|it| (it.priority == Priority::Low, it.arrival));
        here
    }

    pub(super) fn dead_letters(&self, queue: &QueueName, count_max: usize) -> DeadLetters {
        let dead = self.dead(queue);
        let letter = |entry: &&Entry| DeadLetter {
            id: entry.id,
            priority: entry.priority,
            deliveries: entry.deliveries(queue),
        };
        DeadLetters {
            size: dead.len(),
            letters: dead.iter().map(letter).take(count_max).collect(),
        }
    }

    pub(super) fn head(
        &self,
        now: UnixMillis,
        queue: &QueueName,
        count: usize,
        bytes: usize,
    ) -> Vec<Message> {
        let mut head: Vec<Message> = Vec::new();
        for entry in self.line(now, queue) {
            let payload = entry.record.payload.clone();
            let before: usize = head.iter().map(|it| it.payload.len()).sum();
            if head.len() >= count || (!head.is_empty() && before + payload.len() > bytes) {
                break;
            }
            let id = entry.id;
            head.push(Message {
                id,
                payload,
                deliveries: 0,
            });
        }
        head
    }

    pub(super) fn describe(&self, now: UnixMillis, queue: &QueueName) -> QueueInfo {
        let line = self.line(now, queue);
        let listed = |priority| {
            let line = line.iter().filter(|it| it.priority == priority);
            let ids = line.map(|it| it.id);
            ids.take(self.limits.listed_messages_max).collect()
        };
        QueueInfo {
            last_pop: self
                .last_pops
                .iter()
                .find(|it| it.0 == *queue)
                .map(|it| it.1),
            blocked: self.waiters.iter().any(|it| it.1.queue == *queue),
            size: line.len(),
            high: listed(Priority::High),
            low: listed(Priority::Low),
            dead: self.dead(queue).len(),
        }
    }

    pub(super) fn view(&self, id: TransactionId) -> Option<TransactionView> {
        let entry = self.entries.iter().find(|it| it.id == id)?;
        let state = |copy: &Copy| {
            let state = match copy.place {
                Place::Out {
                    kind: LeaseKind::Reliable,
                    ..
                } => State::Blocked,
                Place::Line | Place::Out { .. } => State::Pending,
                Place::Delivered => State::Delivered,
                Place::Dead => State::Dead,
                Place::Purged => State::Expired,
            };
            (copy.queue.clone(), state)
        };
        Some(TransactionView {
            priority: entry.priority,
            expires_at: entry.expires_at,
            record: entry.record.clone(),
            states: entry.messages.iter().map(state).collect(),
        })
    }

    pub(super) fn callback(&self, id: TransactionId) -> Option<Box<str>> {
        let callback = self.view(id)?.record.callback?;
        Some(callback).filter(|it| !it.is_empty())
    }

    pub(super) fn members(&self, name: &GroupName) -> Vec<Box<str>> {
        let group = self.groups.iter().find(|it| it.0 == *name);
        group.map_or_else(Vec::new, |it| it.1.clone())
    }
}
