//! Queues: two lines of messages, those who wait for some, and when somebody last asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use slab::Slab;

use super::super::{Priority, QueueInfo, QueueName, Tenant, Ticket, TransactionId, UnixMillis};
use super::{Terms, tenants::Tenants};

/// Names a queue inside the engine for as long as anything refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct QueueIndex(u32);

/// Messages of one priority by their position.
#[derive(Debug, Default)]
pub(super) struct Line(BTreeMap<u64, TransactionId>);

impl Line {
    pub(super) fn insert(&mut self, position: u64, id: TransactionId) {
        self.0.insert(position, id);
    }

    pub(super) fn remove(&mut self, position: u64) {
        self.0.remove(&position);
    }
}

/// Dead letters in the order of the line that they are out of.
#[derive(Debug, Default)]
pub(super) struct DeadLine(BTreeMap<(Priority, u64), TransactionId>);

impl DeadLine {
    pub(super) fn insert(&mut self, priority: Priority, position: u64, id: TransactionId) {
        self.0.insert((priority, position), id);
    }

    pub(super) fn remove(&mut self, priority: Priority, position: u64) {
        self.0.remove(&(priority, position));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TransactionId> {
        self.0.values().copied()
    }
}

/// A pop that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Grows with time; the queue's waiters are ordered by it.
    pub(super) turn: u64,
    pub(super) ticket: Ticket,
    pub(super) terms: Terms,
}

#[derive(Debug)]
struct Queue {
    name: QueueName,
    high: Line,
    low: Line,
    dead: DeadLine,
    waiters: VecDeque<Waiter>,
    last_pop: Option<u64>,
    /// Transactions that name this queue, those that have nothing left for it included.
    references: usize,
    /// When to forget a queue that nobody waits on and no transaction names.
    idle_until: Option<UnixMillis>,
}

/// All queues.
#[derive(Debug)]
pub(super) struct QueueTable {
    /// How long the last pop of an idle queue is remembered.
    retention: Duration,
    queues: Slab<Queue>,
    tenants: Tenants,
    by_name: HashMap<QueueName, QueueIndex>,
    idle: BTreeSet<(UnixMillis, QueueIndex)>,
}

