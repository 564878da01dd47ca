//! A file with entries.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;

use super::entry::{self, Flaw, Taken};

/// How much of a segment is looked at at once when the log is opened.
const SCAN_BYTES: usize = 1 << 20;

/// Where a segment begins, and where what is known to be in it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub start: u64,
    pub end: u64,
}

/// Reads a part of a file that is there.
pub(super) fn read(file: &File, offset: u64, count: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

/// How much of the file, which has `length` bytes, is whole entries, and what is wrong after them.
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
                Ok(Taken::Short(needed)) => {
                    if sound == chunk_start {
                        wanted = needed;
                    }
                    break;
                }
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
