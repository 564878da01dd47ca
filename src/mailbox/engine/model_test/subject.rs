//! Systems to compare with the model. The engine, together with the smallest store that its changes can be kept in, is
//! one of them.

use std::collections::{BTreeMap, HashMap};

use super::{
    Home,
    model::{Model, Place, Replies, Told},
};
use crate::mailbox::{
    GroupName, Handout, IdempotencyKey, LeaseKind, Limits, Message, Op, QueueName, Record, Reply,
    Ticket, TransactionView, UnixMillis,
    engine::{self, Change, Engine, EngineReply, Header, KnownPush, Mark, Output, RecordKey},
};

/// A system under test.
pub(crate) trait Subject {
    /// Does what fell due, then `op`.
    fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op) -> Replies;

    /// Does what fell due.
    fn advance(&mut self, now: UnixMillis) -> Replies;

    /// What it has told of messages since this was asked last.
    fn told(&mut self) -> Vec<Told>;

    /// What it is to tell of what the model tells in one step.
    fn hears(&self, told: Vec<Told>) -> Vec<Told> {
        told
    }

    /// Comes back after a crash: knows what it has stored and nobody who waits.
    fn restart(&mut self);

    /// Compares what can be seen inside with the model, just after `advance`.
    fn check(&mut self, _model: &Model, _now: UnixMillis) {}

    /// Answers operations that change nothing, just after `advance`, in any order.
    fn look(&mut self, now: UnixMillis, looks: Vec<(Ticket, Op)>) -> Replies {
        let answer = |(ticket, op)| self.apply(now, ticket, op);
        looks.into_iter().flat_map(answer).collect()
    }

    /// Whether it may have forgotten a queue's last pop, in that second, that the model remembers; or the other way
    /// round.
    fn may_forget(&self, _model: &Model, _now: UnixMillis, _last_pop: u64) -> bool {
        false
    }
}

/// The engine with its changes kept in maps.
pub(crate) struct Kept {
    home: Home,
    limits: Limits,
    engine: Engine,
    store: Store,
    restarts: usize,
    told: Vec<Told>,
    /// The queues of all pops there have been.
    popped: HashMap<Ticket, QueueName>,
}

#[derive(Debug, Default)]
struct Store {
    transactions: BTreeMap<RecordKey, (Header, Record)>,
    marks: BTreeMap<(RecordKey, u32), Mark>,
    groups: BTreeMap<GroupName, Vec<Box<str>>>,
    secured: BTreeMap<QueueName, Box<str>>,
    last_pops: BTreeMap<QueueName, u64>,
    keys: BTreeMap<IdempotencyKey, KnownPush>,
}

impl Kept {
    pub(crate) fn new(limits: Limits, home: Home) -> Self {
        Self {
            home,
            limits,
            engine: Engine::new(limits, engine::Told::All),
            store: Store::default(),
            restarts: 0,
            told: Vec::new(),
            popped: HashMap::new(),
        }
    }

    /// Those who wait are gone, and nothing else has changed.
    fn forsake(&mut self) {
        let waiting: Vec<Ticket> = self.engine.waiting_tickets().collect();
        for ticket in waiting {
            let queue = self.popped[&ticket].clone();
            let mut output = Output::default();
            let cancel = Op::CancelPop { queue, ticket };
            // At the beginning of time nothing falls due.
            self.engine
                .apply(UnixMillis(0), ticket, cancel, &mut output);
            self.keep(output);
        }
    }

    /// Keeps the changes and puts contents into the replies. Contents go last: a reply may hand out what the same
    /// output removes.
    fn keep(&mut self, output: Output) -> Replies {
        let transitions = output.transitions.into_iter();
        let told = transitions.map(|(queue, id, it)| Told::of(queue, id, it.state()));
        self.told.extend(told);
        let mut removed = Vec::new();
        for change in output.changes {
            match change {
                Change::Removed { key, marked } => removed.push((key, marked)),
                change => self.store.keep(change),
            }
        }
        let replies = output.replies.into_iter();
        let replies = replies
            .map(|(ticket, reply)| (ticket, self.store.fill(reply)))
            .collect();
        for (key, marked) in removed {
            self.store.remove(key, &marked);
        }
        replies
    }
}

