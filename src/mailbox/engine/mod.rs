//! The state machine of queues, waiters, leases, delays and expiry.
//!
//! [`Engine::apply`] takes an operation and the time of day and writes replies and changes into an [`Output`]. Replies
//! may belong to earlier operations: a push answers pops that wait. Changes are what a store must keep so that
//! [`Engine::restore_transaction`] and its siblings can build the same engine again.
//!
//! Contents stay outside: a transaction is known here by its [`RecordKey`] and the size of its payload, so a million
//! waiting messages take memory for their bookkeeping only.
//!
//! A message of a queue is in its line, or out on a lease, or among the dead letters, or done with: delivered or given
//! up. A line is ordered by the position its transaction got on arrival; what comes back takes that place again.

mod amend;
mod arrive;
mod change;
mod dead;
mod groups;
mod hand_out;
mod id_hash;
mod keys;
mod look;
mod queue;
mod restore;
mod schedule;
mod secured;
mod settle;
mod tenants;
mod transactions;
mod transition;

#[cfg(test)]
pub(crate) mod model_test;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use change::{Change, Header, KnownPush, Mark, RecordKey};
use dead::Fate;
use id_hash::IdHash;
use keys::KeyTable;
use queue::{QueueIndex, QueueTable, Waiter};
use schedule::Schedule;
use transactions::{Delivery, Progress, Transaction, TransactionTable};
use transition::End;
pub use transition::{Told, Transition};

use super::{
    AckItem, DeadLetter, DeadLetters, DeadSelection, GroupChange, GroupName, Handout, LeaseId,
    LeaseKind, Limits, Message, Op, Pop, Push, QueueInfo, QueueName, Refusal, Reply, Return, State,
    Ticket, TransactionId, TransactionView, UnixMillis, Update,
};

/// A reply in which keys stand for contents.
pub type EngineReply = Reply<RecordKey, RecordKey, RecordKey>;

/// What came of applying operations; the caller drains it.
#[derive(Debug, Default)]
pub struct Output {
    /// Replies, each with the ticket of the operation it answers.
    pub replies: Vec<(Ticket, EngineReply)>,
    /// What to keep, in order.
    pub changes: Vec<Change>,
    /// Whether a reply promises one of the changes, so that they must be durable before the replies leave. What is
    /// not promised may be lost in a power cut: then a message is delivered once more, or an end of life comes again.
    pub promised: bool,
    /// What became of messages that no request names, as far as it is told.
    pub transitions: Vec<(QueueName, TransactionId, Transition)>,
}

/// Messages whose time has come (leases, delays, ends of life) handled in one go; the rest follow in the next, so that
/// a million messages that expire in one second do not hold up everybody else.
const DUE_AT_ONCE_MAX: usize = 1000;

/// Further deliveries of a message are not counted.
const DELIVERIES_COUNTED_MAX: u32 = 65_535;

/// The shortest lease.
const LEASE_MIN: std::time::Duration = std::time::Duration::from_millis(1);

/// All queues, transactions and groups of one store.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    told: Told,
    transactions: TransactionTable,
    queues: QueueTable,
    groups: BTreeMap<GroupName, BTreeSet<Box<str>>>,
    /// What is kept of the users of secured queues.
    secured: HashMap<QueueName, Box<str>>,
    keys: KeyTable,
    schedule: Schedule,
    /// Where to find a pop that waits: its queue and its turn there.
    waiting: HashMap<Ticket, (QueueIndex, u64), IdHash>,
    next_key: u64,
    next_lease: u64,
    next_turn: u64,
}

/// Under which terms messages leave their line.
#[derive(Clone, Copy, Debug)]
struct Terms {
    count_max: usize,
    bytes_max: usize,
    lease: std::time::Duration,
    kind: LeaseKind,
}

impl Terms {
    fn of(pop: &Pop) -> Self {
        Self {
            count_max: pop.count_max.max(1),
            bytes_max: pop.bytes_max,
            // What is handed out for no time at all would be handed out again at once.
            lease: pop.lease.max(LEASE_MIN),
            kind: pop.kind,
        }
    }
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(limits: Limits, told: Told) -> Self {
        Self {
            limits,
            told,
            transactions: TransactionTable::default(),
            queues: QueueTable::new(
                limits.queue_retention,
                limits.tenant_queues_max < usize::MAX,
            ),
            groups: BTreeMap::new(),
            secured: HashMap::new(),
            keys: KeyTable::default(),
            schedule: Schedule::default(),
            waiting: HashMap::default(),
            next_key: 1,
            next_lease: 1,
            next_turn: 0,
        }
    }

