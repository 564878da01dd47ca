//! Where a request's body ends.

use super::error::RequestError;
use super::request::Version;

/// How the body that follows a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// That many bytes; none, if nothing was said.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Gathers the headers that say where the body ends. Two servers that read these differently are how requests are
/// smuggled, so whatever is not plain is refused.
#[derive(Debug, Default)]
pub(super) struct FramingHeaders<'a> {
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
}

impl<'a> FramingHeaders<'a> {
    /// A `Content-Length`. A second one is refused even if it says the same, as RFC 9112 allows.
    pub(super) fn content_length(&mut self, value: &'a [u8]) -> Result<(), RequestError> {
        match self.content_length.replace(value) {
            None => Ok(()),
            Some(_) => Err(RequestError::ContentLength),
        }
    }

    /// A `Transfer-Encoding`.
    pub(super) fn transfer_encoding(&mut self, value: &'a [u8]) -> Result<(), RequestError> {
        match self.transfer_encoding.replace(value) {
            None => Ok(()),
            Some(_) => Err(RequestError::TransferEncoding),
        }
    }

    /// What they say together.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, RequestError> {
        match (self.content_length, self.transfer_encoding) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(length), None) => parse_length(length).map(Framing::Length),
            (Some(_), Some(_)) => Err(RequestError::ContentLengthAndTransferEncoding),
            // HTTP/1.0 has no transfer encodings: a proxy that speaks it would have sent the head on and the body not.
            (None, Some(_)) if version == Version::Http10 => Err(RequestError::TransferEncoding),
            (None, Some(encoding)) => check_encoding(encoding).map(|()| Framing::Chunked),
        }
    }
}

/// Digits and nothing else: no sign, no list, no space within.
fn parse_length(value: &[u8]) -> Result<u64, RequestError> {
    if value.is_empty() {
        return Err(RequestError::ContentLength);
    }
    value
        .iter()
        .try_fold(0u64, |length, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(RequestError::ContentLength)
}

/// `chunked` alone. A list that ends in one `chunked` has an end that could be found: that is merely not supported.
fn check_encoding(value: &[u8]) -> Result<(), RequestError> {
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(());
    }
    let mut codings = value.rsplit(|&byte| byte == b',');
    let last_is_chunked = codings.next().is_some_and(is_chunked);
    if last_is_chunked
        && codings.all(|coding| !coding.trim_ascii().is_empty() && !is_chunked(coding))
    {
        Err(RequestError::TransferEncodingUnsupported)
    } else {
        Err(RequestError::TransferEncoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(parse_length(b"0"), Ok(0));
        assert_eq!(parse_length(b"0012"), Ok(12));
        assert_eq!(parse_length(b"18446744073709551615"), Ok(u64::MAX));
        for bad in [
            "",
            "+5",
            "-5",
            "5 5",
            "5,5",
            "5, 5",
            "0x5",
            "5.0",
            "5a",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(
                parse_length(bad.as_bytes()),
                Err(RequestError::ContentLength),
                "{bad}"
            );
        }
    }

    #[test]
    fn encodings() {
        for good in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(check_encoding(good.as_bytes()), Ok(()));
        }
        for unsupported in ["gzip, chunked", "gzip,deflate , chunked"] {
            let error = Err(RequestError::TransferEncodingUnsupported);
            assert_eq!(
                check_encoding(unsupported.as_bytes()),
                error,
                "{unsupported}"
            );
        }
        for bad in [
            "",
            "identity",
            "gzip",
            "chunked, gzip",
            "chunked, chunked",
            "xchunked",
            "chunked;q=1",
            ", chunked",
            "chunked,",
            "\"chunked\"",
            "chun ked",
        ] {
            let error = Err(RequestError::TransferEncoding);
            assert_eq!(check_encoding(bad.as_bytes()), error, "{bad}");
        }
    }
}
