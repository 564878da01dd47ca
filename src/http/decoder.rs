//! A connection's bytes to its requests.

use bytes::{Buf, Bytes, BytesMut};

use super::body::BodyBuffer;
use super::chunked::ChunkedDecoder;
use super::error::RequestError;
use super::framing::Framing;
use super::head::{can_begin_request, check_request_line, parse_head};
use super::lines::LineScan;
use super::request::Request;

/// What a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, from the method to the blank line; as many again for a chunked body's extensions and trailers.
    pub head_bytes_max: usize,
    /// Bytes of a body, without the chunks' own.
    pub body_bytes_max: usize,
}

/// Turns a connection's bytes into requests, one decoder per connection.
///
/// Between requests it holds no memory of its own; within a body it holds what came of it, at most
/// [`Limits::body_bytes_max`].
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// How far a head was looked for.
    scan: LineScan,
    /// How many were dropped before the head.
    blank_lines: u8,
    /// Within a body. In a box, since most requests are never pending and every connection has a decoder.
    pending: Option<Box<Pending>>,
    failed: Option<RequestError>,
}

/// What [`Decoder::decode`] found.
#[derive(Debug)]
pub enum Decoded {
    /// A request. The input may hold the next one already: decode on before reading.
    Request(Request),
    /// The client waits for [`CONTINUE`](super::CONTINUE) before it sends its body: send that, and decode on. Comes at
    /// most once per request, and never for a body that is too large anyway or that is already coming.
    ContinueExpected,
    /// What is in the input is no whole request: read more.
    NeedMore,
}

/// What a connection is in the middle of, for its deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests: nothing of the next has been seen, a stray blank line aside.
    Idle,
    /// A head has begun.
    Head,
    /// The head is through, the body is not.
    Body,
}

/// Blank lines before a request that are let pass: some old clients put one behind a body.
const BLANK_LINES_MAX: u8 = 4;

/// A request that lacks a part of its body.
#[derive(Debug)]
struct Pending {
    request: Request,
    body: BodyBuffer,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Bytes(usize),
    Chunks(ChunkedDecoder),
}

impl Decoder {
    /// For a new connection.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            scan: LineScan::new(),
            blank_lines: 0,
            pending: None,
            failed: None,
        }
    }

    /// Takes what it can from the front of `input`. What it leaves has to stay there: the next call gets the same
    /// bytes with more behind them.
    ///
    /// Call it until it says [`Decoded::NeedMore`]. What `input` still holds then is less than
    /// [`Limits::head_bytes_max`] and two bytes, or 256 bytes if that is more. After an error every further call gives
    /// the same error.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, RequestError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let decoded = match self.pending.take() {
            Some(pending) => self.go_on(pending, input),
            None => self.find_head(input).and_then(|head| match head {
                Some(head) => self.begin(&head, input),
                None => Ok(Decoded::NeedMore),
            }),
        };
        self.failed = decoded.as_ref().err().copied();
        decoded
    }

    /// What the connection is in the middle of, as the last [`Decoded::NeedMore`] left it.
    pub fn phase(&self) -> Phase {
        if self.pending.is_some() {
            Phase::Body
        } else if self.scan.is_fresh() {
            Phase::Idle
        } else {
            Phase::Head
        }
    }

    /// Bytes of memory held for a body that is still coming.
    pub fn buffered_bytes(&self) -> usize {
        let pending = self.pending.as_ref();
        pending.map_or(0, |pending| pending.body.capacity())
    }

    /// Cuts the head off, if it is all there.
    fn find_head(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, RequestError> {
        if self.scan.is_fresh() && !self.skip_blank_lines(input)? {
            return Ok(None);
        }
        loop {
            let is_first = self.scan.lines_bytes() == 0;
            match self.scan.next_line(input, self.limits.head_bytes_max)? {
                None => return Ok(None),
                Some(line) if is_first => check_request_line(line)?,
                Some([]) => break,
                Some(_) => {}
            }
        }
        let head = input.split_to(self.scan.lines_bytes()); // the lines are in `input`
        self.scan = LineScan::new();
        self.blank_lines = 0;
        Ok(Some(head.freeze()))
    }

    /// Drops blank lines before a head; true if a head begins behind them.
    fn skip_blank_lines(&mut self, input: &mut BytesMut) -> Result<bool, RequestError> {
        while input.starts_with(b"\r\n") {
            if self.blank_lines == BLANK_LINES_MAX {
                return Err(RequestError::RequestLine);
            }
            self.blank_lines += 1;
            input.advance(2); // just seen
        }
        match **input {
            // A lone CR may become a blank line yet.
            [] | [b'\r'] => Ok(false),
            [first, ..] if can_begin_request(first) => Ok(true),
            _ => Err(RequestError::RequestLine),
        }
    }

    /// A head is there: its request, if the body is too.
    fn begin(&mut self, head: &Bytes, input: &mut BytesMut) -> Result<Decoded, RequestError> {
        let head = parse_head(head)?;
        let mut request = head.request;
        let bytes_max = self.limits.body_bytes_max;
        let (body, rest) = match head.framing {
            Framing::Length(length) => {
                let length = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= bytes_max)
                    .ok_or(RequestError::BodyTooLarge { bytes_max })?;
                if input.len() >= length {
                    request.body = input.split_to(length).freeze(); // it is that long
                    return Ok(Decoded::Request(request));
                }
                (BodyBuffer::new(length), Rest::Bytes(length))
            }
            Framing::Chunked => {
                let chunks = ChunkedDecoder::new(self.limits);
                (BodyBuffer::new(bytes_max), Rest::Chunks(chunks))
            }
        };
        let pending = Box::new(Pending {
            request,
            body,
            rest,
        });
        if head.expects_continue && input.is_empty() {
            self.pending = Some(pending);
            return Ok(Decoded::ContinueExpected);
        }
        self.go_on(pending, input)
    }

    /// Takes more of a body.
    fn go_on(
        &mut self,
        mut pending: Box<Pending>,
        input: &mut BytesMut,
    ) -> Result<Decoded, RequestError> {
        if pending.take(input)? {
            return Ok(Decoded::Request(pending.finish()));
        }
        self.pending = Some(pending);
        Ok(Decoded::NeedMore)
    }
}

impl Pending {
    /// True when the body is complete.
    fn take(&mut self, input: &mut BytesMut) -> Result<bool, RequestError> {
        match &mut self.rest {
            Rest::Bytes(left) => {
                self.body.take_from(input, left);
                Ok(*left == 0)
            }
            Rest::Chunks(chunks) => chunks.decode(input, &mut self.body),
        }
    }

    fn finish(self) -> Request {
        Request {
            body: self.body.into_bytes(),
            ..self.request
        }
    }
}
