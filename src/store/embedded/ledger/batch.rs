//! A batch as it is in the journal: a header and the writes.
//!
//! | bytes | what                                                            |
//! |-------|-----------------------------------------------------------------|
//! | 8     | the [`Magic`] of the store                                      |
//! | 8     | number of the batch                                             |
//! | 8     | number of the last batch known to be on the disk at that moment |
//! | 8     | length of the writes                                            |
//! | 4     | CRC-32 of all the above and of the writes                       |
//! | …     | the writes                                                      |
//!
//! A write is the code of its table (1), the length of its key (4), the length of its value (4, all ones for a
//! removal), key and value. Numbers are little-endian.

use bytes::Bytes;

use super::Write;
use super::error::WriteError;
use super::key::Key;
use super::table::Table;

/// What every batch of a store begins with. It is drawn by lot for each store and never leaves it: a client who
/// pushes bytes that look like a batch cannot make them one of this store's.
pub(super) type Magic = [u8; 8];

/// Length of a header.
pub(super) const HEADER_BYTES: usize = 36;

/// Place of the checksum in the header, and what is checked before it.
const CHECKSUM_OFFSET: usize = 32;

/// Keys and values may be as long as this: redb takes values of up to 3 GiB.
const PART_BYTES_MAX: usize = 1 << 30;

/// The length that stands for a removal.
const REMOVAL: u32 = u32::MAX;

/// A batch found in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    /// Its number.
    pub number: u64,
    /// The last batch that was known to be on the disk when this one was written.
    pub synced: u64,
    /// The writes.
    pub body: &'a [u8],
}

/// Puts a batch at the end of `buffer`.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    magic: Magic,
    number: u64,
    synced: u64,
    writes: &[Write],
) -> Result<(), WriteError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    for write in writes {
        buffer.push(write.table.code());
        let key = write.key.as_slice();
        buffer.extend_from_slice(&length(key)?.to_le_bytes());
        let value = write.value.as_deref();
        buffer.extend_from_slice(&value.map_or(Ok(REMOVAL), length)?.to_le_bytes());
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(value.unwrap_or_default());
    }
    let body_length = (buffer.len() - start - HEADER_BYTES) as u64;
    let mut header = [0; CHECKSUM_OFFSET];
    let fields = [
        magic,
        number.to_le_bytes(),
        synced.to_le_bytes(),
        body_length.to_le_bytes(),
    ];
    for (place, field) in header.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field);
    }
    let (place, body) = buffer[start..].split_at_mut(HEADER_BYTES);
    place[..CHECKSUM_OFFSET].copy_from_slice(&header);
    place[CHECKSUM_OFFSET..].copy_from_slice(&checksum(&header, body).to_le_bytes());
    Ok(())
}

fn length(part: &[u8]) -> Result<u32, WriteError> {
    u32::try_from(part.len())
        .ok()
        .filter(|_| part.len() <= PART_BYTES_MAX)
        .ok_or(WriteError::TooLarge(part.len()))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

/// The batch that `contents` begins with, or why there is none.
pub(super) fn parse(contents: &[u8], magic: Magic) -> Result<Batch<'_>, &'static str> {
    let (header, rest) = contents
        .split_at_checked(HEADER_BYTES)
        .ok_or("the header of a batch is cut off")?;
    let (checked, sum) = header.split_at(CHECKSUM_OFFSET);
    let mut fields = [[0; 8]; 4];
    for (field, bytes) in fields.iter_mut().zip(checked.chunks_exact(8)) {
        field.copy_from_slice(bytes);
    }
    let [found, number, synced, length] = fields;
    if found != magic {
        return Err("no batch of this store begins here");
    }
    let body = usize::try_from(u64::from_le_bytes(length))
        .ok()
        .and_then(|length| rest.get(..length))
        .ok_or("a batch is cut off, or its length is damaged")?;
    if checksum(checked, body).to_le_bytes() != *sum {
        return Err("the checksum of a batch is wrong");
    }
    Ok(Batch {
        number: u64::from_le_bytes(number),
        synced: u64::from_le_bytes(synced),
        body,
    })
}

/// Takes one write off the front of the writes of a batch. The values hold on to the memory of `body`.
pub(super) fn take_write(body: &mut Bytes) -> Option<Write> {
    let (code, rest) = body.split_first_chunk::<1>()?;
    let (key_length, rest) = rest.split_first_chunk()?;
    let (value_length, rest) = rest.split_first_chunk()?;
    let table = Table::of_code(code[0])?;
    let key_length = usize::try_from(u32::from_le_bytes(*key_length)).ok()?;
    let value_length = u32::from_le_bytes(*value_length);
    let (key, rest) = rest.split_at_checked(key_length)?;
    let key = Key::from(key);
    let rest_start = body.len() - rest.len();
    let (value, value_length) = if value_length == REMOVAL {
        (None, 0)
    } else {
        let value_length = usize::try_from(value_length).ok()?;
        rest.get(..value_length)?;
        let value = body.slice(rest_start..rest_start + value_length);
        (Some(value), value_length)
    };
    *body = body.split_off(rest_start + value_length);
    Some(Write { table, key, value })
}
