//! An engine with messages in it, and what is done with it.

use std::time::Duration;

use popbox::mailbox::{
    Limits, Op, QueueName, Reply, Ticket, TransactionId, UnixMillis,
    engine::{Engine, Output, Told},
};

use crate::message;

/// The queues that messages are spread over.
pub const QUEUES: usize = 1000;

/// The time of day, which stands still.
const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

/// An engine, and who asks it.
pub struct Asked {
    engine: Engine,
    output: Output,
    queues: Vec<QueueName>,
    /// Operations so far.
    tickets: u64,
    /// Pushes so far.
    pushes: u64,
    /// Those of them that [`undo`](Self::undo) leaves alone.
    kept: u64,
    settled: Vec<TransactionId>,
    /// The queue whose turn it is.
    turn: usize,
}

const LIMITS: Limits = Limits {
    queues_per_transaction_max: 10_000,
    transactions_max: 10_000_000,
    queues_max: 10_000_000,
    groups_max: 10,
    tenant_queues_max: usize::MAX,
    waiters_max: usize::MAX,
    secured_queues_max: 10,
    queue_retention: Duration::from_hours(24),
    listed_messages_max: 1000,
    deliveries_max: 0,
    idempotency_keys_max: 10,
};

impl Asked {
    /// With so many messages, over all queues in turn.
    pub fn with_messages(messages: usize) -> Self {
        let mut asked = Self {
            engine: Engine::new(LIMITS, Told::Deaths),
            output: Output::default(),
            queues: (0..QUEUES).map(message::queue).collect(),
            tickets: 0,
            pushes: 0,
            kept: 0,
            settled: Vec::new(),
            turn: 0,
        };
        for _ in 0..messages {
            let push = asked.push();
            asked.apply([push]);
        }
        asked.kept = asked.pushes;
        asked
    }

    /// A push to the queue whose turn it is.
    pub fn push(&mut self) -> Op {
        let queue = self.next_queue();
        message::push(self.next_id(), vec![queue])
    }

    /// A push to every queue.
    pub fn push_to_all(&mut self) -> Op {
        let queues = self.queues.clone();
        message::push(self.next_id(), queues)
    }

    /// So many pushes.
    pub fn pushes(&mut self, count: usize) -> Vec<Op> {
        (0..count).map(|_| self.push()).collect()
    }

    /// So many pushes to every queue.
    pub fn pushes_to_all(&mut self, count: usize) -> Vec<Op> {
        (0..count).map(|_| self.push_to_all()).collect()
    }

    /// So many pushes, each to a queue where a pop waits already.
    pub fn pushes_to_waiting(&mut self, count: usize) -> Vec<Op> {
        (0..count)
            .map(|number| {
                let queue = message::queue(QUEUES + number);
                self.apply([message::pop(queue.clone(), true)]);
                message::push(self.next_id(), vec![queue])
            })
            .collect()
    }

    /// So many pushes, each with a pop of the same queue.
    pub fn pairs(&mut self, count: usize) -> Vec<(Op, QueueName)> {
        (0..count)
            .map(|_| {
                let queue = self.next_queue();
                let push = message::push(self.next_id(), vec![queue.clone()]);
                (push, queue)
            })
            .collect()
    }

    /// Does them, and lets go of what comes of it.
    pub fn apply(&mut self, ops: impl IntoIterator<Item = Op>) {
        for op in ops {
            self.ask(op);
        }
        self.drain();
    }

    /// For each: pushes, takes what is first in the queue, and settles that.
    pub fn apply_pairs(&mut self, pairs: Vec<(Op, QueueName)>) {
        for (push, queue) in pairs {
            self.ask(push);
            self.ask(message::pop(queue.clone(), false));
            let Some((_, Reply::Messages(handout))) = self.output.replies.last() else {
                panic!("a pop without an answer");
            };
            let transactions: Vec<_> = handout.messages.iter().map(|it| it.id).collect();
            let lease = handout.lease;
            self.settled.extend(&transactions);
            self.ask(Op::Settle {
                queue,
                lease,
                transactions,
            });
        }
        self.drain();
    }

    /// Removes what pairs have settled, so that there are as many messages as before, and no others.
    pub fn undo_pairs(&mut self) {
        for id in std::mem::take(&mut self.settled) {
            self.ask(Op::Delete(id));
        }
        self.drain();
    }

    /// Removes what was pushed since it was made, where there were no pairs.
    pub fn undo(&mut self) {
        for number in self.kept..self.pushes {
            self.ask(Op::Delete(message::id(number)));
        }
        self.drain();
        // Numbers may be used again: nobody remembers a removed transaction.
        self.pushes = self.kept;
    }

    fn ask(&mut self, op: Op) {
        self.tickets += 1;
        let ticket = Ticket {
            worker: 0,
            number: self.tickets,
        };
        self.engine.apply(NOW, ticket, op, &mut self.output);
    }

    fn drain(&mut self) {
        self.output.replies.clear();
        self.output.changes.clear();
    }

    fn next_id(&mut self) -> TransactionId {
        self.pushes += 1;
        message::id(self.pushes - 1)
    }

    fn next_queue(&mut self) -> QueueName {
        self.turn = (self.turn + 1) % self.queues.len();
        self.queues[self.turn].clone()
    }
}
