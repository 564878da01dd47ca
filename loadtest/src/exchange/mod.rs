//! What is asked of a server and what it answers, in each protocol.
//!
//! A connection has one request under way at a time. Its answer is decoded from the bytes that have come so far, from
//! their beginning each time, so there is no state that a partial read could leave behind. What a protocol has to know
//! of earlier answers is in its [`Dialogue`].

mod beanstalk;
mod chunks;
mod http;
mod nchan;
mod popbox;
mod redis;
mod webdis;

use std::{borrow::Cow, fmt};

use crate::{
    login::Login,
    payload::Payloads,
    queue::{Queue, Queues},
};

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// popbox over HTTP/1.1.
    Popbox,
    /// Redis (RESP 2).
    Redis,
    /// nginx with the module nchan, over HTTP/1.1.
    Nchan,
    /// beanstalkd.
    Beanstalk,
    /// webdis, which is a Redis over HTTP/1.1.
    Webdis,
}

/// What one connection says and hears.
#[derive(Debug)]
pub(crate) enum Dialogue {
    Popbox,
    Redis,
    Nchan(nchan::Place),
    Beanstalk(beanstalk::Tubes),
    Webdis,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    /// Something that every server answers at once: then it has really taken the connection in.
    Greet,
    /// What is at a path.
    Get { path: &'a str },
    /// Put the payload of the push with this number into queues; into one only, where that is no popbox.
    Push {
        queues: Queues<'a>,
        payloads: &'a Payloads,
        number: u64,
    },
    /// Take one message, and wait for it if there is none: so long, or as long as the protocol allows.
    Wait {
        queue: Queue<'a>,
        seconds: Option<u32>,
    },
    /// Borrow one message, and wait for it so long if there is none.
    Borrow {
        queue: Queue<'a>,
        seconds: Option<u32>,
        ack_seconds: u32,
    },
    /// The messages of these transactions, which were borrowed, are dealt with.
    Ack {
        queue: Queue<'a>,
        transactions: &'a [String],
    },
    /// Every message as it comes.
    Subscribe { queue: Queue<'a> },
    /// What is in a queue.
    Describe { queue: Queue<'a> },
    /// Make a secured queue.
    Secure { queue: Queue<'a>, login: &'a Login },
    /// Show the first message, without taking it.
    Peek { queue: Queue<'a> },
    /// Take what is there, up to a number of messages.
    Drain { queue: Queue<'a>, messages_max: u32 },
}

/// What kind of request an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Greet,
    Get,
    Push,
    Wait,
    Borrow,
    Ack,
    Subscribe,
    /// The next messages of a stream that has begun.
    Stream,
    Describe,
    Secure,
    Peek,
    Drain,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// To a greeting.
    Greeted,
    /// What is at a path, whatever it is.
    Got,
    /// The push is stored.
    Pushed,
    /// The payloads of the messages; none if the wait was in vain.
    Messages(Vec<Cow<'a, str>>),
    /// The payloads of the messages that are lent, and the ids to ack them with.
    Lent(Vec<Cow<'a, str>>, Vec<String>),
    /// The receipt; so many of the messages were not acked.
    Acked { failed: usize },
    /// The stream begins.
    Subscribed,
    /// To the question what is in a queue.
    Described,
    /// The secured queue is made.
    Secured,
    /// The server did not do it.
    Refused(Refusal),
}

/// What a server says when it does not do what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// That of HTTP; others have none.
    pub(crate) status: Option<u16>,
    /// The beginning of what it says.
    said: String,
}

/// A whole answer at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) answer: Answer<'a>,
    /// Its length.
    pub(crate) bytes: usize,
    /// Whether the server closes the connection after it.
    pub(crate) closes: bool,
    /// Whether more comes without having been asked for, as this is of a stream.
    pub(crate) goes_on: bool,
}

/// Bytes that are no answer to what was asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("no HTTP answer: {0}")]
    Http(httparse::Error),
    #[error("an HTTP answer whose length is not said")]
    Length,
    #[error("a chunk without its size or its end")]
    Chunk,
    #[error("an HTTP answer that is no answer to what was asked: {0}")]
    Body(String),
    #[error("a message of a channel that does not say its place")]
    Position,
    #[error("no Redis answer")]
    Redis,
    #[error("no beanstalkd answer")]
    Beanstalk,
    #[error("an answer of another kind than what was asked for")]
    Kind,
    #[error("an answer of more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("more than was asked for")]
    Unasked,
}

/// No answer is longer: a pop's has at most `limits.max_answer` (16 MiB by default) of payload.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Of what a server says about a refusal, so many bytes are kept.
const REFUSAL_BYTES_MAX: usize = 200;

impl Request<'_> {
    /// What kind it is.
    pub(crate) fn asked(&self) -> Asked {
        match self {
            Self::Greet => Asked::Greet,
            Self::Get { .. } => Asked::Get,
            Self::Push { .. } => Asked::Push,
            Self::Wait { .. } => Asked::Wait,
            Self::Borrow { .. } => Asked::Borrow,
            Self::Ack { .. } => Asked::Ack,
            Self::Subscribe { .. } => Asked::Subscribe,
            Self::Describe { .. } => Asked::Describe,
            Self::Secure { .. } => Asked::Secure,
            Self::Peek { .. } => Asked::Peek,
            Self::Drain { .. } => Asked::Drain,
        }
    }
}

impl Dialogue {
    /// Of a connection on which nothing has been said yet.
    pub(crate) fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Popbox => Self::Popbox,
            Protocol::Redis => Self::Redis,
            Protocol::Nchan => Self::Nchan(nchan::Place::default()),
            Protocol::Beanstalk => Self::Beanstalk(beanstalk::Tubes::default()),
            Protocol::Webdis => Self::Webdis,
        }
    }

