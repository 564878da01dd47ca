//! One answer, whole.

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;

use super::decimal::write_decimal;
use super::error::RequestError;
use super::json_text::write_json_string;
use super::request::Version;
use super::status::Status;

/// Room for the head of most answers.
const HEAD_BYTES: usize = 192;

/// An answer that is complete before it is sent.
#[derive(Clone, Debug)]
pub struct Response {
    /// How it went.
    pub status: Status,
    /// What the body is.
    pub content_type: ContentType,
    /// Headers besides those that every answer has. Takes no memory while it is empty.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Bytes,
    /// The limit that is the reason for it, by its name in the configuration. Not sent: it is for whoever counts.
    pub limit: Option<&'static str>,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// JSON, whole.
    Json,
    /// A stream of JSON values, as subscribe gives it; without a charset, as it always was.
    JsonStream,
    /// A page.
    Html,
    /// Plain text.
    Text,
}

/// What an answer's bytes depend on besides the answer itself.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What the client speaks.
    pub version: Version,
    /// Whether the connection stays open after this answer.
    pub keep_alive: bool,
    /// Whether HEAD was asked: the same head, and no body.
    pub head_only: bool,
    /// The time, as `Date` has it (`Sun, 06 Nov 1994 08:49:37 GMT`); made by the caller, who makes it once a second.
    pub date: &'a str,
}

impl Response {
    /// A body of that type.
    pub fn new(status: Status, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            limit: None,
        }
    }

    /// A JSON body, already written.
    pub fn json(status: Status, body: impl Into<Bytes>) -> Self {
        Self::new(status, ContentType::Json, body)
    }

    /// A page.
    pub fn html(status: Status, body: impl Into<Bytes>) -> Self {
        Self::new(status, ContentType::Html, body)
    }

    /// Plain text.
    pub fn text(status: Status, body: impl Into<Bytes>) -> Self {
        Self::new(status, ContentType::Text, body)
    }

    /// `{"errors":["…", …]}`
    pub fn errors(status: Status, errors: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut body = b"{\"errors\":[".to_vec();
        for (index, error) in errors.into_iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            write_json_string(error.as_ref(), &mut body);
        }
        body.extend_from_slice(b"]}");
        Self::json(status, body)
    }

    /// With one more header. In the value, control characters become spaces when it is sent, so that no data can end
    /// the line.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Because of that limit.
    #[must_use]
    pub fn because_of(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Appends the whole answer to `out`.
    pub fn encode(&self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES + self.body.len());
        self.encode_head(frame, out);
        if !frame.head_only {
            out.extend_from_slice(&self.body);
        }
    }

    /// Appends the head alone to `out`, for a body that is long enough to be written from where it is.
    pub fn encode_head(&self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        write_head_start(self.status, self.content_type, frame, out);
        out.extend_from_slice(b"Content-Length: ");
        write_decimal(self.body.len() as u64, out);
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            write_header(name, value, out);
        }
        match (frame.keep_alive, frame.version) {
            (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, Version::Http11) => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl From<RequestError> for Response {
    fn from(error: RequestError) -> Self {
        Self::errors(error.status(), [error.to_string()])
    }
}

impl ContentType {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::JsonStream => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What every head begins with: the status line, `Date` and `Content-Type`.
pub(super) fn write_head_start(
    status: Status,
    content_type: ContentType,
    frame: &Frame<'_>,
    out: &mut Vec<u8>,
) {
    if status == Status::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: ");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        write_decimal(status.code().into(), out);
        out.push(b' ');
        out.extend_from_slice(status.reason().as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
    }
    out.extend_from_slice(frame.date.as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(content_type.as_str().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One header line, with a value that may be anything.
fn write_header(name: &'static str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in out.iter_mut().skip(start) {
        if byte.is_ascii_control() {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Formats into memory, which cannot fail.
pub(super) fn write_infallibly(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}
