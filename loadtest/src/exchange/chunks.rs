//! A body in chunks.

use super::{ANSWER_BYTES_MAX, Malformed};

/// Puts the chunks at the front of `input` together in `body`. How many bytes they are, their end included; none
/// if they are not all there.
pub(super) fn decode(input: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Malformed> {
    body.clear();
    let mut at = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let (line_bytes, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::InvalidChunkSize) => return Err(Malformed::Chunk),
        };
        at += line_bytes;
        if size == 0 {
            return Ok(trailers(input.get(at..).unwrap_or_default()).map(|bytes| at + bytes));
        }
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= ANSWER_BYTES_MAX)
            .ok_or(Malformed::TooLong)?;
        let Some(chunk) = input.get(at..at + size) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        at += size;
        match input.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(Malformed::Chunk),
        }
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