impl Subject for Kept {
    fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op) -> Replies {
        if let Op::Pop(pop) = &op {
            self.popped.insert(ticket, pop.queue.clone());
        }
        let mut replies = Replies::new();
        if matches!(op, Op::Update(..)) {
            // What lapses now is handed out as it was before the update.
            replies = self.advance(now);
        }
        let mut output = Output::default();
        self.engine.apply(now, ticket, op.clone(), &mut output);
        let is_promise = |change: &Change| {
            matches!(
                change,
                Change::Stored { .. }
                    | Change::Updated { .. }
                    | Change::GroupStored { .. }
                    | Change::KeyStored { .. }
                    | Change::QueueSecured { .. }
                    | Change::GroupRemoved(_)
            )
        };
        let acks = |it: &(Ticket, EngineReply)| matches!(&it.1, Reply::Acked(acked) if acked.contains(&true));
        let is_acked = output.replies.iter().any(acks);
        let moves = |it: &(Ticket, EngineReply)| matches!(it.1, Reply::Moved { moved: 1.., .. });
        if is_acked
            || output.replies.iter().any(moves)
            || matches!(op, Op::Delete(_))
            || output.changes.iter().any(is_promise)
        {
            assert!(output.promised, "a reply leaves before {op:?} is durable");
        }
        if matches!(op, Op::Callbacks(_)) {
            assert!(!output.promised, "who asks for callbacks waits for nothing");
        }
        replies.extend(self.keep(output));
        replies
    }

    fn advance(&mut self, now: UnixMillis) -> Replies {
        let mut output = Output::default();
        self.engine.advance(now, &mut output);
        self.keep(output)
    }

    fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn restart(&mut self) {
        if self.home == Home::Servers {
            return self.forsake();
        }
        self.restarts += 1;
        self.engine = Engine::new(self.limits, engine::Told::All);
        let mut kept: Vec<_> = self.store.transactions.iter().collect();
        if self.restarts.is_multiple_of(2) {
            kept.reverse();
        }
        for (&key, (header, _)) in kept {
            let marks = self.store.marks.range((key, 0)..=(key, u32::MAX));
            let marks: Vec<(u32, Mark)> = marks.map(|(it, &mark)| (it.1, mark)).collect();
            self.engine.restore_transaction(key, header.clone(), &marks);
        }
        for (name, members) in &self.store.groups {
            self.engine.restore_group(name.clone(), members.clone());
        }
        for (queue, credentials) in &self.store.secured {
            self.engine
                .restore_secured(queue.clone(), credentials.clone());
        }
        for (key, &push) in &self.store.keys {
            self.engine.restore_key(key.clone(), push);
        }
        for (queue, &second) in &self.store.last_pops {
            self.engine.restore_last_pop(queue.clone(), second);
        }
    }

    fn check(&mut self, model: &Model, now: UnixMillis) {
        assert_eq!(self.engine.transaction_count(), model.entries.len());
        assert_eq!(self.engine.waiter_count(), model.waiters.len());
        let waiting: Vec<Ticket> = self.engine.waiting_tickets().collect();
        assert!(model.waiters.iter().all(|it| waiting.contains(&it.0)));
        self.store.check(model);
        let next = self.engine.next_deadline();
        assert!(next.is_none_or(|next| next > now), "{next:?} is not over");
        let is_roomy = self.limits.queues_max.min(self.limits.tenant_queues_max) > 100;
        if is_roomy {
            let expected = model.next_event().into_iter().chain(model.next_forgotten());
            assert_eq!(next, expected.min(), "next deadline");
            let mut known = model.used_queues();
            known.extend(model.last_pops.iter().map(|it| it.0.clone()));
            known.sort();
            known.dedup();
            assert_eq!(self.engine.queue_count(), known.len(), "{known:?}");
        } else {
            let event = model.next_event();
            assert!(event.is_none() || next.is_some_and(|next| Some(next) <= event));
            assert!(self.engine.queue_count() <= self.limits.queues_max);
            assert!(self.engine.queue_count() >= model.used_queues().len());
            assert!(self.store.last_pops.len() <= self.engine.queue_count());
        }
        if is_roomy {
            let last_pops: BTreeMap<_, _> = model.last_pops.iter().cloned().collect();
            assert_eq!(self.store.last_pops, last_pops);
        }
    }

    fn may_forget(&self, _: &Model, _: UnixMillis, _: u64) -> bool {
        // Which of two equally idle queues a full table forgets is nobody's business.
        self.limits.queues_max.min(self.limits.tenant_queues_max) < 100
    }
}

impl Store {
    fn keep(&mut self, change: Change) {
        match change {
            Change::Stored {
                key,
                header,
                record,
            } => {
                let before = self.transactions.insert(key, (header, record));
                assert!(before.is_none(), "{key:?} is taken");
            }
            Change::Header { key, header } => self.transactions.get_mut(&key).unwrap().0 = header,
            Change::Updated {
                key,
                header,
                update,
            } => {
                let kept = self.transactions.get_mut(&key).unwrap();
                kept.0 = header;
                if let Some(payload) = update.payload {
                    kept.1.payload = payload;
                }
                if update.callback.is_some() {
                    kept.1.callback = update.callback;
                }
            }
            Change::Removed { key, marked } => self.remove(key, &marked),
            Change::Marked { key, ordinal, mark } => {
                let (header, _) = &self.transactions[&key];
                assert!(usize::try_from(ordinal).unwrap() < header.queues.len());
                if mark == (Mark::Pending { deliveries: 0 }) {
                    self.marks.remove(&(key, ordinal));
                } else {
                    self.marks.insert((key, ordinal), mark);
                }
            }
            Change::GroupStored { name, members } => {
                self.groups.insert(name, members);
            }
            Change::GroupRemoved(name) => assert!(self.groups.remove(&name).is_some()),
            Change::QueueSecured { queue, credentials } => {
                self.secured.insert(queue, credentials);
            }
            Change::KeyStored { key, push } => {
                let before = self.keys.insert(key, push);
                assert!(before.is_none(), "the key is known");
            }
            Change::KeyForgotten(key) => assert!(self.keys.remove(&key).is_some()),
            Change::QueuePopped { queue, second } => {
                let before = self.last_pops.insert(queue, second);
                assert_ne!(before, Some(second), "told already");
            }
            Change::QueueForgotten(name) => {
                self.last_pops.remove(&name);
            }
        }
    }

