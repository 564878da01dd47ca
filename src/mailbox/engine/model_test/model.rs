//! The reference: the same semantics as the engine, written for the eye. Lists, every question answered by looking at
//! everything, and no code of the engine's.

mod dead;
mod look;
mod secured;
mod told;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(crate) use told::Told;

use super::Home;
use crate::mailbox::{
    AckItem, Expiration, GroupChange, GroupName, Handout, IdempotencyKey, LeaseId, LeaseKind,
    Limits, Op, Pop, Priority, Push, QueueName, Record, Refusal, Reply, Return, Ticket,
    TransactionId, UnixMillis, Update, engine::KnownPush,
};

pub(crate) type Replies = Vec<(Ticket, Reply)>;

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Line,
    Out {
        lease: LeaseId,
        until: UnixMillis,
        kind: LeaseKind,
    },
    Delivered,
    Dead,
    Purged,
}

/// A message: where it is, and how often it has been handed out.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) queue: QueueName,
    pub(super) place: Place,
    pub(super) deliveries: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: TransactionId,
    pub(super) priority: Priority,
    pub(super) record: Record,
    pub(super) due: Option<UnixMillis>,
    pub(super) expires_at: u32,
    pub(super) messages: Vec<Copy>,
    /// Counts the arrivals: what arrived earlier is nearer to the head.
    arrival: u64,
    /// Counts the pushes taken in.
    pub(super) birth: u64,
}

impl Entry {
    fn is_over(&self, now: UnixMillis) -> bool {
        now.0 >= u64::from(self.expires_at) * 1000
    }

    pub(super) fn deliveries(&self, queue: &QueueName) -> u32 {
        let mut messages = self.messages.iter();
        let copy = messages.find(|it| it.queue == *queue);
        copy.map_or(0, |it| it.deliveries)
    }

    fn copy(&mut self, queue: &QueueName) -> Option<&mut Copy> {
        self.messages.iter_mut().find(|it| it.queue == *queue)
    }
}

pub(crate) struct Model {
    limits: Limits,
    pub(super) entries: Vec<Entry>,
    pub(super) waiters: Vec<(Ticket, Pop)>,
    pub(super) groups: Vec<(GroupName, Vec<Box<str>>)>,
    pub(super) secured: BTreeMap<QueueName, Box<str>>,
    pub(super) last_pops: Vec<(QueueName, u64)>,
    pub(super) keys: Vec<(IdempotencyKey, KnownPush)>,
    told: Vec<Told>,
    count: u64,
}

