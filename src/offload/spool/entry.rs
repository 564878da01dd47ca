//! An entry as it is in a segment; the format is described in [`super`].

use bytes::{Buf, Bytes};

use super::ENTRY_BYTES_MAX;

/// What stands before the bytes of an entry.
pub(super) const HEADER_BYTES: usize = 8;

/// What is wrong with the bytes where an entry should be.
pub(super) type Flaw = &'static str;

/// What is wrong with an entry that is [`Taken::Corrupt`].
pub(super) const WRONG_CHECKSUM: Flaw = "the checksum of an entry is wrong";

/// What [`take`] found.
pub(super) enum Taken {
    /// An entry, which is no longer in the chunk.
    Entry(Bytes),
    /// One that takes this many bytes and has a wrong checksum. If its length is right, the chunk goes on after it.
    Corrupt(usize),
    /// The beginning of one that takes this many bytes, or of a header.
    Short(usize),
}

/// How many bytes of a segment an entry takes.
pub(super) fn size(bytes: &[u8]) -> usize {
    HEADER_BYTES + bytes.len()
}

/// Puts an entry, of at most [`ENTRY_BYTES_MAX`], at the end of `buffer`.
pub(super) fn encode(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&checksum(length, bytes));
    buffer.extend_from_slice(bytes);
}

fn checksum(length: [u8; 4], bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

/// Takes an entry off the front of a chunk of a segment that has `remaining` bytes from there on.
pub(super) fn take(chunk: &mut Bytes, remaining: u64) -> Result<Taken, Flaw> {
    let is_cut = |size: usize| remaining < size as u64;
    if is_cut(HEADER_BYTES) {
        return Err("the header of an entry is cut off");
    }
    let Some((header, rest)) = chunk.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Taken::Short(HEADER_BYTES));
    };
    let [l0, l1, l2, l3, checksum_found @ ..] = *header;
    let length = [l0, l1, l2, l3];
    let count = u32::from_le_bytes(length) as usize;
    if count > ENTRY_BYTES_MAX {
        return Err("the length of an entry is damaged");
    }
    if is_cut(HEADER_BYTES + count) {
        return Err("an entry is cut off, or its length is damaged");
    }
    let Some(bytes) = rest.get(..count) else {
        return Ok(Taken::Short(HEADER_BYTES + count));
    };
    let is_corrupt = checksum(length, bytes) != checksum_found;
    chunk.advance(HEADER_BYTES);
    if is_corrupt {
        chunk.advance(count);
        return Ok(Taken::Corrupt(HEADER_BYTES + count));
    }
    Ok(Taken::Entry(chunk.split_to(count)))
}
