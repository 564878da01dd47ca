//! What is told of messages: the states that operations and their replies give them.
//!
//! What becomes of messages without an operation of a worker, the store tells.

use std::{collections::HashSet, mem};

use crate::{
    mailbox::{
        LeaseKind, Op, QueueName, Reply, State, TransactionId, UnixMillis, told_of_callback,
    },
    offload::{Event, Messages, NewStates, Reporter},
    store,
};

/// Bytes of the names of queues, or of the callbacks, in one event. A push has thousands of queues, and a pop has
/// thousands of messages: together these may be more than the spool takes at once.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Sees the operations of a worker and their replies, and tells what is to be told of them.
pub(super) struct Witness(Reporter);

/// What was seen of an operation, and is told once its reply is there.
pub(super) enum Sight {
    Push {
        at: UnixMillis,
        id: TransactionId,
        callback: Option<Box<str>>,
        /// None: it went to groups as well, whose members the store knows.
        queues: Option<Vec<QueueName>>,
    },
    ReliablePop(QueueName),
    Ack {
        queue: QueueName,
        transactions: Vec<Option<TransactionId>>,
    },
    /// It is being asked in which queues a transaction is.
    Pushed {
        at: UnixMillis,
        id: TransactionId,
        callback: Option<Box<str>>,
    },
    /// It is being asked where producers want to be told of these deliveries.
    Delivered {
        at: UnixMillis,
        queue: QueueName,
        transactions: Vec<TransactionId>,
    },
}

impl Sight {
    /// What is to be asked before it can be told.
    pub(super) fn question(&self) -> Option<Op> {
        match self {
            Self::Pushed { id, .. } => Some(Op::States(*id)),
            Self::Delivered { transactions, .. } => Some(Op::Callbacks(transactions.clone())),
            Self::Push { .. } | Self::ReliablePop(_) | Self::Ack { .. } => None,
        }
    }

    /// How many messages it is about, as far as it is known.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Delivered { transactions, .. } => transactions.len(),
            _ => 1,
        }
    }
}

impl Witness {
    /// None if there is nothing to be told.
    pub(super) fn new(reporter: Reporter) -> Option<Self> {
        reporter.interest().is_any().then_some(Self(reporter))
    }

    /// What to remember of an operation until its reply comes.
    pub(super) fn see(&self, op: &Op) -> Option<Sight> {
        let is_for_history = self.0.interest().history;
        match op {
            Op::Push(push) if is_for_history => Some(Sight::Push {
                at: store::time_of_day(),
                id: push.id,
                callback: push
                    .record
                    .callback
                    .as_deref()
                    .map(|it| told_of_callback(it).into()),
                queues: push.groups.is_empty().then(|| distinct(&push.queues)),
            }),
            Op::Pop(pop) if is_for_history && pop.kind == LeaseKind::Reliable => {
                Some(Sight::ReliablePop(pop.queue.clone()))
            }
            Op::Ack {
                queue,
                transactions,
            } => Some(Sight::Ack {
                queue: queue.clone(),
                transactions: transactions.iter().map(|item| item.id).collect(),
            }),
            _ => None,
        }
    }

    /// Tells what a reply means; or gives what is to be asked for that.
    pub(super) fn tell(&self, sight: Sight, reply: &Reply) -> Option<Sight> {
        match (sight, reply) {
            (
                Sight::Push {
                    at,
                    id,
                    callback,
                    queues,
                },
                // A repeat of an earlier push has the id of that.
                Reply::Pushed(pushed),
            ) if *pushed == id => match queues {
                Some(queues) => self.tell_pushed(at, id, callback.as_deref(), queues),
                None => return Some(Sight::Pushed { at, id, callback }),
            },
            (Sight::Pushed { at, id, callback }, Reply::States(states)) => {
                let queues = states.iter().map(|(queue, _)| queue.clone()).collect();
                self.tell_pushed(at, id, callback.as_deref(), queues);
            }
            (Sight::ReliablePop(queue), Reply::Messages(handout)) => {
                let transactions = handout.messages.iter().map(|it| (it.id, None)).collect();
                self.tell_of_queue(store::time_of_day(), State::Blocked, &queue, transactions);
            }
            (
                Sight::Ack {
                    queue,
                    transactions,
                },
                Reply::Acked(acked),
            ) => {
                let acked = transactions.into_iter().zip(acked);
                let acked = acked.filter_map(|(id, acked)| id.filter(|_| *acked));
                return self.delivered(queue, acked.collect());
            }
            (
                Sight::Delivered {
                    at,
                    queue,
                    transactions,
                },
                Reply::Callbacks(callbacks),
            ) => {
                let is_for_history = self.0.interest().history;
                let transactions = transactions.into_iter().zip(callbacks.iter().cloned());
                let transactions = transactions
                    .filter(|(_, callback)| is_for_history || callback.is_some())
                    .collect();
                self.tell_of_queue(at, State::Delivered, &queue, transactions);
            }
            (open @ (Sight::Pushed { .. } | Sight::Delivered { .. }), _) => return Some(open),
            // It may have been done, as far as a store behind a wire can tell.
            (Sight::Ack { .. }, Reply::Refused(_)) => self.0.give_up(),
            _ => {}
        }
        None
    }

