//! From the spool into MongoDB.

use std::collections::HashMap;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use mongodb::error::{Error, ErrorKind, IndexedWriteError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::History;
use super::batch::Batch;
use super::database::Fault;
use super::draft::drafts;
use super::indexes::Indexes;
use super::trouble::Trouble;
use crate::offload::Event;
use crate::offload::notice::Notice;
use crate::offload::spool::{Entry, Position, Reader};

/// How much of the spool is read at once.
const READ_BYTES_MAX: usize = 1 << 20;

/// How often a document is written that MongoDB refuses, until it is left out.
const TRIES_MAX: u32 = 3;

/// What MongoDB answers to a document that it has.
const DUPLICATE_KEY: i32 = 11_000;

/// How long what is under way may take once it is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Takes events from the spool and writes them.
pub(super) struct Writer<'a> {
    history: &'a History,
    reader: Reader,
    stop: watch::Receiver<bool>,
    indexes: Indexes,
    batch: Batch,
    /// Up to where everything is in the batch, or in MongoDB.
    until: Position,
    writing: Trouble,
    reading: Trouble,
    noting: Trouble,
    leaving_out: Notice,
}

/// It was told to stop.
struct Stopped;

impl<'a> Writer<'a> {
    pub(super) fn new(history: &'a History, reader: Reader, stop: watch::Receiver<bool>) -> Self {
        let backoff = history.settings.backoff;
        Self {
            indexes: Indexes::new(&history.settings, &history.collections),
            batch: Batch::new(history.collections.len()),
            until: reader.cursor(),
            writing: Trouble::new("write", backoff),
            reading: Trouble::new("read the spool", backoff),
            noting: Trouble::new("note in the spool how far it is", backoff),
            leaving_out: Notice::default(),
            history,
            reader,
            stop,
        }
    }

