//! A transaction's record, field by field.
//!
//! | field | what |
//! |---|---|
//! | `p` | payload |
//! | `y` | priority, `H` or `L` |
//! | `x` | second of its end; the key expires then |
//! | `q` | tags of its queues, in the order of the push, a space between each two |
//! | `c` | callback, if there is one |
//! | `f` | further fields, if there are any: a JSON list of pairs |
//! | `d`, `m` | while it is held back: milliseconds of the delay's end, its member of `pb:delayed` |
//! | `s:<tag>` | its state in that queue, as below |
//!
//! | state | what |
//! |---|---|
//! | `D` | delivered |
//! | `S`, lease | as good as delivered: the lease's settling is on its way |
//! | `B`, lease | out by that lease; Pending when it has lapsed |
//! | `L`, lease | out by that lease; Dead when it has lapsed |
//! | `X`, lease | dead; it died of that lease, which may not have lapsed |
//! | `E` | given up when it was dead |

use std::str;

use bytes::Bytes;

use super::{keys, shard::lease_ends};
use crate::mailbox::{LeaseId, Priority, QueueName, Record, State, TransactionView, UnixMillis};

/// What is noted of a message in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is in its queue and no longer out by this lease, nor settled by it.
    Pending(LeaseId),
    /// It is out by this lease, to be acked.
    Blocked(LeaseId),
    /// The same, for the last time: it is dead when the lease has lapsed.
    LastBlocked(LeaseId),
    /// It is dead, though this lease, which it died of, has not lapsed.
    Dead(LeaseId),
    /// It was given up when it was dead.
    Purged,
    /// It is out by this lease, whose settling is on its way and in time.
    Settling(LeaseId),
    /// Its consumer has it.
    Delivered,
    /// It was acked, if it is still held back.
    AckedEarly,
}

impl Mark {
    /// The field that holds a queue's mark.
    pub(super) fn field(tag: &str) -> String {
        format!("s:{tag}")
    }

    /// As the script takes it: a letter, and the lease that it is about.
    pub(super) fn parts(self) -> (&'static str, Option<LeaseId>) {
        match self {
            Self::Pending(lease) => ("P", Some(lease)),
            Self::Blocked(lease) => ("B", Some(lease)),
            Self::LastBlocked(lease) => ("L", Some(lease)),
            Self::Dead(lease) => ("X", Some(lease)),
            Self::Purged => ("E", None),
            Self::Settling(lease) => ("S", Some(lease)),
            Self::Delivered => ("D", None),
            Self::AckedEarly => ("H", None),
        }
    }

    /// The state that a mark tells of at a time. One whose lease has ended needs nobody to take it away.
    pub(super) fn state(value: Option<&[u8]>, now: UnixMillis) -> State {
        match value {
            Some([b'D' | b'S', ..]) => State::Delivered,
            Some([b'B', lease @ ..]) if has_lapsed(lease, now) => State::Pending,
            Some([b'L', lease @ ..]) if has_lapsed(lease, now) => State::Dead,
            Some([b'B' | b'L', ..]) => State::Blocked,
            Some([b'X', ..]) => State::Dead,
            Some([b'E', ..]) => State::Expired,
            _ => State::Pending,
        }
    }
}

fn has_lapsed(lease: &[u8], now: UnixMillis) -> bool {
    number(lease).is_none_or(|lease| lease_ends(LeaseId(lease)) <= now)
}

/// A record's fields as they are read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) payload: Bytes,
    priority: Option<Priority>,
    pub(super) expires_at: u32,
    pub(super) queues: Bytes,
    callback: Option<Box<str>>,
    further: Vec<(Box<str>, Box<str>)>,
    marks: Vec<(Bytes, Bytes)>,
}

impl Fields {
    /// Reads names and values; none where they make no whole record, or one that is over.
    pub(super) fn read(
        pairs: impl Iterator<Item = (Bytes, Bytes)>,
        now: UnixMillis,
    ) -> Option<Self> {
        let mut fields = Self::default();
        let mut has_payload = false;
        for (name, value) in pairs {
            match &*name {
                b"p" => {
                    fields.payload = value;
                    has_payload = true;
                }
                b"y" => fields.priority = priority(&value),
                b"x" => fields.expires_at = u32::try_from(number(&value)?).ok()?,
                b"q" => fields.queues = value,
                b"c" => fields.callback = Some(str::from_utf8(&value).ok()?.into()),
                b"f" => fields.further = serde_json::from_slice(&value).ok()?,
                [b's', b':', ..] => fields.marks.push((name, value)),
                _ => {}
            }
        }
        let is_whole = has_payload && fields.priority.is_some();
        (is_whole && !is_over(fields.expires_at, now)).then_some(fields)
    }

    /// What is shown of it.
    pub(super) fn into_view(self, now: UnixMillis) -> Option<TransactionView> {
        let marks: std::collections::HashMap<&[u8], &[u8]> = self
            .marks
            .iter()
            .map(|(name, value)| (name.get(2..).unwrap_or_default(), &**value))
            .collect();
        let states = tags(&self.queues)
            .filter_map(|tag| {
                let state = Mark::state(marks.get(tag.as_bytes()).copied(), now);
                Some((keys::queue_of_tag(tag)?, state))
            })
            .collect();
        Some(TransactionView {
            priority: self.priority?,
            expires_at: self.expires_at,
            record: Record {
                payload: self.payload,
                callback: self.callback,
                fields: self.further,
            },
            states,
        })
    }
}

/// Whether a transaction that ends at that second is over.
pub(super) fn is_over(expires_at: u32, now: UnixMillis) -> bool {
    u64::from(expires_at) * 1000 <= now.0
}

/// The tags of a list of queues.
pub(super) fn tags(queues: &[u8]) -> impl Iterator<Item = &str> {
    let text = str::from_utf8(queues).unwrap_or_default();
    text.split(' ').filter(|tag| !tag.is_empty())
}

/// The queues of a list of tags.
pub(super) fn queue_names(queues: &[u8]) -> Vec<QueueName> {
    tags(queues).filter_map(keys::queue_of_tag).collect()
}

/// A list of tags as it is written.
pub(super) fn join_tags<'tag>(tags: impl Iterator<Item = &'tag str>) -> String {
    let mut list = String::new();
    for tag in tags {
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(tag);
    }
    list
}

/// Further fields as they are written; empty for none.
pub(super) fn write_further(fields: &[(Box<str>, Box<str>)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    // Pairs of strings: there is nothing in them that JSON lacks.
    serde_json::to_string(fields).unwrap_or_default()
}

/// Reads a priority's letter.
pub(super) fn priority(letter: &[u8]) -> Option<Priority> {
    [Priority::High, Priority::Low]
        .into_iter()
        .find(|it| it.letter().as_bytes() == letter)
}

/// Reads a number.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
