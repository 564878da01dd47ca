//! A worker's side of the store: each operation is a task of the worker's thread, but for pops.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use super::{
    dead::Move,
    keys,
    records::Records,
    shard::{QueueKey, Shard},
    waiting::Waiters,
};
use crate::{
    mailbox::{Handout, LeaseId, Op, Refusal, Reply, Ticket, TransactionId},
    memory::{Account, Charge},
    runtime::{self, Timers},
    store::{Delivery, Receive, Store},
};

/// Limits that the store keeps by itself. Numbers of transactions, queues and groups are not among them: Redis' own
/// `maxmemory` bounds what is kept.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) queues_per_transaction_max: usize,
    pub(super) listed_messages_max: usize,
    /// Operations of this worker under way.
    pub(super) backlog_max: usize,
    pub(super) queue_retention: Duration,
    /// Queues of a server that may be known for nothing but their last pop.
    pub(super) queues_max: usize,
    /// Pops that wait on one queue.
    pub(super) waiters_max: usize,
    /// Deliveries after which a message that is not acked in time is dead; 0 for never.
    pub(super) deliveries_max: usize,
    /// Whether somebody is told of all that becomes of messages by themselves, or only of deaths.
    pub(super) tells_all: bool,
    /// How often a server is looked after.
    pub(super) sweep_interval: Duration,
}

/// What the operations of a worker share.
pub(super) struct Client {
    pub(super) shards: Vec<Rc<Shard>>,
    pub(super) records: Vec<Rc<Records>>,
    pub(super) limits: Limits,
    pub(super) timers: Rc<Timers>,
    /// What the contents of answers may take until they are written.
    pub(super) answer_memory: Arc<Account>,
    pub(super) waiters: Waiters,
    receive: Receive,
    under_way: Cell<usize>,
}

/// Why an operation was not done.
pub(super) type Result<T> = std::result::Result<T, Refusal>;

impl Client {
    pub(super) fn new(
        shards: Vec<Rc<Shard>>,
        records: Vec<Rc<Records>>,
        limits: Limits,
        timers: Rc<Timers>,
        answer_memory: Arc<Account>,
        receive: Receive,
    ) -> Rc<Self> {
        Rc::new(Self {
            shards,
            records,
            limits,
            timers,
            answer_memory,
            waiters: Waiters::default(),
            receive,
            under_way: Cell::new(0),
        })
    }

    /// The server that has a queue.
    pub(super) fn shard_of(&self, queue: &QueueKey) -> &Rc<Shard> {
        // There is at least one, and a place is below their number.
        &self.shards[queue.server(self.shards.len())]
    }

    /// The server that has a transaction.
    pub(super) fn records_of(&self, id: TransactionId) -> &Rc<Records> {
        // As above.
        &self.records[keys::server_of_record(id, self.records.len())]
    }

    /// The server of transactions that has a key.
    pub(super) fn records_at(&self, key: &str) -> &Rc<Records> {
        // As above.
        &self.records[keys::server_of(key, self.records.len())]
    }

    /// Gives a reply to who asked.
    pub(super) fn reply(&self, number: u64, reply: Reply, contents: Option<Charge>) {
        (self.receive)(Delivery {
            number,
            reply,
            contents,
        });
    }

