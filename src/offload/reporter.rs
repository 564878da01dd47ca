//! The way from whoever sees something happen to the spool.

use std::sync::Arc;

use crossbeam::channel::Sender;

use super::{
    event::{Event, Messages},
    tally::Tally,
};
use crate::{
    config::Config,
    mailbox::QueueName,
    memory::{Account, Charge},
};

/// What is to be told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Each state that messages get, and each request: for history.
    pub history: bool,
    /// Deliveries of transactions with a callback.
    pub callbacks: bool,
    /// What comes with requests, too.
    pub postdata: bool,
}

impl Interest {
    /// What the configuration asks for.
    pub fn of(config: &Config) -> Self {
        let history = config.history.uri.is_some();
        Self {
            history,
            callbacks: config.callbacks.enabled,
            postdata: history && config.history.postdata,
        }
    }

    /// Whether there is anything.
    pub fn is_any(self) -> bool {
        self.history || self.callbacks
    }
}

/// An event on its way to the spool.
pub(super) enum Letter {
    /// With what it takes of the memory for such.
    Event(Event, Charge),
    /// There are no more.
    Last,
}

/// A thread's way to tell of events. It never waits: what there is no room for is lost and counted.
#[derive(Clone, Debug)]
pub struct Reporter {
    sender: Sender<Letter>,
    memory: Arc<Account>,
    tally: Arc<Tally>,
    interest: Interest,
}

impl Reporter {
    pub(super) fn new(
        sender: Sender<Letter>,
        memory: Account,
        tally: Arc<Tally>,
        interest: Interest,
    ) -> Self {
        Self {
            sender,
            memory: Arc::new(memory),
            tally,
            interest,
        }
    }

    /// What is to be told.
    pub fn interest(&self) -> Interest {
        self.interest
    }

    /// Tells of an event.
    pub fn tell(&self, event: Event) {
        let mut charge = Charge::new(&self.memory);
        let is_sent = charge.resize(weight(&event))
            && self.sender.try_send(Letter::Event(event, charge)).is_ok();
        if !is_sent {
            self.tally.note_dropped(1);
        }
    }

    /// Counts an event that could not be told.
    pub fn give_up(&self) {
        self.tally.note_dropped(1);
    }
}

/// The bytes that an event takes in memory, about.
fn weight(event: &Event) -> usize {
    let contents = match event {
        Event::States(states) => match &states.messages {
            Messages::OfTransaction {
                callback, queues, ..
            } => {
                // A name may be shared with the store, which may be done with it first.
                let names: usize = queues.iter().map(QueueName::bytes).sum();
                callback.as_deref().map_or(0, str::len) + names
            }
            Messages::OfQueue { transactions, .. } => transactions
                .iter()
                .map(|it| size_of_val(it) + it.1.as_deref().map_or(0, str::len))
                .sum(),
        },
        Event::Action(action) => {
            let texts = [
                Some(&action.action),
                action.queue.as_ref(),
                action.transaction.as_ref(),
                action.postdata.as_ref(),
                action.error.as_ref(),
            ];
            size_of_val(&**action)
                + texts
                    .into_iter()
                    .flatten()
                    .map(|it| it.len())
                    .sum::<usize>()
        }
    };
    size_of::<Letter>() + contents
}