/// Leases of the model are far from those of any system under test, so that one taken for the other is noticed.
const FIRST_LEASE: u64 = 1 << 40;

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            waiters: Vec::new(),
            groups: Vec::new(),
            secured: BTreeMap::new(),
            last_pops: Vec::new(),
            keys: Vec::new(),
            told: Vec::new(),
            count: 0,
        }
    }

    fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Who waited is gone, and so is who was being answered; consumers that are to ack still have their messages.
    pub(super) fn restart(&mut self, home: Home) {
        self.waiters.clear();
        for copy in self.entries.iter_mut().flat_map(|it| &mut it.messages) {
            if let Place::Out { kind, lease, .. } = &mut copy.place {
                match (home, kind) {
                    (Home::Process, LeaseKind::Delivery) => {
                        copy.place = Place::Line;
                        copy.deliveries -= 1;
                    }
                    _ => *lease = LeaseId(u64::MAX),
                }
            }
        }
    }

    /// Nothing is left but secured queues, which stay.
    pub(crate) fn is_empty(&self) -> bool {
        let is_forgotten = self.last_pops.is_empty() && self.keys.is_empty();
        self.entries.is_empty() && is_forgotten && self.groups.is_empty()
    }

    pub(super) fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op) -> Replies {
        let mut replies = self.advance(now);
        let reply = match op {
            Op::Push(push) => Some(self.push(now, *push, &mut replies)),
            Op::Pop(pop) => self.pop(now, ticket, pop),
            Op::CancelPop { ticket, .. } => {
                if let Some(at) = self.waiters.iter().position(|it| it.0 == ticket) {
                    self.waiters.remove(at);
                    replies.push((ticket, Reply::Messages(no_messages())));
                }
                None
            }
            Op::Settle {
                queue,
                lease,
                transactions,
            } => {
                for id in transactions {
                    self.deliver(id, &queue, |place| match *place {
                        Place::Line => true,
                        Place::Out { lease: holder, .. } => holder == lease,
                        _ => false,
                    });
                }
                None
            }
            Op::Release {
                queue,
                lease,
                transactions,
                reason,
            } => {
                let released = self.release(&queue, lease, &transactions, reason);
                self.serve(now, &queue, &mut replies);
                Some(Reply::Released(released))
            }
            Op::Ack {
                queue,
                transactions,
            } => {
                let ack = |item: AckItem| {
                    let id = item.id;
                    let may = |place: &Place| !matches!(place, Place::Delivered | Place::Purged);
                    id.is_some_and(|id| self.deliver(id, &queue, may))
                };
                Some(Reply::Acked(transactions.into_iter().map(ack).collect()))
            }
            Op::Peek {
                queue,
                count_max,
                bytes_max,
            } => {
                let mut handout = no_messages();
                handout.messages = self.head(now, &queue, count_max, bytes_max);
                Some(Reply::Messages(handout))
            }
            Op::DeadLetters { queue, count_max } => {
                Some(Reply::DeadLetters(self.dead_letters(&queue, count_max)))
            }
            Op::Redrive(selection) => {
                let reply = self.end_deaths(&selection, Place::Line);
                self.serve(now, &selection.queue, &mut replies);
                Some(reply(self))
            }
            Op::Purge(selection) => Some(self.end_deaths(&selection, Place::Purged)(self)),
            Op::DescribeQueue(queue) => Some(Reply::Queue(self.describe(now, &queue))),
            Op::Transaction(id) => Some(Reply::Transaction(self.view(id))),
            Op::States(id) => Some(Reply::States(
                self.view(id).map_or_else(Vec::new, |view| view.states),
            )),
            Op::Callbacks(ids) => Some(Reply::Callbacks(
                ids.into_iter().map(|id| self.callback(id)).collect(),
            )),
            Op::Update(id, update) => Some(Reply::Found(self.update(now, id, update))),
            Op::Delete(id) => {
                self.entries.retain(|it| it.id != id);
                Some(Reply::Done)
            }
            Op::SecureQueue { queue, credentials } => Some(self.secure(queue, credentials)),
            Op::Credentials(queue) => Some(Reply::Credentials(self.secured.get(&queue).cloned())),
            Op::RenewCredentials {
                queue,
                before,
                after,
            } => Some(Reply::Found(self.renew(&queue, &before, after))),
            op => Some(self.group_op(op)),
        };
        replies.extend(reply.map(|reply| (ticket, reply)));
        replies
    }

    /// First all leases that lapsed, then what was held back, then ends of life, then forgetting.
    pub(super) fn advance(&mut self, now: UnixMillis) -> Replies {
        let mut replies = Replies::new();
        let mut lapsed = Vec::new();
        let max = self.limits.deliveries_max;
        let held = self.entries.iter().filter(|it| it.due.is_some());
        let held_back: Vec<u64> = held.map(|it| it.birth).collect();
        for entry in &mut self.entries {
            for copy in &mut entry.messages {
                if matches!(copy.place, Place::Out { until, .. } if until <= now) {
                    self.told
                        .extend(copy.come_back(entry.id, Return::Lapsed, max));
                    lapsed.push(copy.queue.clone());
                }
            }
        }
        for queue in lapsed {
            self.serve(now, &queue, &mut replies);
        }
        loop {
            let held = self.entries.iter_mut().filter(|it| it.due.is_some());
            let Some(first) = held
                .min_by_key(|it| (it.due, it.arrival))
                .filter(|it| it.due <= Some(now))
            else {
                break;
            };
            self.count += 1;
            first.arrival = self.count;
            first.due = None;
            let queues: Vec<_> = first.messages.iter().map(|it| it.queue.clone()).collect();
            for queue in queues {
                self.serve(now, &queue, &mut replies);
            }
        }
        self.expire(now, &held_back);
        self.keys.retain(|(_, push)| push.until > now);
        let mut last_pops = std::mem::take(&mut self.last_pops);
        last_pops.retain(|(queue, second)| self.is_used(queue) || self.forget_at(*second) > now);
        self.last_pops = last_pops;
        replies
    }

    fn hand_out(&mut self, now: UnixMillis, pop: &Pop) -> Handout {
        let mut messages = self.head(now, &pop.queue, pop.count_max.max(1), pop.bytes_max);
        let lease = LeaseId(FIRST_LEASE + self.count());
        for message in &mut messages {
            let entry = self.entries.iter_mut().find(|it| it.id == message.id);
            let copy = entry.unwrap().copy(&pop.queue).unwrap();
            copy.place = Place::Out {
                lease,
                until: now.plus(pop.lease),
                kind: pop.kind,
            };
            copy.deliveries += 1;
            message.deliveries = copy.deliveries;
        }
        Handout { lease, messages }
    }

    fn serve(&mut self, now: UnixMillis, queue: &QueueName, replies: &mut Replies) {
        while let Some(at) = self.waiters.iter().position(|it| it.1.queue == *queue) {
            let (ticket, pop) = self.waiters[at].clone();
            let handout = self.hand_out(now, &pop);
            if handout.messages.is_empty() {
                break;
            }
            self.waiters.remove(at);
            replies.push((ticket, Reply::Messages(handout)));
        }
    }

    fn push(&mut self, now: UnixMillis, mut push: Push, replies: &mut Replies) -> Reply {
        let Some(named) = push.idempotency.take() else {
            return self.push_new(now, push, replies);
        };
        if let Some((_, known)) = self.keys.iter().find(|it| it.0 == named.key) {
            return if known.fingerprint == named.fingerprint {
                Reply::Pushed(known.id)
            } else {
                Reply::Refused(Refusal::OtherPush)
            };
        }
        if self.keys.len() >= self.limits.idempotency_keys_max {
            return Reply::Refused(Refusal::Full("the model says so"));
        }
        let id = push.id;
        let reply = self.push_new(now, push, replies);
        if let Reply::Pushed(_) = reply {
            let known = KnownPush {
                id,
                fingerprint: named.fingerprint,
                until: now.plus(named.life),
            };
            self.keys.push((named.key, known));
        }
        reply
    }

    fn push_new(&mut self, now: UnixMillis, push: Push, replies: &mut Replies) -> Reply {
        let mut queues: Vec<QueueName> = Vec::new();
        let mut named = push.queues.clone();
        for group in &push.groups {
            for id in self.members(group) {
                named.push(QueueName::new(push.realm, group.tenant.clone(), &id));
            }
        }
        for queue in named {
            if !queues.contains(&queue) {
                queues.push(queue);
            }
        }
        if queues.len() > self.limits.queues_per_transaction_max {
            let max = self.limits.queues_per_transaction_max;
            return Reply::Refused(Refusal::TooManyQueues(max));
        }
        let known = self.entries.iter().any(|it| it.id == push.id);
        let start = now.plus(push.delay);
        let birth = self.count();
        let entry = Entry {
            id: push.id,
            priority: push.priority,
            record: push.record,
            due: (!push.delay.is_zero()).then_some(start),
            expires_at: end(push.expiration, start),
            messages: queues.iter().map(Copy::fresh).collect(),
            arrival: birth,
            birth,
        };
        if known || entry.is_over(now) {
            return Reply::Pushed(push.id);
        }
        if self.entries.len() >= self.limits.transactions_max || !self.has_room_for(&queues) {
            return Reply::Refused(Refusal::Full("the model says so"));
        }
        self.entries.push(entry);
        for queue in queues {
            self.serve(now, &queue, replies);
        }
        Reply::Pushed(push.id)
    }

    fn pop(&mut self, now: UnixMillis, ticket: Ticket, pop: Pop) -> Option<Reply> {
        if !self.has_room_for(std::slice::from_ref(&pop.queue)) {
            return Some(Reply::Refused(Refusal::Full("the model says so")));
        }
        self.last_pops.retain(|it| it.0 != pop.queue);
        self.last_pops.push((pop.queue.clone(), now.0 / 1000));
        let handout = self.hand_out(now, &pop);
        if handout.messages.is_empty() && pop.wait {
            let waiting = self.waiters.iter().filter(|it| it.1.queue == pop.queue);
            if waiting.count() >= self.limits.waiters_max {
                return Some(Reply::Refused(Refusal::Full("the model says so")));
            }
            self.waiters.push((ticket, pop));
            return None;
        }
        Some(Reply::Messages(handout))
    }

    /// Makes a message Delivered if `may` says so of where it is.
    fn deliver(
        &mut self,
        id: TransactionId,
        queue: &QueueName,
        may: impl Fn(&Place) -> bool,
    ) -> bool {
        let entry = self.entries.iter_mut().find(|it| it.id == id);
        let copy = entry.and_then(|it| it.copy(queue));
        let Some(copy) = copy.filter(|it| may(&it.place)) else {
            return false;
        };
        copy.place = Place::Delivered;
        true
    }

    fn release(
        &mut self,
        queue: &QueueName,
        stale: LeaseId,
        ids: &[TransactionId],
        reason: Return,
    ) -> usize {
        let mut released = 0;
        for &id in ids {
            let entry = self.entries.iter_mut().find(|it| it.id == id);
            if let Some(copy) = entry.and_then(|it| it.copy(queue))
                && matches!(copy.place, Place::Out { lease, .. } if lease == stale)
            {
                let max = self.limits.deliveries_max;
                self.told.extend(copy.come_back(id, reason, max));
                released += 1;
            }
        }
        released
    }

    fn update(&mut self, now: UnixMillis, id: TransactionId, update: Update) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|it| it.id == id) else {
            return false;
        };
        if let Some(payload) = update.payload {
            entry.record.payload = payload;
        }
        if update.callback.is_some() {
            entry.record.callback = update.callback;
        }
        if let Some(expiration) = update.expiration {
            entry.expires_at = end(expiration, entry.due.unwrap_or(now));
        }
        true
    }

    fn group_op(&mut self, op: Op) -> Reply {
        let known = |name: &GroupName| self.groups.iter().any(|it| it.0 == *name);
        match op {
            Op::StoreGroup(name, add) => {
                if !known(&name) && self.groups.len() >= self.limits.groups_max {
                    return Reply::Refused(Refusal::Full("the model says so"));
                }
                let remove = Vec::new();
                self.change_group(name, GroupChange { add, remove }, Reply::Done)
            }
            Op::ChangeGroup(name, _) if !known(&name) => Reply::Found(false),
            Op::ChangeGroup(name, change) => self.change_group(name, change, Reply::Found(true)),
            Op::RemoveGroup(name) => {
                self.groups.retain(|it| it.0 != name);
                Reply::Done
            }
            Op::Group(name) => Reply::Group(self.members(&name)),
            op => panic!("{op:?} is no operation on groups"),
        }
    }

    fn change_group(&mut self, name: GroupName, change: GroupChange, reply: Reply) -> Reply {
        let mut members = self.members(&name);
        members.extend(change.add);
        members.sort();
        members.dedup();
        members.retain(|it| !change.remove.contains(it));
        let max = self.limits.queues_per_transaction_max;
        if members.len() > max {
            return Reply::Refused(Refusal::TooManyQueues(max));
        }
        self.groups.retain(|it| it.0 != name);
        self.groups.push((name, members));
        reply
    }
}

fn no_messages() -> Handout<Bytes> {
    Handout {
        lease: LeaseId(0),
        messages: Vec::new(),
    }
}

/// The second in which a transaction ends that can first be delivered at `start`.
fn end(expiration: Expiration, start: UnixMillis) -> u32 {
    match expiration {
        Expiration::At(second) => second,
        Expiration::After(life) => {
            let millis = start.plus(life).0;
            let second = millis.div_ceil(1000);
            u32::try_from(second.min(2_147_483_647)).unwrap()
        }
    }
}