    /// Does what fell due until `now`, then `op`. The reply, if the operation has one by now, is in `output` under
    /// `ticket`.
    pub fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op, output: &mut Output) {
        self.advance(now, output);
        let reply = match op {
            Op::Push(push) => Some(self.push(now, *push, output)),
            Op::Pop(pop) => self.pop(now, ticket, &pop, output),
            Op::CancelPop { queue, ticket } => {
                self.cancel(&queue, ticket, output);
                None
            }
            Op::Settle {
                queue,
                lease,
                transactions,
            } => {
                self.settle(&queue, lease, &transactions, output);
                None
            }
            Op::Release {
                queue,
                lease,
                transactions,
                reason,
            } => Some(Reply::Released(self.release(
                now,
                &queue,
                lease,
                &transactions,
                reason,
                output,
            ))),
            Op::Ack {
                queue,
                transactions,
            } => Some(Reply::Acked(self.ack(now, &queue, &transactions, output))),
            Op::Peek {
                queue,
                count_max,
                bytes_max,
            } => Some(Reply::Messages(
                self.peek(now, &queue, count_max, bytes_max),
            )),
            Op::DeadLetters { queue, count_max } => {
                Some(Reply::DeadLetters(self.dead_letters(&queue, count_max)))
            }
            Op::Redrive(selection) => Some(self.end_deaths(now, &selection, Fate::Line, output)),
            Op::Purge(selection) => Some(self.end_deaths(now, &selection, Fate::Nothing, output)),
            Op::DescribeQueue(queue) => Some(Reply::Queue(self.describe(&queue))),
            Op::Transaction(id) => Some(Reply::Transaction(self.view(now, id))),
            Op::States(id) => Some(Reply::States(self.states(now, id))),
            Op::Callbacks(ids) => Some(Reply::Callbacks(self.records(now, &ids))),
            Op::Update(id, update) => Some(Reply::Found(self.update(now, id, update, output))),
            Op::Delete(id) => {
                self.remove(id, End::Deletion, output);
                output.promised = true;
                Some(Reply::Done)
            }
            Op::StoreGroup(name, members) => Some(self.store_group(name, members, output)),
            Op::Group(name) => Some(Reply::Group(self.group(&name))),
            Op::ChangeGroup(name, change) => Some(self.change_group(name, change, output)),
            Op::RemoveGroup(name) => {
                if self.groups.remove(&name).is_some() {
                    output.changes.push(Change::GroupRemoved(name));
                    output.promised = true;
                }
                Some(Reply::Done)
            }
            Op::SecureQueue { queue, credentials } => Some(self.secure(queue, credentials, output)),
            Op::Credentials(queue) => Some(Reply::Credentials(self.secured.get(&queue).cloned())),
            Op::RenewCredentials {
                queue,
                before,
                after,
            } => Some(Reply::Found(self.renew(queue, &before, after, output))),
        };
        if let Some(reply) = reply {
            output.replies.push((ticket, reply));
        }
    }

    /// Does what fell due until `now`: leases lapse, held-back transactions join their queues, ended ones go.
    pub fn advance(&mut self, now: UnixMillis, output: &mut Output) {
        let mut done = self.lapse(now, output);
        while done < DUE_AT_ONCE_MAX {
            if let Some(id) = self.schedule.due(now) {
                done += self.enter_queues(now, id, output).max(1);
            } else if let Some(id) = self.schedule.expired(now) {
                done += self.remove(id, End::Life, output).max(1);
            } else if let Some(key) = self.keys.forget_old(now) {
                output.changes.push(Change::KeyForgotten(key));
                done += 1;
            } else if let Some(name) = self.queues.forget_idle(now) {
                output.changes.push(Change::QueueForgotten(name));
                done += 1;
            } else {
                break;
            }
        }
    }

    /// The time of day was set, forward or back by so many milliseconds: leases and delays keep their length, ends of
    /// life keep their date.
    pub fn shift(&mut self, forward: u64, back: u64) {
        let moved = |time: UnixMillis| UnixMillis((time.0 + forward).saturating_sub(back));
        for (id, queue) in self.schedule.shift_leases(moved) {
            let delivery = self
                .transactions
                .get_mut(id)
                .and_then(|it| it.delivery_mut(queue));
            if let Some(Delivery {
                progress: Progress::Out { until, .. },
                ..
            }) = delivery
            {
                *until = moved(*until);
            }
        }
        for id in self.schedule.shift_delays(moved) {
            if let Some(transaction) = self.transactions.get_mut(id) {
                transaction.due = transaction.due.map(moved);
            }
        }
    }

    /// When [`Engine::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<UnixMillis> {
        let keys = self.keys.next_forgotten();
        [self.schedule.next(), keys, self.queues.next_forgotten()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Transactions known, delivered ones that have not expired included.
    pub fn transaction_count(&self) -> usize {
        self.transactions.len()
    }

    /// Queues known.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// Goes on numbering where `earlier` is: replies of an engine that this one replaces may still be on their way, and
    /// what is settled by them must not be taken for something of ours.
    pub fn number_after(&mut self, earlier: &Self) {
        self.next_lease = self.next_lease.max(earlier.next_lease);
    }

    /// Pops that wait.
    pub fn waiter_count(&self) -> usize {
        self.waiting.len()
    }

    /// The tickets of all pops that wait, for a store that can no longer serve them.
    pub fn waiting_tickets(&self) -> impl Iterator<Item = Ticket> {
        self.waiting.keys().copied()
    }
}

/// Whether a transaction that ends at that second is over.
fn is_over(expires_at: u32, now: UnixMillis) -> bool {
    u64::from(expires_at) * 1000 <= now.0
}