    /// Goes on until it is told to stop. What is not in MongoDB by then is in the spool.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        let too_late = async move {
            // An error means that nobody is left to tell.
            let _ = stop.wait_for(|stop| *stop).await;
            sleep(STOP_GRACE).await;
        };
        let writing = async { while self.step().await.is_ok() {} };
        tokio::select! {
            () = writing => {}
            () = too_late => {}
        }
    }

    /// Reads what there is; writes what is full or has waited long enough.
    async fn step(&mut self) -> Result<(), Stopped> {
        self.measure();
        if *self.stop.borrow() {
            return Err(Stopped);
        }
        let age = self.history.settings.batch_age;
        let due = self.batch.since().map(|since| since + age);
        if due.is_some_and(|due| due <= Instant::now()) {
            return self.write().await;
        }
        if self.reader.is_at_end() {
            return self.wait(due).await;
        }
        match self.reader.read(READ_BYTES_MAX).await {
            Ok(entries) => {
                self.reading.is_over(Instant::now());
                for entry in entries {
                    self.take(&entry).await?;
                }
                if self.batch.since().is_none() {
                    self.note().await;
                }
                Ok(())
            }
            Err(error) => {
                let wait = self.reading.lasts(Instant::now(), &error);
                self.pause(wait).await
            }
        }
    }

    /// Waits for events, or until the batch is due.
    async fn wait(&mut self, due: Option<Instant>) -> Result<(), Stopped> {
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.reader.wait() => Ok(()),
            () = due => Ok(()),
            _ = self.stop.wait_for(|stop| *stop) => Err(Stopped),
        }
    }

    async fn pause(&mut self, wait: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = sleep(wait) => Ok(()),
            _ = self.stop.wait_for(|stop| *stop) => Err(Stopped),
        }
    }

    /// Puts an entry into the batch, which may be written several times meanwhile.
    async fn take(&mut self, entry: &Entry) -> Result<(), Stopped> {
        match postcard::from_bytes::<Event>(&entry.bytes) {
            Ok(event) => self.take_event(&event, entry.position).await?,
            Err(error) => self.leave_out(1, &format_args!("an event cannot be read: {error}")),
        }
        self.until = entry.end;
        Ok(())
    }

    async fn take_event(&mut self, event: &Event, position: Position) -> Result<(), Stopped> {
        let history = self.history;
        let log = self.reader.log_id();
        for draft in drafts(event, &history.agent, log, position.0) {
            for (sink, collection) in history.sinks() {
                if draft.is_for(sink) && !self.batch.add(collection, sink, &draft) {
                    self.leave_out(1, &"a document is larger than MongoDB takes");
                }
            }
            if self.batch.is_full(history.settings.batch) {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Writes the batch, however long it takes.
    async fn write(&mut self) -> Result<(), Stopped> {
        self.measure();
        self.indexes.make(&self.history.database).await;
        for (number, name) in self.history.collections.iter().enumerate() {
            let documents = self.batch.take(number);
            self.insert(name, documents).await?;
        }
        self.batch = Batch::new(self.history.collections.len());
        self.note().await;
        Ok(())
    }

    async fn insert(
        &mut self,
        collection: &str,
        mut documents: Vec<RawDocumentBuf>,
    ) -> Result<(), Stopped> {
        let mut tries = 0;
        while !documents.is_empty() {
            let wait = match self.try_insert(collection, &documents).await {
                Ok(refused) => {
                    self.writing.is_over(Instant::now());
                    let in_now = documents.len().saturating_sub(refused.len());
                    self.history.tally.add_sent(in_now);
                    let Some(first) = refused.values().next() else {
                        return Ok(());
                    };
                    tries += 1;
                    if tries == TRIES_MAX {
                        let (code, message) = (first.code, &first.message);
                        let reason =
                            format_args!("{collection} refuses it: {message} (code {code})");
                        self.leave_out(refused.len(), &reason);
                        return Ok(());
                    }
                    documents = only(documents, &refused);
                    RETRY_WAIT * tries
                }
                Err(fault) => self.writing.lasts(Instant::now(), &fault),
            };
            self.history.tally.add_retried();
            self.measure();
            self.pause(wait).await?;
        }
        Ok(())
    }

    /// Writes documents once; those that were refused by number.
    async fn try_insert(
        &self,
        collection: &str,
        documents: &[RawDocumentBuf],
    ) -> Result<HashMap<usize, IndexedWriteError>, Fault> {
        let database = &self.history.database;
        let inserting = async {
            let collection = database.collection(collection).await?;
            collection.insert_many(documents).ordered(false).await?;
            Ok::<_, Fault>(())
        };
        match database.within(inserting).await {
            Ok(()) => Ok(HashMap::new()),
            Err(Fault::Driver(error)) => refused(error),
            Err(late) => Err(late),
        }
    }

    /// Tells the spool how far it is.
    async fn note(&mut self) {
        match self.reader.done(self.until).await {
            Ok(()) => self.noting.is_over(Instant::now()),
            // They will be given again, and are known by their ids.
            Err(error) => {
                self.noting.lasts(Instant::now(), &error);
            }
        }
        self.measure();
    }

    fn measure(&self) {
        let tally = &self.history.tally;
        tally.set_behind(self.reader.behind());
        tally.set_oldest(self.batch.oldest());
    }

    fn leave_out(&mut self, documents: usize, reason: &dyn std::fmt::Display) {
        self.history.tally.add_failed(documents);
        if self.leaving_out.is_due(Instant::now()) {
            tracing::error!(documents, "history: left out: {reason}");
        }
    }
}

/// How long to wait until documents that were refused are written again, times how often they were.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// Which documents were refused, but for those that are there already; or why all of it has to be written again.
fn refused(error: Error) -> Result<HashMap<usize, IndexedWriteError>, Fault> {
    match *error.kind {
        ErrorKind::InsertMany(ref insert) if insert.write_concern_error.is_none() => {
            let errors = insert.write_errors.iter().flatten();
            let errors = errors.filter(|it| it.code != DUPLICATE_KEY);
            Ok(errors.map(|it| (it.index, it.clone())).collect())
        }
        _ => Err(error.into()),
    }
}

fn only(
    documents: Vec<RawDocumentBuf>,
    refused: &HashMap<usize, IndexedWriteError>,
) -> Vec<RawDocumentBuf> {
    let numbered = documents.into_iter().enumerate();
    let kept = numbered.filter(|(number, _)| refused.contains_key(number));
    kept.map(|(_, document)| document).collect()
}