    /// Tells of deliveries; or gives what is to be asked for that.
    pub(super) fn delivered(
        &self,
        queue: QueueName,
        transactions: Vec<TransactionId>,
    ) -> Option<Sight> {
        let at = store::time_of_day();
        if self.0.interest().callbacks && !transactions.is_empty() {
            return Some(Sight::Delivered {
                at,
                queue,
                transactions,
            });
        }
        let transactions = transactions.into_iter().map(|id| (id, None)).collect();
        self.tell_of_queue(at, State::Delivered, &queue, transactions);
        None
    }

    /// Tells what can be told although a question cannot be answered.
    pub(super) fn give_up(&self, sight: Sight) {
        self.0.give_up();
        if let Sight::Delivered {
            at,
            queue,
            transactions,
        } = sight
            && self.0.interest().history
        {
            let transactions = transactions.into_iter().map(|id| (id, None)).collect();
            self.tell_of_queue(at, State::Delivered, &queue, transactions);
        }
    }

    fn tell_pushed(
        &self,
        at: UnixMillis,
        id: TransactionId,
        callback: Option<&str>,
        mut queues: Vec<QueueName>,
    ) {
        while !queues.is_empty() {
            let rest = queues.split_off(fitting(queues.iter().map(QueueName::bytes)));
            self.0.tell(Event::States(NewStates {
                at,
                state: State::Pending,
                messages: Messages::OfTransaction {
                    id,
                    callback: callback.map(Into::into),
                    queues: mem::replace(&mut queues, rest),
                },
            }));
        }
    }

    fn tell_of_queue(
        &self,
        at: UnixMillis,
        state: State,
        queue: &QueueName,
        mut transactions: Vec<(TransactionId, Option<Box<str>>)>,
    ) {
        while !transactions.is_empty() {
            let callbacks = transactions.iter().map(|(_, callback)| callback.as_deref());
            let rest = transactions.split_off(fitting(callbacks.map(|it| it.map_or(0, str::len))));
            self.0.tell(Event::States(NewStates {
                at,
                state,
                messages: Messages::OfQueue {
                    queue: queue.clone(),
                    transactions: mem::replace(&mut transactions, rest),
                },
            }));
        }
    }
}

/// How many messages, one at least, may be told of in one event, where each brings so many bytes.
fn fitting(bytes_each: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fitting = bytes_each.take_while(|more| {
        bytes += more;
        bytes <= EVENT_BYTES_MAX
    });
    fitting.count().max(1)
}

/// Each queue once, in the order of the push.
fn distinct(queues: &[QueueName]) -> Vec<QueueName> {
    if queues.len() < 2 {
        return queues.to_vec();
    }
    let mut seen = HashSet::with_capacity(queues.len());
    queues
        .iter()
        .filter(|it| seen.insert(*it))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_as_much_as_it_may_and_one_message_at_least() {
        let half = EVENT_BYTES_MAX / 2;
        for (bytes_each, expected) in [
            (&[][..], 1),
            (&[1], 1),
            (&[0; 1_000], 1_000),
            (&[half, half, 1], 2),
            (&[half, half + 1, 1], 1),
            (&[2 * EVENT_BYTES_MAX, 1], 1),
        ] {
            assert_eq!(fitting(bytes_each.iter().copied()), expected);
        }
    }
}
