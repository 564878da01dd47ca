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
//! | `s:<tag>` | what became of it in that queue: `D`, delivered; `E`, given up when it was dead |

use std::{collections::HashMap, str};

use bytes::Bytes;

use super::keys;
use crate::mailbox::{Priority, QueueName, Record, State, TransactionView, UnixMillis};

/// What is noted of a message in its record. A queue that does not have it any more tells as much of most, so it does
/// no harm if a note is late or does not come: but a transaction that is pushed again is not to come to a queue twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its consumer has it.
    Delivered,
    /// The same, if it is still held back; nothing else.
    DeliveredEarly,
    /// It was given up when it was dead.
    Purged,
}

impl Mark {
    /// The field that holds a queue's mark.
    pub(super) fn field(tag: &str) -> String {
        format!("s:{tag}")
    }

    /// As the script takes it.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Delivered => "D",
            Self::DeliveredEarly => "H",
            Self::Purged => "E",
        }
    }

    /// Reads what a record has.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        match value {
            b"D" => Some(Self::Delivered),
            b"E" => Some(Self::Purged),
            _ => None,
        }
    }
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

    /// The mark of each of so many queues.
    pub(super) fn marks(&self, tags: &[&str]) -> Vec<Option<Mark>> {
        let marks: HashMap<&[u8], &[u8]> = self
            .marks
            .iter()
            .map(|(name, value)| (name.get(2..).unwrap_or_default(), &**value))
            .collect();
        let mark = |tag: &&str| Mark::read(marks.get(tag.as_bytes())?);
        tags.iter().map(mark).collect()
    }

    /// What is shown of it, with the states of its messages.
    pub(super) fn into_view(self, states: Vec<(QueueName, State)>) -> Option<TransactionView> {
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
