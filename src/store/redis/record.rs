//! A transaction's record: one string, so that one command writes it whole.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | second of its end; the key expires then |
//! | 4 | length of the payload |
//! | 1 | priority, `H` or `L` |
//! | 1 | 1 while it is held back |
//! | 8 | milliseconds of its delay's end, 0 if it has none |
//! | 8 | the number behind which it stands in `pb:delayed` |
//! | 4 | length of the list of its queues |
//! | 4 | length of its callback; the largest number if it has none |
//! | 4 | length of its further fields |
//! | | payload; tags of its queues, in the order of the push, a space between each two; callback; further fields |
//!
//! Further fields, if there are any, are a JSON list of pairs. Numbers are whole, and have their high bytes first;
//! those of eight bytes are floating, as servers' functions have them.

use std::{collections::HashMap, str};

use bytes::Bytes;

use super::{keys, reader::Reader};
use crate::mailbox::{
    Priority, QueueName, Record, State, TransactionId, TransactionView, UnixMillis,
};

/// What is noted of a message beside its record. A queue tells what became of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its consumer has acked it while it was held back.
    Delivered,
    /// It was given up when it was dead.
    Purged,
}

impl Mark {
    /// As the function takes it.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Delivered => "H",
            Self::Purged => "E",
        }
    }

    /// Reads what a server has.
    fn read(value: &[u8]) -> Option<Self> {
        match value {
            b"D" => Some(Self::Delivered),
            b"E" => Some(Self::Purged),
            _ => None,
        }
    }
}

/// The notes on a transaction's messages, by the tags of queues.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<Bytes, Mark>);

impl Notes {
    /// Reads tags and what is noted.
    pub(super) fn read(pairs: impl Iterator<Item = (Bytes, Bytes)>) -> Self {
        let read = |(tag, value): (Bytes, Bytes)| Some((tag, Mark::read(&value)?));
        Self(pairs.filter_map(read).collect())
    }

    /// The note on the message in a queue.
    pub(super) fn of(&self, tag: &str) -> Option<Mark> {
        self.0.get(tag.as_bytes()).copied()
    }
}

/// Bytes in front of the payload.
pub(super) const HEAD_BYTES: usize = 38;

/// The length of a callback that is none.
const NONE: u32 = u32::MAX;

/// What stands in front of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) expires_at: u32,
    pub(super) payload_bytes: u32,
    pub(super) priority: Priority,
    pub(super) is_held_back: bool,
    /// When its delay ends, if it has one.
    pub(super) due: Option<UnixMillis>,
    /// Its number among those that are held back.
    hold: u64,
    queues_bytes: u32,
    /// `NONE` for none.
    callback_bytes: u32,
    further_bytes: u32,
}

impl Head {
    /// Reads the beginning of a record.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            expires_at: u32::from_be_bytes(reader.array()?),
            payload_bytes: u32::from_be_bytes(reader.array()?),
            priority: priority(reader.array()?)?,
            is_held_back: reader.array()? == [1],
            due: Some(UnixMillis(reader.whole()?)).filter(|it| it.0 > 0),
            hold: reader.whole()?,
            queues_bytes: u32::from_be_bytes(reader.array()?),
            callback_bytes: u32::from_be_bytes(reader.array()?),
            further_bytes: u32::from_be_bytes(reader.array()?),
        })
    }

    /// Where in the record its callback begins and where that ends, if there is one.
    pub(super) fn callback(&self) -> Option<(u64, u64)> {
        if matches!(self.callback_bytes, 0 | NONE) {
            return None;
        }
        let before = [self.payload_bytes, self.queues_bytes].map(u64::from);
        let from = HEAD_BYTES as u64 + before.iter().sum::<u64>();
        Some((from, from + u64::from(self.callback_bytes)))
    }

    /// What stands for it in `pb:delayed`.
    pub(super) fn member(&self, id: TransactionId) -> String {
        format!("{:016}{id}", self.hold)
    }
}

/// A record's parts as they are read.
#[derive(Debug)]
pub(super) struct Parts {
    head: Head,
    record: Record,
}

impl Parts {
    /// Reads a record; none where it is not whole, or over.
    pub(super) fn read(record: &Bytes, now: UnixMillis) -> Option<Self> {
        let mut reader = Reader::new(record);
        let head = Head::read(&mut reader)?;
        let mut part = |length: u32| reader.bytes(usize::try_from(length).ok()?);
        let payload = part(head.payload_bytes)?;
        part(head.queues_bytes)?;
        let callback = match head.callback_bytes {
            NONE => None,
            length => Some(str::from_utf8(&part(length)?).ok()?.into()),
        };
        let further = part(head.further_bytes)?;
        let fields = match &further[..] {
            b"" => Vec::new(),
            text => serde_json::from_slice(text).ok()?,
        };
        let record = Record {
            payload,
            callback,
            fields,
        };
        (!is_over(head.expires_at, now)).then_some(Self { head, record })
    }

    /// What is shown of it, with the states of its messages.
    pub(super) fn into_view(self, states: Vec<(QueueName, State)>) -> TransactionView {
        TransactionView {
            priority: self.head.priority,
            expires_at: self.head.expires_at,
            record: self.record,
            states,
        }
    }
}

/// A transaction whose record is to be written.
pub(super) struct Creation<'push> {
    pub(super) id: TransactionId,
    pub(super) priority: Priority,
    pub(super) expires_at: u32,
    /// When its delay ends, if it is held back.
    pub(super) due: Option<UnixMillis>,
    /// A list of tags.
    pub(super) queues: &'push str,
    pub(super) record: &'push Record,
}

impl Creation<'_> {
    /// The record as it is kept; its number among those that are held back is for the server to give.
    pub(super) fn write(&self) -> Vec<u8> {
        let further = write_further(&self.record.fields);
        let callback = self.record.callback.as_deref();
        let payload = &self.record.payload;
        let length = HEAD_BYTES
            + payload.len()
            + self.queues.len()
            + callback.map_or(0, str::len)
            + further.len();
        let mut text = Vec::with_capacity(length);
        text.extend(self.expires_at.to_be_bytes());
        text.extend(length_of(payload));
        text.extend(self.priority.letter().as_bytes());
        text.push(u8::from(self.due.is_some()));
        text.extend(whole(self.due.map_or(0, |due| due.0)));
        text.extend(whole(0));
        text.extend(length_of(self.queues.as_bytes()));
        text.extend(callback.map_or(NONE.to_be_bytes(), |it| length_of(it.as_bytes())));
        text.extend(length_of(further.as_bytes()));
        text.extend(&payload[..]);
        text.extend(self.queues.as_bytes());
        text.extend(callback.unwrap_or_default().as_bytes());
        text.extend(further.as_bytes());
        text
    }
}

/// The length of a part. None is longer than a request may be, which is less than four gigabytes.
fn length_of(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(NONE - 1).to_be_bytes()
}

/// A whole number as functions take it, which know no others than of this kind.
#[expect(
    clippy::cast_precision_loss,
    reason = "what it is used for is below what is exact there"
)]
pub(super) fn whole(number: u64) -> [u8; 8] {
    (number as f64).to_be_bytes()
}

fn priority(letter: [u8; 1]) -> Option<Priority> {
    [Priority::High, Priority::Low]
        .into_iter()
        .find(|it| it.letter().as_bytes() == letter)
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
fn write_further(fields: &[(Box<str>, Box<str>)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    // Pairs of strings: there is nothing in them that JSON lacks.
    serde_json::to_string(fields).unwrap_or_default()
}

/// Reads a number.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
