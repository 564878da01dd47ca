//! A file with entries.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use super::entry::{self, Flaw, Taken, WRONG_CHECKSUM};

/// How much of a segment is looked at at once when the log is opened.
const SCAN_BYTES: usize = 1 << 20;

/// How much is looked at first where an entry may be.
const PROBE_BYTES: usize = 4096;

/// What is wrong with a file that lacks what is known to be in it.
pub(super) const FILE_IS_SHORT: Flaw = "the file is shorter than it was";

/// Where a segment begins, and where what is known to be in it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub start: u64,
    pub end: u64,
}

/// Reads a part of a file, as much of it as there is.
pub(super) fn read(file: &File, offset: u64, count: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

/// Whether an entry is at `offset` of the file, which has `length` bytes: one that is corrupt before it can be passed
/// over by itself.
pub(super) fn has_entry_at(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    let remaining = length.saturating_sub(offset);
    let mut wanted = PROBE_BYTES;
    loop {
        let mut chunk = read(file, offset, clamp(remaining, wanted))?;
        match entry::take(&mut chunk, remaining) {
            Ok(Taken::Entry(_)) => return Ok(true),
            Ok(Taken::Short(needed)) if needed > wanted => wanted = needed,
            _ => return Ok(false),
        }
    }
}

/// Up to where there are entries in the file, which has `length` bytes, and what is wrong after them. Those that are
/// corrupt between others are left to the readers.
pub(super) fn scan(file: &File, length: u64) -> io::Result<(u64, Option<Flaw>)> {
    let mut sound = 0;
    let mut wanted = SCAN_BYTES;
    while sound < length {
        let chunk_start = sound;
        let count = clamp(length - sound, wanted);
        let mut chunk = read(file, sound, count)?;
        wanted = SCAN_BYTES;
        while sound < length {
            match entry::take(&mut chunk, length - sound) {
                Ok(Taken::Entry(bytes)) => sound += entry::size(&bytes) as u64,
                Ok(Taken::Corrupt(size)) => {
                    let next = sound + size as u64;
                    if !has_entry_at(file, next, length)? {
                        return Ok((sound, Some(WRONG_CHECKSUM)));
                    }
                    sound = next;
                }
                Ok(Taken::Short(_)) if sound > chunk_start => break,
                Ok(Taken::Short(needed)) if needed > count => {
                    wanted = needed;
                    break;
                }
                Ok(Taken::Short(_)) => return Ok((sound, Some(FILE_IS_SHORT))),
                Err(flaw) => return Ok((sound, Some(flaw))),
            }
        }
    }
    Ok((sound, None))
}

/// The lesser of both.
pub(super) fn clamp(remaining: u64, wanted: usize) -> usize {
    usize::try_from(remaining).map_or(wanted, |remaining| remaining.min(wanted))
}