    fn remove(&mut self, key: RecordKey, marked: &[u32]) {
        assert!(self.transactions.remove(&key).is_some(), "{key:?} is gone");
        for &ordinal in marked {
            self.marks.remove(&(key, ordinal));
        }
        let mut left = self.marks.range((key, 0)..=(key, u32::MAX));
        assert_eq!(left.next(), None, "a mark outlives its transaction");
    }

    fn check(&self, model: &Model) {
        assert_eq!(self.transactions.len(), model.entries.len());
        for (&key, (header, record)) in &self.transactions {
            let entry = model.entries.iter().find(|it| it.id == header.id).unwrap();
            assert_eq!(entry.record, *record);
            let seen = (header.priority, header.due, header.expires_at);
            assert_eq!(seen, (entry.priority, entry.due, entry.expires_at));
            assert_eq!(header.payload_bytes, record.payload.len());
            for (ordinal, copy) in entry.messages.iter().enumerate() {
                assert_eq!(header.queues[ordinal], copy.queue);
                let deliveries = copy.deliveries;
                let mark = match copy.place {
                    Place::Delivered => Some(Mark::Delivered),
                    Place::Out {
                        kind: LeaseKind::Reliable,
                        until,
                        ..
                    } => Some(Mark::Blocked { until, deliveries }),
                    Place::Dead => Some(Mark::Dead { deliveries }),
                    Place::Purged => Some(Mark::Purged),
                    // What is being delivered is kept as it was before.
                    Place::Line if deliveries > 0 => Some(Mark::Pending { deliveries }),
                    Place::Out { .. } if deliveries > 1 => Some(Mark::Pending {
                        deliveries: deliveries - 1,
                    }),
                    Place::Line | Place::Out { .. } => None,
                };
                let ordinal = u32::try_from(ordinal).unwrap();
                assert_eq!(self.marks.get(&(key, ordinal)).copied(), mark);
            }
        }
        let groups: BTreeMap<_, _> = model.groups.iter().cloned().collect();
        assert_eq!(self.groups, groups);
        assert_eq!(self.secured, model.secured);
        let keys: BTreeMap<_, _> = model.keys.iter().cloned().collect();
        assert_eq!(self.keys, keys);
    }

    fn fill(&self, reply: EngineReply) -> Reply {
        let record = |key: RecordKey| self.transactions[&key].1.clone();
        match reply {
            Reply::Done => Reply::Done,
            Reply::Pushed(id) => Reply::Pushed(id),
            Reply::DeadLetters(dead) => Reply::DeadLetters(dead),
            Reply::Moved { moved, left } => Reply::Moved { moved, left },
            Reply::Found(found) => Reply::Found(found),
            Reply::Messages(handout) => {
                let fill = |it: Message<RecordKey>| Message {
                    id: it.id,
                    payload: record(it.payload).payload,
                    deliveries: it.deliveries,
                };
                Reply::Messages(Handout {
                    lease: handout.lease,
                    messages: handout.messages.into_iter().map(fill).collect(),
                })
            }
            Reply::Released(count) => Reply::Released(count),
            Reply::Acked(acked) => Reply::Acked(acked),
            Reply::Queue(info) => Reply::Queue(info),
            Reply::Transaction(view) => Reply::Transaction(view.map(|view| TransactionView {
                priority: view.priority,
                expires_at: view.expires_at,
                record: record(view.record),
                states: view.states,
            })),
            Reply::States(states) => Reply::States(states),
            Reply::Callbacks(keys) => {
                let callback = |key| record(key).callback.filter(|it| !it.is_empty());
                let each = keys.into_iter();
                Reply::Callbacks(each.map(|key| callback(key?)).collect())
            }
            Reply::Group(members) => Reply::Group(members),
            Reply::Secured(is_made) => Reply::Secured(is_made),
            Reply::Credentials(credentials) => Reply::Credentials(credentials),
            Reply::Refused(refusal) => Reply::Refused(refusal),
        }
    }
}
