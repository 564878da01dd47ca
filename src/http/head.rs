//! A complete head to a request that still lacks its body.

use std::mem::MaybeUninit;

use bytes::Bytes;

use super::error::RequestError;
use super::framing::{Framing, FramingHeaders};
use super::host::is_host;
use super::request::{Method, NameMarks, Piece, Request, Version};
use super::target::{Target, split_target};

/// A head that was understood.
#[derive(Debug)]
pub(super) struct Head {
    /// With an empty body.
    pub(super) request: Request,
    /// Where its body ends.
    pub(super) framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// A head or trailers with more than this are refused. Sixteen is usual; a proxy adds a few.
pub(super) const HEADERS_MAX: usize = 100;

/// Whether a request can begin with this byte. What speaks TLS or nonsense is told so at its first byte.
pub(super) fn can_begin_request(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Looks at the version alone, so that the first line is enough to refuse HTTP/2, HTTP/0.9 and what is no HTTP at all.
pub(super) fn check_request_line(line: &[u8]) -> Result<(), RequestError> {
    let (_, version) = memchr::memrchr(b' ', line)
        .and_then(|space| line.split_at_checked(space))
        .ok_or(RequestError::RequestLine)?;
    match version {
        b" HTTP/1.1" | b" HTTP/1.0" => Ok(()),
        [b' ', b'H', b'T', b'T', b'P', b'/', major, rest @ ..]
            if major.is_ascii_digit()
                && matches!(rest, [] | [b'.', _])
                && rest.last().is_none_or(u8::is_ascii_digit) =>
        {
            Err(RequestError::Version)
        }
        _ => Err(RequestError::RequestLine),
    }
}

/// Parses a head that is all there, from the request line to the blank line, every line ended by CRLF.
///
/// The table of headers lives on this function's stack, and not in whatever awaits the rest of the request.
pub(super) fn parse_head(head: &Bytes) -> Result<Head, RequestError> {
    let mut table = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(head, &mut table)
        .map_err(refine)?;
    let (Some(method), Some(raw_target), Some(version)) =
        (parsed.method, parsed.path, parsed.version)
    else {
        return Err(RequestError::RequestLine);
    };
    // The blank line that we found must be the one that httparse found.
    if status != httparse::Status::Complete(head.len()) {
        return Err(RequestError::Header);
    }
    let version = match version {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let (target_host, target) = split_target(raw_target)?;
    let fields = Fields::gather(parsed.headers)?;
    let host = fields.host(version)?;
    // RFC 9112, 3.2.2: a host in the target is stronger than the header.
    let host = target_host.map_or(host, str::as_bytes);
    Ok(Head {
        framing: fields.framing.framing(version)?,
        expects_continue: fields.expects_continue(version)?,
        request: Request {
            method: Method::from_name(method),
            version,
            // `slice_ref` panics for what is not a piece of `head`; httparse copies nothing, so these are.
            target: Target::new(head.slice_ref(target.as_bytes())),
            host: Piece::of(head, host),
            content_type: Piece::of(head, fields.content_type.unwrap_or_default()),
            names: fields.names,
            keep_alive: fields.keep_alive(version),
            body: Bytes::new(),
            head: head.clone(),
        },
    })
}

/// Checks trailers that are all there, blank line included; nobody reads them.
pub(super) fn check_trailers(trailers: &[u8]) -> Result<(), RequestError> {
    let mut table = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(trailers, &mut table).map_err(refine)? {
        httparse::Status::Complete((length, _)) if length == trailers.len() => Ok(()),
        _ => Err(RequestError::Header),
    }
}

/// The headers that decide how the request is read; the others are looked up when somebody asks.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    names: NameMarks,
    framing: FramingHeaders<'a>,
    close: bool,
    keep_alive: bool,
    expectation: Expectation,
}

/// What `Expect` asks, the strangest of its members.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Expectation {
    #[default]
    Nothing,
    Continue,
    Other,
}

impl<'a> Fields<'a> {
    fn gather(headers: &[httparse::Header<'a>]) -> Result<Self, RequestError> {
        let mut fields = Self::default();
        for header in headers {
            fields.names.note(header.name);
            let (is, value) = (|name| header.name.eq_ignore_ascii_case(name), header.value);
            if is("host") {
                if fields.host.replace(value).is_some() {
                    return Err(RequestError::HostRepeated);
                }
            } else if is("content-type") {
                if fields.content_type.is_none() && std::str::from_utf8(value).is_ok() {
                    fields.content_type = Some(value.trim_ascii());
                }
            } else if is("content-length") {
                fields.framing.content_length(value)?;
            } else if is("transfer-encoding") {
                fields.framing.transfer_encoding(value)?;
            } else if is("connection") {
                for token in tokens(value) {
                    fields.close |= token.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if is("expect") {
                for token in tokens(value) {
                    let expectation = if token.eq_ignore_ascii_case(b"100-continue") {
                        Expectation::Continue
                    } else {
                        Expectation::Other
                    };
                    fields.expectation = fields.expectation.max(expectation);
                }
            }
        }
        Ok(fields)
    }

    /// May be empty: so says a client that knows no name for the server.
    fn host(&self, version: Version) -> Result<&'a [u8], RequestError> {
        match self.host {
            None if version == Version::Http11 => Err(RequestError::HostMissing),
            None => Ok(b""),
            Some(host) if host.is_empty() || is_host(host) => Ok(host),
            Some(_) => Err(RequestError::Host),
        }
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (self.keep_alive || version == Version::Http11)
    }

    /// HTTP/1.0 has no expectations: a client of that version could not read `100 Continue`.
    fn expects_continue(&self, version: Version) -> Result<bool, RequestError> {
        match (version, self.expectation) {
            (Version::Http10, _) | (_, Expectation::Nothing) => Ok(false),
            (Version::Http11, Expectation::Continue) => Ok(true),
            (Version::Http11, Expectation::Other) => Err(RequestError::Expectation),
        }
    }
}

/// The members of a comma list.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = value.split(|&byte| byte == b',');
    members
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn refine(error: httparse::Error) -> RequestError {
    match error {
        httparse::Error::TooManyHeaders => RequestError::TooManyHeaders {
            headers_max: HEADERS_MAX,
        },
        httparse::Error::Token | httparse::Error::Status | httparse::Error::Version => {
            RequestError::RequestLine
        }
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            RequestError::Header
        }
    }
}
