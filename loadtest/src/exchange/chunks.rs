//! A body in chunks.

use super::{ANSWER_BYTES_MAX, Malformed};

/// Puts the chunks at the front of `input` together in `body`. How many bytes they are, their end included; none
/// if they are not all there.
pub(super) fn decode(input: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Malformed> {
    body.clear();
    let mut at = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(Chunk { data, bytes }) = first(rest)? else {
            return Ok(None);
        };
        at += bytes;
        if data.is_empty() {
            return Ok(Some(at));
        }
        body.extend_from_slice(data);
    }
}

/// A chunk.
pub(super) struct Chunk<'a> {
    /// What is in it; nothing in the last one.
    pub(super) data: &'a [u8],
    /// Its length, its size and its end included.
    pub(super) bytes: usize,
}

/// The chunk at the front of `input`; none if it is not there in whole.
pub(super) fn first(input: &[u8]) -> Result<Option<Chunk<'_>>, Malformed> {
    let (at, size) = match httparse::parse_chunk_size(input) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::InvalidChunkSize) => return Err(Malformed::Chunk),
    };
    let rest = input.get(at..).unwrap_or_default();
    if size == 0 {
        return Ok(trailers(rest).map(|bytes| Chunk {
            data: &[],
            bytes: at + bytes,
        }));
    }
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= ANSWER_BYTES_MAX)
        .ok_or(Malformed::TooLong)?;
    let Some(data) = rest.get(..size) else {
        return Ok(None);
    };
    match rest.get(size..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(Some(Chunk {
            data,
            bytes: at + size + 2,
        })),
        [] | [b'\r'] => Ok(None),
        _ => Err(Malformed::Chunk),
    }
}

/// The bytes of the trailers at the front of `input`, their blank line included.
fn trailers(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = input.get(at..)?;
        let line_bytes = rest.windows(2).position(|two| two == b"\r\n")?;
        at += line_bytes + 2;
        if line_bytes == 0 {
            return Some(at);
        }
    }
}
