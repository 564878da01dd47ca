//! `[history]`: a record of what happened, in MongoDB.

use std::time::Duration;

use toml::Value;

use super::mongo_uri::MongoUri;
use super::section::Section;
use super::sink::{Sink, SinkEvent};
use super::value;

/// `[history]`: a record of what happened, in MongoDB.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Where MongoDB is; none: nothing is recorded.
    pub uri: Option<MongoUri>,
    /// The name of the database.
    pub database: String,
    /// What goes into which of its collections, 1 to 16.
    pub sinks: Vec<Sink>,
    /// Documents written at once, 1 to 100 000.
    pub batch: usize,
    /// How long a document waits for others to be written with, 1 ms to 1 min.
    pub batch_age: Duration,
    /// How long documents are kept, up to ten years; 0: for ever.
    pub retention: Duration,
    /// How long MongoDB may take, 100 ms to 5 min.
    pub timeout: Duration,
    /// The longest wait before it is tried again, 10 ms to 5 min.
    pub backoff: Duration,
    /// Whether the bodies of requests are kept with them.
    pub postdata: bool,
}

/// The longest name of a database, in bytes; MongoDB sets it.
const DATABASE_BYTES_MAX: usize = 63;

impl History {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let uri = format!("\"\" or {}", MongoUri::FORM);
        Self {
            uri: section.parsed("uri", default.uri, &uri, hidden, |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().map(Some),
                }
            }),
            database: section.parsed(
                "database",
                default.database,
                "a name of 1 to 63 bytes without any of /\\. \"$*<>:|?",
                value::show,
                |value| {
                    let name = value.as_str().filter(|name| is_database(name))?;
                    Some(name.to_owned())
                },
            ),
            sinks: section.parsed(
                "sinks",
                default.sinks,
                Sink::LIST_FORM,
                value::show,
                Sink::read_list,
            ),
            batch: section.count("batch", default.batch, 1..=100_000),
            batch_age: section.duration(
                "batch_age",
                default.batch_age,
                Duration::from_millis(1)..=Duration::from_mins(1),
            ),
            retention: section.duration(
                "retention",
                default.retention,
                Duration::ZERO..=Duration::from_hours(24 * 3650),
            ),
            timeout: section.duration(
                "timeout",
                default.timeout,
                Duration::from_millis(100)..=Duration::from_mins(5),
            ),
            backoff: section.duration(
                "backoff",
                default.backoff,
                Duration::from_millis(10)..=Duration::from_mins(5),
            ),
            postdata: section.switch("postdata", default.postdata),
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            uri: None,
            database: "popbox".to_owned(),
            sinks: vec![Sink {
                event: SinkEvent::Any,
                collection: "popbox_ev".to_owned(),
                filter: Vec::new(),
                take: Vec::new(),
            }],
            batch: 1000,
            batch_age: Duration::from_millis(200),
            retention: Duration::from_hours(24 * 30),
            timeout: Duration::from_secs(10),
            backoff: Duration::from_secs(30),
            postdata: false,
        }
    }
}

/// Faults go to logs, and whatever was meant to be an address may have a password in it.
fn hidden(_: &Value) -> String {
    "(hidden: it may hold a password)".to_owned()
}

fn is_database(name: &str) -> bool {
    let is_length = (1..=DATABASE_BYTES_MAX).contains(&name.len());
    is_length && !name.contains(|letter: char| "/\\. \"$*<>:|?\0".contains(letter))
}
