//! What can become of a request instead of an answer.

use std::sync::Arc;

use crate::mailbox::Refusal;

/// Why a request to a server has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::store::redis) enum Fault {
    /// There is no connection; nothing was sent.
    #[error("{0}")]
    Unreachable(Arc<str>),
    /// The connection ended before the answer came: whether the request was carried out is unknown.
    #[error("{0}")]
    Lost(Arc<str>),
    /// As many requests are on their way as may be; nothing was sent.
    #[error("redis.max_in_flight is reached")]
    Busy,
    /// As many pops wait on the queue as may; nothing was done.
    #[error("limits.max_waiters is reached")]
    Crowded,
    /// The server has no memory left that it may use; nothing was done.
    #[error("a Redis server has reached its maxmemory")]
    NoMemory,
    /// The server's own words for why not.
    #[error("a Redis server says: {0}")]
    Server(Arc<str>),
    /// It is not an answer to what was asked.
    #[error("a Redis server gives an answer that makes no sense")]
    Nonsense,
}

impl Fault {
    /// A server's error reply.
    pub(in crate::store::redis) fn from_words(words: &str) -> Self {
        if words.starts_with("OOM") {
            Self::NoMemory
        } else {
            Self::Server(words.into())
        }
    }

    /// Whether the library of functions has to be loaded first.
    pub(in crate::store::redis) fn is_no_function(&self) -> bool {
        matches!(self, Self::Server(words) if words.starts_with("ERR Function not found"))
    }

    /// Whether the library of functions was there already.
    pub(in crate::store::redis) fn is_of_known_library(&self) -> bool {
        matches!(self, Self::Server(words) if words.ends_with("already exists"))
    }

    /// Whether the server takes no writes at the moment, though it may let functions empty it.
    pub(in crate::store::redis) fn is_of_no_writes(&self) -> bool {
        match self {
            Self::NoMemory => true,
            Self::Server(words) => words.starts_with("MISCONF") || words.starts_with("NOREPLICAS"),
            _ => false,
        }
    }

    /// Whether the server has become a replica: there is another one to be written to.
    pub(in crate::store::redis) fn is_of_replica(&self) -> bool {
        matches!(self, Self::Server(words) if words.starts_with("READONLY"))
    }

    /// Whether it is certain that nothing was done.
    pub(in crate::store::redis) fn is_harmless(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Busy | Self::Crowded | Self::NoMemory => true,
            // What a server says instead of doing anything.
            Self::Server(words) => [
                "LOADING",
                "BUSY",
                "MISCONF",
                "NOREPLICAS",
                "READONLY",
                "NOPERM",
            ]
            .iter()
            .any(|kind| words.starts_with(kind)),
            Self::Lost(_) | Self::Nonsense => false,
        }
    }

    /// Whether it is certain to pass, or may pass with the next connection: another attempt may do.
    pub(in crate::store::redis) fn is_passing(&self) -> bool {
        self.is_of_connection() || *self == Self::Busy
    }

    /// Whether the connection is at fault, so that another attempt over the next one may do.
    pub(in crate::store::redis) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy => Self::Full("redis.max_in_flight is reached"),
            Fault::Crowded => Self::Full("limits.max_waiters is reached"),
            Fault::NoMemory => Self::Full("a Redis server has reached its maxmemory"),
            fault => Self::Unavailable(fault.to_string().into()),
        }
    }
}
