//! Documents that are written together.

use mongodb::bson::RawDocumentBuf;
use tokio::time::Instant;

use super::draft::Draft;
use crate::config::Sink;
use crate::mailbox::UnixMillis;

/// What a batch may take. A message to MongoDB has 48 MB at most, and the last document may go beyond this.
const BYTES_MAX: usize = 8 << 20;

/// What a document may take: 16 MiB in MongoDB, and a margin.
const DOCUMENT_BYTES_MAX: usize = (16 << 20) - (16 << 10);

/// Documents that are written together, by collection.
pub(super) struct Batch {
    documents: Vec<Vec<RawDocumentBuf>>,
    count: usize,
    bytes: usize,
    began: Option<Began>,
}

/// When the first document came, and when it happened.
#[derive(Clone, Copy)]
struct Began(Instant, UnixMillis);

impl Batch {
    pub(super) fn new(collections: usize) -> Self {
        Self {
            documents: vec![Vec::new(); collections],
            count: 0,
            bytes: 0,
            began: None,
        }
    }

    /// Adds what a sink takes of an event; false if that is more than MongoDB takes.
    pub(super) fn add(&mut self, collection: usize, sink: &Sink, draft: &Draft) -> bool {
        let document = draft.document(sink);
        let bytes = document.as_bytes().len();
        if bytes > DOCUMENT_BYTES_MAX {
            return false;
        }
        if let Some(documents) = self.documents.get_mut(collection) {
            documents.push(document);
            self.count += 1;
            self.bytes += bytes;
            self.began.get_or_insert(Began(Instant::now(), draft.at()));
        }
        true
    }

    /// Whether it has to go, whatever comes.
    pub(super) fn is_full(&self, documents_max: usize) -> bool {
        self.count >= documents_max || self.bytes >= BYTES_MAX
    }

    /// Since when its first document waits; none if it is empty.
    pub(super) fn since(&self) -> Option<Instant> {
        self.began.map(|Began(since, _)| since)
    }

    /// When its first event happened; none if it is empty.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.began.map(|Began(_, at)| at)
    }

    /// Takes the documents of one collection out.
    pub(super) fn take(&mut self, collection: usize) -> Vec<RawDocumentBuf> {
        let documents = self.documents.get_mut(collection);
        documents.map(std::mem::take).unwrap_or_default()
    }
}
