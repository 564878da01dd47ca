//! One request, whole.

use std::fmt;

use bytes::Bytes;

use super::target::Target;

/// What a request asks to be done. Methods are case-sensitive: `get` is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: as GET, answered without the body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other: there is no route for it, so its name does not matter.
    Other,
}

/// The version of HTTP that the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: no chunks, and the connection is closed unless it asked otherwise.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request, head and body.
///
/// It holds on to the buffer that it was read into. Whoever waits for long copies what it needs (mostly [`Self::host`])
/// and drops the request.
#[derive(Clone)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// What the client speaks.
    pub version: Version,
    /// With what.
    pub target: Target,
    /// Whether the client wants the connection kept after the answer.
    pub keep_alive: bool,
    /// The body, decoded from its chunks; empty if there was none.
    pub body: Bytes,
    /// The whole head, checked: the request line, header lines, and the blank line, each ended by CRLF.
    pub(super) head: Bytes,
    /// Checked to be a host; empty if none was named.
    pub(super) host: Piece,
    /// What the client calls the body, which every push is asked for; empty if it does not say.
    pub(super) content_type: Piece,
    /// What names of headers the head may have.
    pub(super) names: NameMarks,
}

/// Where in a head something is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    /// Where in `head` its own `piece` is. No piece of it is an empty one.
    pub(super) fn of(head: &[u8], piece: &[u8]) -> Self {
        let start = piece.as_ptr().addr().checked_sub(head.as_ptr().addr());
        let bounds = start.and_then(|start| {
            let end = start + piece.len();
            Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?))
        });
        bounds.map_or_else(Self::default, |(start, end)| Self { start, end })
    }

    fn within(self, head: &[u8]) -> &[u8] {
        let bounds = self.start as usize..self.end as usize;
        head.get(bounds).unwrap_or_default()
    }
}

/// Marks of the names of a head's headers. Most that are looked for are not there, and so need no look at the head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameMarks(u64);

impl NameMarks {
    /// Marks a name, in any case.
    pub(super) fn note(&mut self, name: &str) {
        self.0 |= Self::mark(name);
    }

    /// Whether the name may have been marked. Several share a mark.
    fn may_have(self, name: &str) -> bool {
        self.0 & Self::mark(name) != 0
    }

    /// Of the length and the first letter.
    fn mark(name: &str) -> u64 {
        let first = name.bytes().next().unwrap_or_default().to_ascii_lowercase();
        1 << ((name.len() * 5 + usize::from(first)) % 64)
    }
}

impl Request {
    /// The host and port by which the client knows this server: of the target if it names one, else of `Host`. Made
    /// only of characters that a host and port may have. `None` if it is empty, or missing on HTTP/1.0.
    pub fn host(&self) -> Option<&str> {
        let host = std::str::from_utf8(self.host.within(&self.head)).ok()?;
        (!host.is_empty()).then_some(host)
    }

    /// `Content-Type`, the first that is UTF-8; `None` if it is empty.
    pub fn content_type(&self) -> Option<&str> {
        let content_type = std::str::from_utf8(self.content_type.within(&self.head)).ok()?;
        (!content_type.is_empty()).then_some(content_type)
    }

    /// `Accept`; its first line, if there are more.
    pub fn accept(&self) -> Option<&str> {
        self.header("accept")
    }

    /// Whether a page of another site made a browser send it, as browsers say themselves (Fetch Metadata).
    pub fn is_cross_site(&self) -> bool {
        self.header("sec-fetch-site") == Some("cross-site")
    }

    /// `Authorization`; none if there are more, for who is between us and the client may have believed another.
    pub fn authorization(&self) -> Option<&str> {
        let mut values = self.raw_headers("authorization");
        let value = values.next()?;
        let is_only = values.next().is_none();
        std::str::from_utf8(value).ok().filter(|_| is_only)
    }

    /// The first header of that name, in any case, without the space around it. One that is not UTF-8 is as if not
    /// there.
    ///
    /// Looks through the head at each call, and costs nothing when it is not called.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All headers of that name, as [`header`](Self::header) finds the first.
    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.raw_headers(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// All headers of that name, those that are not UTF-8 too: for one that must not be overlooked.
    pub fn raw_headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let head = if self.names.may_have(name) {
            &self.head[..]
        } else {
            b""
        };
        let ends = memchr::memchr_iter(b'\n', head);
        let mut start = 0;
        let lines = ends.map(move |end| {
            let line = head.get(start..end).unwrap_or_default();
            start = end + 1;
            line
        });
        lines.skip(1).filter_map(move |line| {
            // Few names are as long, so few have to be compared.
            if line.get(name.len()) != Some(&b':') {
                return None;
            }
            let (found, value) = line.split_at_checked(name.len())?;
            let is_found = found.eq_ignore_ascii_case(name.as_bytes());
            is_found.then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
    }
}

impl fmt::Debug for Request {
    /// Leaves out the headers and the body: they hold credentials and payloads, which have no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("target", &self.target)
            .field("keep_alive", &self.keep_alive)
            .field("host", &self.host())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Method {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}
