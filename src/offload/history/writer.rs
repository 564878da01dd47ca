//! From the spool into MongoDB.

use std::collections::HashSet;
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

/// What MongoDB answers to a document with a key that an index has and may have once; as the others, from
/// `error_codes.yml` in its source.
const DUPLICATE_KEY: i32 = 11_000;

/// It is not what the collection's kind takes, or too large.
const BAD_VALUE: i32 = 2;

/// The collection is sharded by a field that it does not have.
const SHARD_KEY_NOT_FOUND: i32 = 61;

/// It is not what the collection's validator takes.
const DOCUMENT_VALIDATION_FAILURE: i32 = 121;

/// It is too large.
const BSON_OBJECT_TOO_LARGE: i32 = 10_334;

/// It has a value that is too long for an index.
const KEY_TOO_LONG: i32 = 17_280;

/// Reasons to refuse a document that are in the document. All others may pass.
const FINAL: [i32; 6] = [
    BAD_VALUE,
    SHARD_KEY_NOT_FOUND,
    DOCUMENT_VALIDATION_FAILURE,
    BSON_OBJECT_TOO_LARGE,
    DUPLICATE_KEY,
    KEY_TOO_LONG,
];

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
        while !documents.is_empty() {
            let wait = match self.try_insert(collection, &documents).await {
                Ok(refused) => {
                    let in_now = documents.len().saturating_sub(refused.len());
                    self.history.tally.add_sent(in_now);
                    let (lost, later): (Vec<_>, Vec<_>) =
                        refused.into_iter().partition(|it| FINAL.contains(&it.code));
                    if let Some(first) = lost.first() {
                        self.leave_out(lost.len(), &because(collection, first));
                    }
                    let Some(first) = later.first() else {
                        self.writing.is_over(Instant::now());
                        return Ok(());
                    };
                    documents = only(documents, &later);
                    self.writing
                        .lasts(Instant::now(), &because(collection, first))
                }
                Err(fault) => self.writing.lasts(Instant::now(), &fault),
            };
            self.history.tally.add_retried();
            self.measure();
            self.pause(wait).await?;
        }
        Ok(())
    }

    /// Writes documents once; why some of them were refused.
    async fn try_insert(
        &self,
        collection: &str,
        documents: &[RawDocumentBuf],
    ) -> Result<Vec<IndexedWriteError>, Fault> {
        let database = &self.history.database;
        let inserting = async {
            let collection = database.collection(collection).await?;
            collection.insert_many(documents).ordered(false).await?;
            Ok::<_, Fault>(())
        };
        match database.within(inserting).await {
            Ok(()) => Ok(Vec::new()),
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

/// Why documents were refused, but for those that are there already; or why all of it has to be written again.
fn refused(error: Error) -> Result<Vec<IndexedWriteError>, Fault> {
    match *error.kind {
        ErrorKind::InsertMany(insert) if insert.write_concern_error.is_none() => {
            let mut errors = insert.write_errors.unwrap_or_default();
            errors.retain(|it| it.code != DUPLICATE_KEY || !is_of_ids(&it.message));
            Ok(errors)
        }
        _ => Err(error.into()),
    }
}

/// Whether it is the index of ids that has a key, in "E11000 duplicate key error collection: d.c index: _id_ dup key:
/// { _id: ... }". A collection that is clustered by ids has none. Somebody else's index may have any name, and the key
/// any text.
fn is_of_ids(message: &str) -> bool {
    match message.split_once(" index: ") {
        Some((_, index)) => index.starts_with("_id_ "),
        None => message.contains(" dup key: { _id: "),
    }
}

fn because(collection: &str, error: &IndexedWriteError) -> String {
    let IndexedWriteError { code, message, .. } = error;
    format!("{collection} refuses it: {message} (code {code})")
}

fn only(documents: Vec<RawDocumentBuf>, refused: &[IndexedWriteError]) -> Vec<RawDocumentBuf> {
    let numbers: HashSet<usize> = refused.iter().map(|it| it.index).collect();
    let numbered = documents.into_iter().enumerate();
    let kept = numbered.filter(|(number, _)| numbers.contains(number));
    kept.map(|(_, document)| document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_of_the_index_of_ids_is_there_already() {
        let told =
            |place: &str| is_of_ids(&format!("E11000 duplicate key error collection: {place}"));
        assert!(told("d.c index: _id_ dup key: { _id: \"1\" }"));
        assert!(told(
            "d.c index: _id_ collation: { locale: \"fr\" } dup key: { _id: \"0x31\" }"
        ));
        // Clustered by ids.
        assert!(told("d.c dup key: { _id: \"1\" }"));
        assert!(!told("d.c index: queue_1 dup key: { queue: \"q\" }"));
        assert!(!told(
            "d.c index: _id_1_queue_1 dup key: { _id: \"1\", queue: \"q\" }"
        ));
        assert!(!told(
            "d.c index: queue_1 dup key: { queue: \" index: _id_ dup key: { _id: \" }"
        ));
    }
}
