//! What is told of messages and of requests.

use serde::{Deserialize, Serialize};

use crate::mailbox::{QueueName, Realm, State, Tenant, TransactionId, UnixMillis};

/// One thing that happened, as it is spooled. No login or password of a client is in it, but what producers put into
/// their callbacks, and into their messages where these are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Messages have a new state: a `NEWSTATE` each.
    States(NewStates),
    /// A request was answered: an `ACTION`.
    Action(Box<Action>),
}

/// Messages that got the same state at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStates {
    /// When.
    pub at: UnixMillis,
    /// Which state.
    pub state: State,
    /// Which messages.
    pub messages: Messages,
}

/// Messages that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Messages {
    /// All of a transaction.
    OfTransaction {
        /// Which one.
        id: TransactionId,
        /// Where its producer wants to be told of deliveries.
        callback: Option<Box<str>>,
        /// Its queues.
        queues: Vec<QueueName>,
    },
    /// Some of a queue, each with its transaction's callback where that is known and there is one.
    OfQueue {
        /// Which one.
        queue: QueueName,
        /// Their transactions.
        transactions: Vec<(TransactionId, Option<Box<str>>)>,
    },
}

/// What somebody asked for, and how that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// When it was answered.
    pub at: UnixMillis,
    /// What it is called, such as `USERPUSH`.
    pub action: Box<str>,
    /// Through which listener it came.
    pub realm: Realm,
    /// Whose queues and groups it is about.
    pub tenant: Tenant,
    /// The queue that it is about, or the group.
    pub queue: Option<Box<str>>,
    /// The transaction that it is about, as the client spelled it.
    pub transaction: Option<Box<str>>,
    /// How many messages were asked for at most.
    pub max_msg: Option<u64>,
    /// How many there were.
    pub total_msg: Option<u64>,
    /// What came with the request, or the beginning of it.
    pub postdata: Option<Box<str>>,
    /// What was wrong.
    pub error: Option<Box<str>>,
}

impl Messages {
    /// Each message with its transaction's callback, in order.
    pub fn each(&self) -> impl Iterator<Item = (TransactionId, &QueueName, Option<&str>)> {
        let (of_transaction, of_queue) = match self {
            Self::OfTransaction {
                id,
                callback,
                queues,
            } => (Some((*id, callback.as_deref(), queues)), None),
            Self::OfQueue {
                queue,
                transactions,
            } => (None, Some((queue, transactions))),
        };
        let of_transaction = of_transaction
            .into_iter()
            .flat_map(|(id, callback, queues)| {
                queues.iter().map(move |queue| (id, queue, callback))
            });
        let of_queue = of_queue.into_iter().flat_map(|(queue, transactions)| {
            transactions
                .iter()
                .map(move |(id, callback)| (*id, queue, callback.as_deref()))
        });
        of_transaction.chain(of_queue)
    }
}
