//! Looking up what happened.

use std::collections::HashSet;

use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use super::database::{Database, Fault};
use super::draft::{SECURED, date};
use super::json;
use crate::mailbox::{QueueName, Realm, TransactionId, UnixMillis};

/// How many events are given to whoever does not say.
pub const EVENTS_DEFAULT: usize = 1_000;

/// How many are given at most.
pub const EVENTS_MAX: usize = 10_000;

/// How much they may take, as they are stored; the first is given whatever it takes.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// What happened, the earliest first.
#[derive(Debug, Default, PartialEq)]
pub struct Past {
    /// Each as it was stored, without its id, and with its time as ISO text.
    pub events: Vec<Value>,
    /// Whether there are more: ask again, since the time of the last one.
    pub has_more: bool,
}

/// Which part of it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From then on; none: from the beginning.
    pub since: Option<UnixMillis>,
    /// How many events at most; never more than [`EVENTS_MAX`].
    pub limit: usize,
}

/// MongoDB does not answer, or not in time.
#[derive(Debug, thiserror::Error)]
#[error("the history is unavailable: {0}")]
pub struct Unavailable(String);

impl Default for Span {
    fn default() -> Self {
        Self {
            since: None,
            limit: EVENTS_DEFAULT,
        }
    }
}

/// What is on record of a transaction.
pub(super) fn of_transaction(id: TransactionId) -> Document {
    doc! {"transaction": id.to_string()}
}

/// What is on record of a queue.
pub(super) fn of_queue(queue: &QueueName) -> Document {
    // Null is also what is not there.
    let tenant = queue.tenant().0.as_deref().map(str::to_owned);
    let realm = (queue.realm() == Realm::Secured).then_some(SECURED);
    doc! {"queue": queue.id(), "tenant": tenant, "realm": realm}
}

/// What is on record of something, from every collection that may have it.
pub(super) async fn look(
    database: &Database,
    collections: &[String],
    wanted: Document,
    span: Span,
) -> Result<Past, Unavailable> {
    let limit = span.limit.clamp(1, EVENTS_MAX);
    let mut filter = wanted;
    if let Some(since) = span.since {
        filter.insert("timestamp", doc! {"$gte": date(since)});
    }
    let looking = async {
        let mut shelves = Vec::with_capacity(collections.len());
        for collection in collections {
            shelves.push(shelf(database, collection, &filter, limit).await?);
        }
        Ok::<_, Fault>(shelves)
    };
    let shelves = database.within(looking).await;
    let shelves = shelves.map_err(|fault| Unavailable(fault.to_string()))?;
    Ok(merged(shelves, limit))
}

/// What one collection has of it, in order.
struct Shelf {
    records: Vec<Record>,
    /// Whether it has more.
    is_cut: bool,
}

struct Record {
    key: Key,
    bytes: usize,
    document: Document,
}

/// What events are sorted by: time, and then their place in the log.
type Key = (i64, String);

async fn shelf(
    database: &Database,
    collection: &str,
    filter: &Document,
    limit: usize,
) -> Result<Shelf, Fault> {
    let collection = database.collection(collection).await?;
    let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut cursor = collection
        .find(filter.clone())
        .sort(doc! {"timestamp": 1, "_id": 1})
        .limit(one_more)
        .await?;
    let mut records: Vec<Record> = Vec::new();
    let mut room = BYTES_MAX;
    while cursor.advance().await? {
        let raw = cursor.current();
        let bytes = raw.as_bytes().len();
        if records.len() == limit || (bytes > room && !records.is_empty()) {
            return Ok(Shelf {
                records,
                is_cut: true,
            });
        }
        room = room.saturating_sub(bytes);
        let document = Document::try_from(raw).map_err(mongodb::error::Error::from)?;
        records.push(Record {
            key: key(&document),
            bytes,
            document,
        });
    }
    Ok(Shelf {
        records,
        is_cut: false,
    })
}

fn key(document: &Document) -> Key {
    let millis = document.get_datetime("timestamp");
    let id = match document.get("_id") {
        Some(Bson::String(id)) => id.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    (millis.map_or(0, |date| date.timestamp_millis()), id)
}

/// All shelves as one. What goes into several collections is given once.
fn merged(shelves: Vec<Shelf>, limit: usize) -> Past {
    // Past the end of a shelf that was cut, something may be missing.
    let ends = shelves.iter().filter(|shelf| shelf.is_cut);
    let end = ends
        .filter_map(|shelf| shelf.records.last())
        .map(|it| &it.key);
    let end = end.min().cloned();
    let mut has_more = end.is_some();
    let mut records: Vec<_> = shelves.into_iter().flat_map(|it| it.records).collect();
    records.sort_by(|one, other| one.key.cmp(&other.key));
    let mut seen = HashSet::new();
    let mut room = BYTES_MAX;
    let mut events = Vec::new();
    for record in records {
        if end.as_ref().is_some_and(|end| record.key > *end) {
            break;
        }
        if !seen.insert(record.key.1) {
            continue;
        }
        if events.len() == limit || (record.bytes > room && !events.is_empty()) {
            has_more = true;
            break;
        }
        room = room.saturating_sub(record.bytes);
        events.push(json::object(record.document));
    }
    Past { events, has_more }
}
