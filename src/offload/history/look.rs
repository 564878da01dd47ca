//! Looking up what happened.

use std::time::Duration;

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
    /// Where to go on, if there are more.
    pub next: Option<Since>,
}

/// Where a look begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// What happened before is left out.
    pub at: UnixMillis,
    /// So is what happened then, up to the document with this id. None: nothing of that millisecond is left out.
    pub after: Option<String>,
}

/// Which part of it is wanted.
#[derive(Clone, Debug)]
pub struct Span {
    /// From there on; none: from the beginning.
    pub since: Option<Since>,
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
pub(super) fn of_transaction(id: TransactionId, tenants: Option<&[String]>) -> Document {
    let mut wanted = doc! {"transaction": id.to_string()};
    if let Some(tenants) = tenants {
        // Null is also what is not there.
        let names = tenants
            .iter()
            .map(|it| Some(&**it).filter(|it| !it.is_empty()));
        wanted.insert("tenant", doc! {"$in": names.collect::<Vec<_>>()});
    }
    wanted
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
    timeout: Duration,
) -> Result<Past, Unavailable> {
    let limit = span.limit.clamp(1, EVENTS_MAX);
    let mut filter = wanted;
    if let Some(Since { at, after }) = span.since {
        let at = date(at);
        filter.insert("timestamp", doc! {"$gte": at});
        if let Some(id) = after {
            let later = doc! {"timestamp": {"$gt": at}};
            // Of any type, as ids are sorted.
            let then = doc! {"_id": {"$not": {"$lte": id}}};
            filter.insert("$or", [later, then]);
        }
    }
    let looking = async {
        let mut shelves = Vec::with_capacity(collections.len());
        for collection in collections {
            shelves.push(shelf(database, collection, &filter, limit, timeout).await?);
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

/// What events are sorted by, as MongoDB sorts them: time, and then the id, which is the place in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    millis: i64,
    id: Id,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Text(String),
    /// Of somebody else's document; these come last.
    Other(String),
}

impl Key {
    fn of(document: &Document) -> Self {
        let millis = document.get_datetime("timestamp");
        let id = match document.get("_id") {
            Some(Bson::String(id)) => Id::Text(id.clone()),
            other => Id::Other(other.map(ToString::to_string).unwrap_or_default()),
        };
        Self {
            millis: millis.map_or(0, |date| date.timestamp_millis()),
            id,
        }
    }

    /// What comes behind it.
    fn next(self) -> Since {
        Since {
            at: UnixMillis(u64::try_from(self.millis).unwrap_or(0)),
            after: match self.id {
                Id::Text(id) => Some(id),
                // Rather some of them twice than one of them never.
                Id::Other(_) => None,
            },
        }
    }
}

async fn shelf(
    database: &Database,
    collection: &str,
    filter: &Document,
    limit: usize,
    timeout: Duration,
) -> Result<Shelf, Fault> {
    let collection = database.collection(collection).await?;
    let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut cursor = collection
        .find(filter.clone())
        .sort(doc! {"timestamp": 1, "_id": 1})
        .limit(one_more)
        // Nobody waits for it any longer: it is not to go on there, either.
        .max_time(timeout)
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
            key: Key::of(&document),
            bytes,
            document,
        });
    }
    Ok(Shelf {
        records,
        is_cut: false,
    })
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
    records.dedup_by(|one, other| one.key == other.key);
    let mut room = BYTES_MAX;
    let mut events = Vec::new();
    let mut last = None;
    for record in records {
        if end.as_ref().is_some_and(|end| record.key > *end) {
            break;
        }
        if events.len() == limit || (record.bytes > room && !events.is_empty()) {
            has_more = true;
            break;
        }
        room = room.saturating_sub(record.bytes);
        events.push(json::object(record.document));
        last = Some(record.key);
    }
    let next = last.filter(|_| has_more).map(Key::next);
    Past { events, next }
}
