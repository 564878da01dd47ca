//! A record of what happened, in MongoDB: the states that messages had, and what was asked for.
//!
//! A `writer` reads events from the spool, makes documents of them (`draft`), and writes them in batches, for as long
//! as it takes: what is not in MongoDB is in the spool. The id of a document is its place in the spool's log, so what
//! is written twice is there once. `look` reads it all back.

mod batch;
mod database;
mod draft;
mod indexes;
mod json;
mod look;
mod tally;
#[cfg(test)]
mod tests;
mod trouble;
mod writer;

pub use look::{EVENTS_DEFAULT, EVENTS_MAX, Past, Since, Span, Unavailable};
pub use tally::Tally;

use std::fmt;

use mongodb::bson::Document;
use tokio::sync::watch;

use super::spool::Reader;
use crate::config;
use crate::mailbox::{QueueName, TransactionId};
use database::Database;
use writer::Writer;

/// The history: written by its own task, and looked at by whoever has it.
pub struct History {
    settings: config::History,
    agent: String,
    /// Of its sinks, each once.
    collections: Vec<String>,
    database: Database,
    tally: Tally,
}

impl fmt::Debug for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// The history of the server that is called `agent`. Nothing is connected to yet.
    pub fn new(settings: config::History, agent: String) -> Self {
        let mut collections: Vec<String> = Vec::new();
        for sink in &settings.sinks {
            if !collections.contains(&sink.collection) {
                collections.push(sink.collection.clone());
            }
        }
        Self {
            database: Database::new(&settings),
            settings,
            agent,
            collections,
            tally: Tally::default(),
        }
    }

    /// How far it is.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What happened to a transaction, in some tenants or anywhere; `""` is what is outside of all tenants.
    pub async fn of_transaction(
        &self,
        id: TransactionId,
        tenants: Option<&[String]>,
        span: Span,
    ) -> Result<Past, Unavailable> {
        self.look(look::of_transaction(id, tenants), span).await
    }

    /// What happened to a queue.
    pub async fn of_queue(&self, queue: &QueueName, span: Span) -> Result<Past, Unavailable> {
        self.look(look::of_queue(queue), span).await
    }

    async fn look(&self, wanted: Document, span: Span) -> Result<Past, Unavailable> {
        let timeout = self.settings.timeout;
        look::look(&self.database, &self.collections, wanted, span, timeout).await
    }

    /// Each sink, with the number of its collection.
    fn sinks(&self) -> impl Iterator<Item = (&config::Sink, usize)> {
        self.settings.sinks.iter().filter_map(|sink| {
            let mut names = self.collections.iter();
            let number = names.position(|name| *name == sink.collection)?;
            Some((sink, number))
        })
    }

    /// Writes what the reader gives, until it is told to stop. After that nothing can be looked at.
    pub(super) async fn run(&self, reader: Reader, stop: watch::Receiver<bool>) {
        Writer::new(self, reader, stop).run().await;
        self.database.close().await;
    }
}
