//! Chunks to a body.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::body::BodyBuffer;
use super::decoder::Limits;
use super::error::RequestError;
use super::head::check_trailers;
use super::lines::LineScan;

/// Where in a chunked body the next byte belongs.
#[derive(Debug)]
pub(super) struct ChunkedDecoder {
    part: Part,
    /// Bytes of extensions and trailers that may still come. Nobody reads them, so they get no more than a head does
    /// in all.
    spare_bytes: usize,
    limits: Limits,
}

/// A size line longer than this, with its extensions and CRLF, is refused.
const SIZE_LINE_BYTES_MAX: usize = 256;

#[derive(Debug)]
enum Part {
    /// A chunk's size line.
    Size,
    /// That many bytes of a chunk, at least one.
    Data(usize),
    /// The CRLF after a chunk.
    DataEnd,
    /// The trailers, up to their blank line.
    Trailers(LineScan),
}

impl ChunkedDecoder {
    /// At the front of a body.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            part: Part::Size,
            spare_bytes: limits.head_bytes_max,
            limits,
        }
    }

    /// Moves what it can from `input` to `body`; true at the body's end.
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        body: &mut BodyBuffer,
    ) -> Result<bool, RequestError> {
        loop {
            match &mut self.part {
                Part::Size => {
                    let Some(line) = size_line(input)? else {
                        return Ok(false);
                    };
                    let (size, extension) = parse_size_line(line)?;
                    self.spare_bytes = self
                        .spare_bytes
                        .checked_sub(extension.len())
                        .ok_or(RequestError::Chunk)?;
                    input.advance(line.len() + 2); // the line and its CRLF are in `input`
                    self.part = match self.fitting(size, body.len())? {
                        0 => Part::Trailers(LineScan::new()),
                        size => Part::Data(size),
                    };
                }
                Part::Data(left) => {
                    body.take_from(input, left);
                    if *left > 0 {
                        return Ok(false);
                    }
                    self.part = Part::DataEnd;
                }
                Part::DataEnd => match **input {
                    [] | [b'\r'] => return Ok(false),
                    [b'\r', b'\n', ..] => {
                        input.advance(2); // just seen
                        self.part = Part::Size;
                    }
                    _ => return Err(RequestError::Chunk),
                },
                Part::Trailers(scan) => {
                    // The blank line is no trailer: there is always room for it.
                    let bytes_max = self.spare_bytes.saturating_add(2);
                    let Some(line) = scan.next_line(input, bytes_max)? else {
                        return Ok(false);
                    };
                    if line.is_empty() {
                        let trailers = input.split_to(scan.lines_bytes()); // the lines are in `input`
                        check_trailers(&trailers)?;
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The size of a chunk, if the body stays within the limit with it.
    fn fitting(&self, size: u64, body_bytes: usize) -> Result<usize, RequestError> {
        let bytes_max = self.limits.body_bytes_max;
        let left = bytes_max.saturating_sub(body_bytes);
        usize::try_from(size)
            .ok()
            .filter(|size| *size <= left)
            .ok_or(RequestError::BodyTooLarge { bytes_max })
    }
}

/// The size line at the front of `input` without its CRLF, if it is all there.
fn size_line(input: &[u8]) -> Result<Option<&[u8]>, RequestError> {
    // At most 256 bytes are looked at again for each call, so there is no place to remember.
    let allowed = input.get(..SIZE_LINE_BYTES_MAX).unwrap_or(input);
    let line = memchr(b'\n', allowed).and_then(|line_feed| allowed.get(..line_feed));
    match line {
        Some(line) => line
            .strip_suffix(b"\r")
            .map(Some)
            .ok_or(RequestError::Chunk),
        None if input.len() >= SIZE_LINE_BYTES_MAX => Err(RequestError::Chunk),
        None if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => {
            Err(RequestError::Chunk)
        }
        None => Ok(None),
    }
}

/// The size, and what stands behind it: space, and extensions from a `;` on.
fn parse_size_line(line: &[u8]) -> Result<(u64, &[u8]), RequestError> {
    let digits_end = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extension) = line.split_at(digits_end); // found in it, or its length
    // Sixteen digits are what a u64 holds. More would be zeros, which nobody needs.
    if digits.is_empty() || digits.len() > 16 {
        return Err(RequestError::Chunk);
    }
    let size = digits.iter().fold(0, |size, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10, // a hexadecimal digit: seen above
        };
        (size << 4) | u64::from(digit)
    });
    let is_extension = matches!(extension.trim_ascii_start().first(), None | Some(b';'));
    let is_text = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if is_extension && extension.iter().all(is_text) {
        Ok((size, extension))
    } else {
        Err(RequestError::Chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_lines() {
        assert_eq!(parse_size_line(b"0"), Ok((0, &b""[..])));
        assert_eq!(parse_size_line(b"aF"), Ok((0xaf, &b""[..])));
        assert_eq!(parse_size_line(b"5;a=\"b;c\""), Ok((5, &b";a=\"b;c\""[..])));
        assert_eq!(parse_size_line(b"5 ; a"), Ok((5, &b" ; a"[..])));
        assert_eq!(parse_size_line(b"5  "), Ok((5, &b"  "[..])));
        assert_eq!(
            parse_size_line(b"ffffffffffffffff"),
            Ok((u64::MAX, &b""[..]))
        );
        for bad in [
            "",
            " 5",
            "-5",
            "+5",
            "0x5",
            "g",
            ";a",
            "5 5",
            "5a a",
            "5;a\rb",
            "5;\0",
            "5\r",
            "10000000000000000",
            "00000000000000005",
            "5,6",
            "5\u{c};a",
            "5_0",
        ] {
            assert_eq!(
                parse_size_line(bad.as_bytes()),
                Err(RequestError::Chunk),
                "{bad}"
            );
        }
    }
}
