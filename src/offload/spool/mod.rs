//! A log on disk between those who tell of events and those who take their time with them.
//!
//! One [`Writer`] appends entries; each [`Reader`] reads them at its own speed, and says how far it is done. What all
//! readers are done with is deleted. A reader gets again, after a restart, what it had not said to be done with. The
//! log knows nothing of what is in an entry.
//!
//! It is a folder of its own:
//!
//! | file              | what                                                                          |
//! |-------------------|-------------------------------------------------------------------------------|
//! | `LOCK`            | locked by the process that uses the folder                                    |
//! | `FORMAT`          | the version of all this, and the random id of the log; a line of text         |
//! | `<position>.log`  | a segment: the entries from that position (20 digits) on                      |
//! | `<reader>.cursor` | how far a reader is done: id of the log (8), position (8), CRC-32 of both (4) |
//! | `*.new`           | a file that is being written, to be renamed when it is whole                  |
//!
//! An entry is:
//!
//! | bytes | what                               |
//! |-------|------------------------------------|
//! | 4     | length of the bytes                |
//! | 4     | CRC-32 of the length and the bytes |
//! | …     | the bytes                          |
//!
//! Numbers are little-endian. A [`Position`] within a segment is that of the segment and the bytes since its
//! beginning. Zeros are no entry: their CRC would be another. One with a wrong CRC is passed over by itself if another
//! one follows it; else its length may be wrong, and what is behind it in the segment is passed over, too.
//!
//! Each opening begins a segment, [`REOPENING_GAP`] after all that is known. When the machine has died, the log may
//! lack what readers got; the positions of that are never given again, so that they can be told from what comes.
//!
//! When the machine dies, what was not synced may be lost; when the process is killed, only what was not flushed.

mod cursor;
mod entry;
mod error;
mod folder;
mod log;
mod opening;
mod reader;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use bytes::Bytes;

pub(crate) use error::AppendError;
pub use error::OpenError;
pub(crate) use opening::open;
pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

/// The longest entry.
pub(crate) const ENTRY_BYTES_MAX: usize = 16 << 20;

/// How far a segment that an opening begins is from all before it: more than can be lost with the machine.
const REOPENING_GAP: u64 = 1 << 40;

/// Where in the log an entry stands: bytes since its beginning; grows for ever. There are gaps, so that the distance
/// of two positions is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position(pub u64);

/// What was appended at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins.
    pub position: Position,
    /// Where it ends, and the next one begins if it is in the same segment.
    pub end: Position,
    /// What was appended.
    pub bytes: Bytes,
}

/// How large the log may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// All segments together.
    pub bytes_max: u64,
    /// A segment that would be longer is followed by another; only a single entry may be longer.
    pub segment_bytes: u64,
}