    /// Begins an operation. Each kind is a task of its own size, so that what is asked for by thousands does not take
    /// the room of what is rare; pops are no tasks at all.
    pub(super) fn begin(self: &Rc<Self>, number: u64, op: Op) {
        match op {
            Op::Pop(pop) => self.pop(number, pop),
            Op::CancelPop { ticket, .. } => self.cancel(ticket.number),
            Op::Push(push) => self.answer(number, async move |this| {
                this.push(push).await.map(Reply::Pushed)
            }),
            Op::Settle {
                queue,
                lease,
                transactions,
            } => self.operate(async move |this| {
                this.settle(&queue, lease, &transactions).await;
            }),
            Op::Release {
                queue,
                lease,
                transactions,
                reason,
            } => self.answer(number, async move |this| {
                let released = this.release(&queue, lease, &transactions, reason).await;
                released.map(Reply::Released)
            }),
            Op::Ack {
                queue,
                transactions,
            } => self.answer(number, async move |this| {
                this.ack(&queue, &transactions).await.map(Reply::Acked)
            }),
            Op::Peek {
                queue,
                count_max,
                bytes_max,
            } => self.operate(async move |this| {
                this.peek(number, &queue, count_max, bytes_max).await;
            }),
            Op::Transaction(id) => self.operate(async move |this| this.show(number, id).await),
            Op::DeadLetters { queue, count_max } => self.answer(number, async move |this| {
                let letters = this.dead_letters(&queue, count_max).await;
                letters.map(Reply::DeadLetters)
            }),
            Op::Redrive(selection) => self.answer(number, async move |this| {
                this.move_dead(&selection, Move::Redrive).await
            }),
            Op::Purge(selection) => self.answer(number, async move |this| {
                this.move_dead(&selection, Move::Purge).await
            }),
            Op::DescribeQueue(queue) => self.answer(number, async move |this| {
                this.describe(&queue).await.map(Reply::Queue)
            }),
            Op::States(id) => self.answer(number, async move |this| {
                this.states(id).await.map(Reply::States)
            }),
            Op::Callbacks(ids) => self.answer(number, async move |this| {
                this.callbacks(&ids).await.map(Reply::Callbacks)
            }),
            Op::Update(id, update) => self.answer(number, async move |this| {
                this.update(id, &update).await.map(Reply::Found)
            }),
            Op::Delete(id) => self.answer(number, async move |this| {
                this.delete(id)
                    .await
                    .map_err(Refusal::from)
                    .map(|()| Reply::Done)
            }),
            Op::StoreGroup(name, members) => self.answer(number, async move |this| {
                let stored = this.store_group(&name, &members).await;
                stored.map(|()| Reply::Done)
            }),
            Op::Group(name) => self.answer(number, async move |this| {
                this.group(&name).await.map(Reply::Group)
            }),
            Op::ChangeGroup(name, change) => self.answer(number, async move |this| {
                this.change_group(&name, &change).await.map(Reply::Found)
            }),
            Op::RemoveGroup(name) => self.answer(number, async move |this| {
                this.remove_group(&name).await.map(|()| Reply::Done)
            }),
            Op::SecureQueue { queue, credentials } => self.answer(number, async move |this| {
                let secured = this.secure(&queue, &credentials).await;
                secured.map(Reply::Secured)
            }),
            Op::Credentials(queue) => self.answer(number, async move |this| {
                this.credentials(&queue).await.map(Reply::Credentials)
            }),
            Op::RenewCredentials {
                queue,
                before,
                after,
            } => self.answer(number, async move |this| {
                this.renew(&queue, &before, &after).await.map(Reply::Found)
            }),
        }
    }

    /// Runs an operation as a task and gives its reply to who asked.
    fn answer<F>(self: &Rc<Self>, number: u64, operation: impl FnOnce(Rc<Self>) -> F + 'static)
    where
        F: Future<Output = Result<Reply>> + 'static,
    {
        self.operate(async move |this| {
            let result = operation(Rc::clone(&this)).await;
            this.reply(number, result.unwrap_or_else(Reply::Refused), None);
        });
    }

    /// Runs an operation as a task. It is made within the task: given as it is, it would be in there twice.
    pub(super) fn operate<F>(self: &Rc<Self>, operation: impl FnOnce(Rc<Self>) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let under_way = UnderWay::of(self);
        runtime::spawn(async move { operation(Rc::clone(&under_way.0)).await });
    }

    /// Whether nothing is under way but pops that wait.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.get() == 0
            && self.shards.iter().all(|shard| shard.is_idle())
            && self.records.iter().all(|records| records.is_idle())
    }
}

/// Counts an operation as long as it lasts.
pub(super) struct UnderWay(Rc<Client>);

impl UnderWay {
    pub(super) fn of(client: &Rc<Client>) -> Self {
        client.under_way.set(client.under_way.get() + 1);
        Self(Rc::clone(client))
    }

    pub(super) fn client(&self) -> &Rc<Client> {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

/// What a worker holds of the store.
pub(super) struct Entrance(pub(super) Rc<Client>);

impl Store for Entrance {
    fn submit(&self, ticket: Ticket, op: Op) -> Result<()> {
        if self.0.under_way.get() >= self.0.limits.backlog_max {
            return Err(Refusal::Full("limits.max_backlog is reached"));
        }
        self.follow_up(ticket, op);
        Ok(())
    }

    fn follow_up(&self, ticket: Ticket, op: Op) {
        self.0.begin(ticket.number, op);
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }
}

/// A hand-out of nothing.
pub(super) fn no_messages() -> Reply {
    Reply::Messages(Handout {
        lease: LeaseId::default(),
        messages: Vec::new(),
    })
}
