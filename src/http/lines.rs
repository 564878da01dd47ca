//! CRLF lines at the front of a buffer that grows.

use memchr::memchr;

use super::error::RequestError;

/// Goes through the lines at the front of a buffer and remembers how far it looked, so that a head which comes byte by
/// byte is looked at once and not once per byte.
///
/// The buffer may only grow between calls; what was looked at stays in it.
#[derive(Debug)]
pub(super) struct LineScan {
    looked_at: usize,
    line_start: usize,
}

impl LineScan {
    /// At the front of a buffer.
    pub(super) const fn new() -> Self {
        Self {
            looked_at: 0,
            line_start: 0,
        }
    }

    /// The next whole line, without its CRLF; `None` when it is not all there yet. The lines' bytes together may be
    /// `bytes_max`.
    pub(super) fn next_line<'a>(
        &mut self,
        input: &'a [u8],
        bytes_max: usize,
    ) -> Result<Option<&'a [u8]>, RequestError> {
        let allowed = input.get(..bytes_max).unwrap_or(input);
        // Out of range only if the buffer shrank, against the rule above: then there is nothing new to see.
        let fresh = allowed.get(self.looked_at..).unwrap_or_default();
        let Some(at) = memchr(b'\n', fresh) else {
            self.looked_at = allowed.len();
            return if input.len() >= bytes_max {
                Err(RequestError::HeadTooLarge)
            } else {
                Ok(None)
            };
        };
        let line_feed = self.looked_at + at;
        let line = allowed.get(self.line_start..line_feed).unwrap_or_default();
        self.looked_at = line_feed + 1;
        self.line_start = self.looked_at;
        // RFC 9112 lets a server take a bare LF; a proxy in front that does not would see another message.
        line.strip_suffix(b"\r")
            .map(Some)
            .ok_or(RequestError::BareLineFeed)
    }

    /// The bytes of all lines so far, their CRLFs included: where the next line starts.
    pub(super) fn lines_bytes(&self) -> usize {
        self.line_start
    }

    /// Whether nothing was looked at yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.looked_at == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_byte_by_byte_is_found_at_its_end() {
        let text = b"ab\r\n\r\n";
        let mut scan = LineScan::new();
        let mut lines = Vec::new();
        for end in 0..=text.len() {
            while let Some(line) = scan.next_line(&text[..end], 100).unwrap() {
                lines.push((end, line.to_vec()));
            }
        }
        assert_eq!(lines, [(4, b"ab".to_vec()), (6, Vec::new())]);
        assert_eq!(scan.lines_bytes(), 6);
    }

    #[test]
    fn the_limit_counts_the_line_ends() {
        let too_large = Err(RequestError::HeadTooLarge);
        assert_eq!(
            LineScan::new().next_line(b"ab\r\n", 4),
            Ok(Some(&b"ab"[..]))
        );
        assert_eq!(LineScan::new().next_line(b"abc\r\n", 4), too_large);
        assert_eq!(LineScan::new().next_line(b"abc\r", 4), too_large);
        assert_eq!(LineScan::new().next_line(b"abc", 4), Ok(None));
    }

    #[test]
    fn a_bare_line_feed_is_refused() {
        for text in [&b"ab\n"[..], b"\n", b"a\rb\n"] {
            let line = LineScan::new().next_line(text, 100);
            assert_eq!(line, Err(RequestError::BareLineFeed));
        }
    }
}