    /// The connection is another one, whose server knows nothing of what was said before.
    pub(crate) fn begin_anew(&mut self) {
        if let Self::Beanstalk(tubes) = self {
            *tubes = beanstalk::Tubes::default();
        }
    }

    /// Appends the request; `headers` are those that each of HTTP has, with the ends of their lines.
    pub(crate) fn encode(&mut self, request: &Request<'_>, headers: &str, to: &mut Vec<u8>) {
        match self {
            Self::Popbox => popbox::encode(request, headers, to),
            Self::Redis => redis::encode(request, to),
            Self::Nchan(place) => nchan::encode(request, headers, place, to),
            Self::Beanstalk(tubes) => beanstalk::encode(request, tubes, to),
            Self::Webdis => webdis::encode(request, headers, to),
        }
    }

    /// The answer at the front of `input`; none if it is not there in whole. `body` is room for a body in chunks.
    pub(crate) fn decode<'a>(
        &mut self,
        asked: Asked,
        input: &'a [u8],
        body: &'a mut Vec<u8>,
    ) -> Result<Option<Decoded<'a>>, Malformed> {
        let decoded = match self {
            Self::Popbox => popbox::decode(asked, input, body)?,
            Self::Redis => redis::decode(asked, input)?,
            Self::Nchan(place) => nchan::decode(asked, input, body, place)?,
            Self::Beanstalk(tubes) => beanstalk::decode(asked, input, tubes)?,
            Self::Webdis => webdis::decode(asked, input, body)?,
        };
        if decoded.is_none() && input.len() > ANSWER_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        Ok(decoded)
    }
}

impl Refusal {
    fn new(status: Option<u16>, said: &[u8]) -> Self {
        let beginning = said.get(..REFUSAL_BYTES_MAX).unwrap_or(said);
        Self {
            status,
            said: String::from_utf8_lossy(beginning).trim_end().to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(formatter, "{status} ")?;
        }
        formatter.write_str(&self.said)
    }
}
