//! The store of one machine: the [engine](crate::mailbox::engine) on a thread of its own, made durable by a ledger.
//!
//! Workers submit operations through an intake. The thread takes what has come as one batch, applies it, makes the
//! batch durable in one go, and then answers: the more is asked at once, the less each answer costs. A batch that
//! cannot be made durable is answered with refusals, and the engine is built again from what is durable, so that
//! nothing half done is ever seen.

mod clock;
mod intake;
mod keep;
mod ledger;
mod load;
mod resolve;
mod thread;

use std::{io, sync::Arc, thread::JoinHandle};

use self::{
    intake::{Closed, Command, Intake},
    ledger::{Ledger, OpenError},
};
use super::{Inbox, Store, Transitions};
use crate::{
    config,
    mailbox::{self, Op, Refusal, Ticket},
    memory::Account,
};

/// A running embedded store.
#[derive(Debug)]
pub struct Embedded {
    client: Client,
    answer_memory: Arc<Account>,
    thread: JoinHandle<()>,
}

/// A worker's way to the embedded store.
#[derive(Clone, Debug)]
pub struct Client {
    intake: Arc<Intake>,
    backlog_max: usize,
}

/// Why the store did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its files are not to be had or not to be trusted; says which and why.
    #[error("{0}")]
    Open(String),
    /// The system allows no further thread.
    #[error("cannot start the store's thread: {0}")]
    Thread(io::Error),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Open(error.to_string())
    }
}

impl Embedded {
    /// Opens the store and loads its state; replies to worker `n` go to the `n`th inbox, and
    /// what becomes of messages by itself is told to `transitions`.
    pub fn open(
        store: &config::Store,
        limits: &config::Limits,
        inboxes: Vec<Arc<Inbox>>,
        transitions: Arc<Transitions>,
    ) -> Result<Self, StartError> {
        let settings = ledger::Settings {
            directory: store.path.clone(),
            durability: store.durability,
            cache_bytes: store.cache.bytes(),
            check_on_open: store.check_on_open,
        };
        let ledger = Ledger::open(&settings)?;
        let space = thread::Space::new(store);
        let answer_memory = Arc::new(Account::new(limits.max_answer_memory.bytes()));
        let state = thread::State::load(
            ledger,
            domain_limits(limits),
            space,
            Arc::clone(&answer_memory),
            transitions,
        )?;
        let intake = Arc::<Intake>::default();
        let taking = Arc::clone(&intake);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || state.run(&taking, &inboxes))
            .map_err(StartError::Thread)?;
        let client = Client {
            intake,
            backlog_max: limits.max_backlog,
        };
        Ok(Self {
            client,
            answer_memory,
            thread,
        })
    }

    /// A way to the store for one worker.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the contents of answers are charged to.
    pub fn answer_memory(&self) -> &Arc<Account> {
        &self.answer_memory
    }

    /// Makes everything durable and lets go of the files. Operations that come later are not answered.
    pub fn close(self) {
        // A thread that has ended has closed the store.
        let _ = self.client.intake.push(Command::Stop);
        let _ = self.thread.join();
    }
}

impl Store for Client {
    fn submit(&self, ticket: Ticket, op: Op) -> Result<(), Refusal> {
        match self.intake.submit(ticket, op, self.backlog_max) {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Refusal::Full("limits.max_backlog is reached")),
            Err(Closed) => Err(Refusal::Unavailable("it has been closed".into())),
        }
    }

    fn follow_up(&self, ticket: Ticket, op: Op) {
        // A closed store has nothing to follow up: what was out is back in line when it opens again.
        let _ = self.intake.push(Command::Do(ticket, op));
    }

    fn is_idle(&self) -> bool {
        // What was submitted is with the store's thread, which finishes it.
        true
    }
}

fn domain_limits(limits: &config::Limits) -> mailbox::Limits {
    mailbox::Limits {
        queues_per_transaction_max: limits.max_queues,
        transactions_max: limits.max_transactions,
        queues_max: limits.max_known_queues,
        groups_max: limits.max_groups,
        tenant_queues_max: match limits.max_tenant_queues {
            0 => usize::MAX,
            count => count,
        },
        waiters_max: limits.max_waiters,
        secured_queues_max: limits.max_secured_queues,
        queue_retention: limits.queue_retention,
        listed_messages_max: limits.max_pop,
        // The configuration's limit of it is that of 16 bits.
        deliveries_max: u32::try_from(limits.max_deliveries).unwrap_or(u32::MAX),
        idempotency_keys_max: limits.max_idempotency_keys,
    }
}
