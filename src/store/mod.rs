//! Takes operations and gives replies.
//!
//! A worker submits an [`Op`] under a [`Ticket`] and goes on. The [`Reply`] comes when the store is ready to stand by
//! it: into the worker's [`Inbox`] if it comes up on another thread, else straight away. What the operations mean is
//! the [engine](crate::mailbox::engine)'s to say; there are two stores that do as it does, [`embedded`] and [`redis`].

pub mod embedded;
mod health;
pub mod redis;
mod transitions;

use std::{
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use self::embedded::Embedded;
use crate::{
    config::{Config, StoreKind},
    mailbox::{Op, Refusal, Reply, Ticket, UnixMillis},
    memory::{Account, Charge},
    runtime::{self, Timers},
};

pub use health::{Health, Light};
pub use transitions::{Listener, Transitions};

/// A worker's way to a store.
pub trait Store {
    /// Asks for an operation. The reply comes later; a store with more work than it may hold refuses
    /// here and now, and then nothing happens and no reply comes.
    fn submit(&self, ticket: Ticket, op: Op) -> Result<(), Refusal>;

    /// Asks for something that ends what an earlier operation began ([`Op::Settle`], [`Op::Release`],
    /// [`Op::CancelPop`]). It is never refused: there are no more of these than there were submissions.
    fn follow_up(&self, ticket: Ticket, op: Op);

    /// Whether nothing that was asked for would be lost if the asking worker ended now.
    fn is_idle(&self) -> bool;
}

/// A reply on its way to who asked.
#[derive(Debug)]
pub struct Delivery {
    /// The number of the ticket that it is for.
    pub number: u64,
    /// The reply.
    pub reply: Reply,
    /// What its contents take; to be kept as long as they are.
    pub contents: Option<Charge>,
}

/// Where replies from other threads reach a worker.
pub type Inbox = runtime::Inbox<Delivery>;

/// Who gets replies on the thread that they come up on.
pub type Receive = Box<dyn Fn(Delivery)>;

/// The store of the configuration, in use.
#[derive(Debug)]
pub enum OpenStore {
    /// Files of this machine.
    Embedded(Embedded),
    /// Redis servers.
    Redis(redis::Gate),
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Files of this machine.
    #[error(transparent)]
    Embedded(#[from] embedded::StartError),
    /// Redis servers.
    #[error(transparent)]
    Redis(#[from] redis::StartError),
}

/// One worker's way into the store, which it goes on its own thread.
#[derive(Debug)]
pub enum Gate {
    /// Files of this machine.
    Embedded(embedded::Client),
    /// Redis servers.
    Redis(redis::Gate),
}

impl OpenStore {
    /// Opens the store of the configuration; each worker has an inbox. What becomes of messages by itself is told to
    /// `transitions`.
    pub fn open(
        config: &Config,
        inboxes: &[Arc<Inbox>],
        transitions: &Arc<Transitions>,
    ) -> Result<Self, OpenError> {
        let transitions = Arc::clone(transitions);
        Ok(match config.store.kind {
            StoreKind::Embedded => Self::Embedded(Embedded::open(
                &config.store,
                &config.limits,
                inboxes.to_vec(),
                transitions,
            )?),
            StoreKind::Redis => Self::Redis(redis::Gate::open(config, inboxes.len(), transitions)?),
        })
    }

    /// A way in for one worker.
    pub fn gate(&self) -> Gate {
        match self {
            Self::Embedded(store) => Gate::Embedded(store.client()),
            Self::Redis(gate) => Gate::Redis(gate.clone()),
        }
    }

    /// Whether it is within reach.
    pub fn health(&self) -> Arc<Health> {
        match self {
            Self::Embedded(_) => Health::new(0),
            Self::Redis(gate) => Arc::clone(gate.health()),
        }
    }

    /// What the contents of answers are charged to.
    pub fn answer_memory(&self) -> Arc<Account> {
        match self {
            Self::Embedded(store) => Arc::clone(store.answer_memory()),
            Self::Redis(gate) => Arc::clone(gate.answer_memory()),
        }
    }

    /// Finishes what is to be finished. Operations that come later are not answered.
    pub fn close(self) {
        match self {
            Self::Embedded(store) => store.close(),
            // The servers have everything.
            Self::Redis(_) => {}
        }
    }
}

impl Gate {
    /// Enters, within the runtime of the worker whose inbox it was opened with. Replies that come up on the worker's
    /// own thread are given to `receive`, never before the submitting of their operation is over.
    pub fn enter(self, timers: &Rc<Timers>, receive: Receive) -> Box<dyn Store> {
        match self {
            Self::Embedded(client) => Box::new(client),
            Self::Redis(gate) => gate.enter(timers, receive),
        }
    }
}

/// This machine's time of day.
pub fn time_of_day() -> UnixMillis {
    // A clock before 1970 is no time of day at all.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMillis(0).plus(since.unwrap_or_default())
}
