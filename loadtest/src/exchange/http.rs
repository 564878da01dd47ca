//! Answers of HTTP/1.1, whatever is in them.

use super::{ANSWER_BYTES_MAX, Answer, Decoded, Malformed, chunks};

/// An answer with more headers is refused.
const HEADERS_MAX: usize = 64;

/// A whole answer.
pub(super) struct Response<'a> {
    pub(super) head: Head<'a>,
    pub(super) body: &'a [u8],
    /// The length of all of it, with what came before it provisionally.
    pub(super) bytes: usize,
}

impl Response<'_> {
    /// What the whole answer says.
    pub(super) fn decoded<'a>(&self, answer: Answer<'a>) -> Decoded<'a> {
        Decoded {
            answer,
            bytes: self.bytes,
            closes: self.head.closes,
            goes_on: false,
        }
    }
}

/// What matters of a head.
pub(super) struct Head<'a> {
    pub(super) status: u16,
    /// Its length, with what came before it provisionally.
    pub(super) bytes: usize,
    framing: Framing,
    /// Whether the server closes the connection after it.
    pub(super) closes: bool,
    pub(super) last_modified: Option<&'a [u8]>,
    pub(super) etag: Option<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum Framing {
    None,
    Length(usize),
    Chunks,
}

/// Whether the server did what was asked.
pub(super) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

impl Head<'_> {
    /// Whether the server did what was asked.
    pub(super) fn is_success(&self) -> bool {
        is_success(self.status)
    }

    /// Whether the body comes in chunks.
    pub(super) fn has_chunks(&self) -> bool {
        matches!(self.framing, Framing::Chunks)
    }
}

/// The answer at the front of `input`; none if it is not there in whole. `body` is room for a body in chunks.
pub(super) fn response<'a>(
    input: &'a [u8],
    body: &'a mut Vec<u8>,
) -> Result<Option<Response<'a>>, Malformed> {
    let Some(head) = head(input)? else {
        return Ok(None);
    };
    let rest = input.get(head.bytes..).unwrap_or_default();
    let (body, body_bytes) = match head.framing {
        Framing::None => (&[][..], 0),
        Framing::Length(length) => match rest.get(..length) {
            Some(body) => (body, length),
            None => return Ok(None),
        },
        Framing::Chunks => match chunks::decode(rest, body)? {
            Some(bytes) => (&body[..], bytes),
            None => return Ok(None),
        },
    };
    Ok(Some(Response {
        bytes: head.bytes + body_bytes,
        head,
        body,
    }))
}

/// The head of the answer at the front of `input`; none if it is not there in whole.
pub(super) fn head(input: &[u8]) -> Result<Option<Head<'_>>, Malformed> {
    let mut at = 0;
    loop {
        match first_head(input.get(at..).unwrap_or_default())? {
            None => return Ok(None),
            // Something provisional; the answer follows.
            Some(head) if (100..200).contains(&head.status) => at += head.bytes,
            Some(mut head) => {
                head.bytes += at;
                return Ok(Some(head));
            }
        }
    }
}

fn first_head(input: &[u8]) -> Result<Option<Head<'_>>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(input).map_err(Malformed::Http)? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response
        .code
        .ok_or(Malformed::Http(httparse::Error::Status))?;
    let mut framing = None;
    let mut closes = response.version == Some(0);
    let (mut last_modified, mut etag) = (None, None);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or(Malformed::Length)?;
            if length > ANSWER_BYTES_MAX {
                return Err(Malformed::TooLong);
            }
            framing = framing.or(Some(Framing::Length(length)));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            // Chunks count more than a length that stands beside them.
            framing = Some(Framing::Chunks);
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        } else if header.name.eq_ignore_ascii_case("last-modified") {
            last_modified = Some(header.value);
        } else if header.name.eq_ignore_ascii_case("etag") {
            etag = Some(header.value);
        }
    }
    let has_no_body = status < 200 || status == 204 || status == 304;
    let framing = if has_no_body {
        Framing::None
    } else {
        framing.ok_or(Malformed::Length)?
    };
    Ok(Some(Head {
        status,
        bytes,
        framing,
        closes,
        last_modified,
        etag,
    }))
}