impl QueueTable {
    /// A queue is remembered so long after its last pop; queues are counted by tenants if that is asked for.
    pub(super) fn new(retention: Duration, counts_tenants: bool) -> Self {
        Self {
            retention,
            tenants: Tenants::new(counts_tenants),
            queues: Slab::new(),
            by_name: HashMap::new(),
            idle: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn find(&self, name: &QueueName) -> Option<QueueIndex> {
        self.by_name.get(name).copied()
    }

    /// Makes a queue. It is idle, and forgotten at the next opportunity, until somebody pops it or a transaction
    /// names it.
    pub(super) fn create(&mut self, name: QueueName) -> QueueIndex {
        let key = self.queues.insert(Queue {
            name: name.clone(),
            high: Line::default(),
            low: Line::default(),
            dead: DeadLine::default(),
            waiters: VecDeque::new(),
            last_pop: None,
            references: 0,
            idle_until: None,
        });
        // `limits.max_known_queues` keeps the table below 2^32 entries.
        let index = QueueIndex(u32::try_from(key).unwrap_or(u32::MAX));
        self.tenants.note_queue(name.tenant());
        self.by_name.insert(name, index);
        self.update_idleness(index);
        index
    }

    /// To be called after anything that decides whether and until when a queue is idle.
    fn update_idleness(&mut self, index: QueueIndex) {
        let retention = self.retention;
        let queue = self.queue_mut(index);
        let used = queue.references > 0 || !queue.waiters.is_empty();
        let remembered = queue.last_pop.map_or(UnixMillis(0), |second| {
            UnixMillis(second * 1000).plus(retention)
        });
        let after = (!used).then_some(remembered);
        let before = std::mem::replace(&mut queue.idle_until, after);
        if before == after {
            return;
        }
        let tenant = self.queues[index.0 as usize].name.tenant();
        if let Some(before) = before {
            self.idle.remove(&(before, index));
            self.tenants.note_used(tenant, before, index);
        }
        if let Some(after) = after {
            self.idle.insert((after, index));
            self.tenants.note_idle(tenant, after, index);
        }
    }

    /// Queues are freed only when nothing refers to them, so an index that somebody holds is a queue of the table.
    fn queue(&self, index: QueueIndex) -> &Queue {
        &self.queues[index.0 as usize]
    }

    fn queue_mut(&mut self, index: QueueIndex) -> &mut Queue {
        &mut self.queues[index.0 as usize]
    }

    pub(super) fn name(&self, index: QueueIndex) -> &QueueName {
        &self.queue(index).name
    }

    pub(super) fn line(&mut self, index: QueueIndex, priority: Priority) -> &mut Line {
        let queue = self.queue_mut(index);
        match priority {
            Priority::High => &mut queue.high,
            Priority::Low => &mut queue.low,
        }
    }

    pub(super) fn dead(&self, index: QueueIndex) -> &DeadLine {
        &self.queue(index).dead
    }

    pub(super) fn dead_mut(&mut self, index: QueueIndex) -> &mut DeadLine {
        &mut self.queue_mut(index).dead
    }

    pub(super) fn first_in_line(&self, index: QueueIndex) -> Option<TransactionId> {
        let queue = self.queue(index);
        let first = queue
            .high
            .0
            .first_key_value()
            .or_else(|| queue.low.0.first_key_value());
        first.map(|(_, &id)| id)
    }

    /// Every message in line, high priority first.
    pub(super) fn in_order(&self, index: QueueIndex) -> impl Iterator<Item = TransactionId> {
        let queue = self.queue(index);
        queue.high.0.values().chain(queue.low.0.values()).copied()
    }

    pub(super) fn describe(&self, index: QueueIndex, listed_max: usize) -> QueueInfo {
        let queue = self.queue(index);
        let listed = |line: &Line| line.0.values().take(listed_max).copied().collect();
        QueueInfo {
            last_pop: queue.last_pop,
            blocked: !queue.waiters.is_empty(),
            size: queue.high.0.len() + queue.low.0.len(),
            high: listed(&queue.high),
            low: listed(&queue.low),
            dead: queue.dead.len(),
        }
    }

    /// A transaction names the queue.
    pub(super) fn refer(&mut self, index: QueueIndex) {
        self.queue_mut(index).references += 1;
        self.update_idleness(index);
    }

    /// A transaction that named the queue is gone.
    pub(super) fn unrefer(&mut self, index: QueueIndex) {
        self.queue_mut(index).references -= 1;
        self.update_idleness(index);
    }

    pub(super) fn waiter_count(&self, index: QueueIndex) -> usize {
        self.queue(index).waiters.len()
    }

    pub(super) fn add_waiter(&mut self, index: QueueIndex, waiter: Waiter) {
        let waiters = &mut self.queue_mut(index).waiters;
        if waiters.is_empty() {
            // Most queues have one consumer.
            waiters.reserve_exact(1);
        }
        waiters.push_back(waiter);
        self.update_idleness(index);
    }

    /// The waiter whose turn it is, if there is anything in line for it.
    pub(super) fn next_to_serve(&self, index: QueueIndex) -> Option<&Waiter> {
        let queue = self.queue(index);
        if queue.high.0.is_empty() && queue.low.0.is_empty() {
            return None;
        }
        queue.waiters.front()
    }

    pub(super) fn remove_first_waiter(&mut self, index: QueueIndex) {
        self.queue_mut(index).waiters.pop_front();
        self.update_idleness(index);
    }

    pub(super) fn remove_waiter(&mut self, index: QueueIndex, turn: u64) {
        let waiters = &mut self.queue_mut(index).waiters;
        if let Ok(place) = waiters.binary_search_by_key(&turn, |waiter| waiter.turn) {
            waiters.remove(place);
        }
        self.update_idleness(index);
    }

    /// Notes that somebody asked for messages; whether the second is another one than before.
    pub(super) fn note_pop(&mut self, index: QueueIndex, now: UnixMillis) -> bool {
        let before = self.queue_mut(index).last_pop.replace(now.seconds());
        self.update_idleness(index);
        before != Some(now.seconds())
    }

    /// Sets a remembered last pop.
    pub(super) fn restore_last_pop(&mut self, index: QueueIndex, second: u64) {
        self.queue_mut(index).last_pop = Some(second);
        self.update_idleness(index);
    }

    /// Forgets a queue whose time as an idle one is over.
    pub(super) fn forget_idle(&mut self, now: UnixMillis) -> Option<QueueName> {
        if self.next_forgotten()? > now {
            None
        } else {
            self.forget_idlest()
        }
    }

    /// Forgets the queue that has been idle longest, if any is idle.
    pub(super) fn forget_idlest(&mut self) -> Option<QueueName> {
        let &idlest = self.idle.first()?;
        self.forget(idlest)
    }

    /// The same of a tenant's queues.
    pub(super) fn forget_idlest_of(&mut self, tenant: &Tenant) -> Option<QueueName> {
        let idlest = self.tenants.idlest(tenant)?;
        self.forget(idlest)
    }

    /// How many queues a tenant has, if that is counted.
    pub(super) fn tenant_count(&self, tenant: &Tenant) -> usize {
        self.tenants.count(tenant)
    }

    fn forget(&mut self, (until, index): (UnixMillis, QueueIndex)) -> Option<QueueName> {
        self.idle.remove(&(until, index));
        let queue = self.queues.try_remove(index.0 as usize)?;
        self.by_name.remove(&queue.name);
        self.tenants
            .note_forgotten(queue.name.tenant(), until, index);
        Some(queue.name)
    }

    /// When the next idle queue is to be forgotten.
    pub(super) fn next_forgotten(&self) -> Option<UnixMillis> {
        self.idle.first().map(|&(until, _)| until)
    }
}
