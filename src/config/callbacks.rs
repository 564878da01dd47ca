//! `[callbacks]`: telling producers of deliveries.

use std::fmt;
use std::time::Duration;

use super::section::Section;

/// `[callbacks]`: what is told to others when a message is delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Callbacks {
    /// Whether producers are told at all. If not, the store is spared to be asked where.
    pub enabled: bool,
    /// Whether a callback may go to an address of a private network or of this machine. Whoever pushes names the
    /// callback, so with this on a stranger can make the server call what only the server can reach.
    pub allow_private: bool,
    /// Callbacks on their way at once, 1 to 256.
    pub concurrency: usize,
    /// Of these, those to one host and port, 1 to 256.
    pub per_host: usize,
    /// How often a callback is tried in all, 1 to 100.
    pub attempts: usize,
    /// The wait after the first attempt, doubled after each further one, 10 ms to 5 min.
    pub backoff: Duration,
    /// How long one attempt may take, from the lookup of the name to the answer, 100 ms to 5 min.
    pub timeout: Duration,
    /// Callbacks in memory, read ahead so that a slow host holds up no other, 1 to 1,000,000.
    pub max_waiting: usize,
    /// What callbacks are signed with; none: they are not.
    pub secret: Option<Secret>,
}

/// A text that nobody is to see: its debug text does not have it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// Whoever names a callback gets signatures, and can try keys on them.
const SECRET_BYTES_MIN: usize = 16;

impl Callbacks {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let secrets = format!("\"\" or at least {SECRET_BYTES_MIN} bytes");
        Self {
            enabled: section.switch("enabled", default.enabled),
            allow_private: section.switch("allow_private", default.allow_private),
            concurrency: section.count("concurrency", default.concurrency, 1..=256),
            per_host: section.count("per_host", default.per_host, 1..=256),
            attempts: section.count("attempts", default.attempts, 1..=100),
            backoff: section.duration(
                "backoff",
                default.backoff,
                Duration::from_millis(10)..=Duration::from_mins(5),
            ),
            timeout: section.duration(
                "timeout",
                default.timeout,
                Duration::from_millis(100)..=Duration::from_mins(5),
            ),
            max_waiting: section.count("max_waiting", default.max_waiting, 1..=1_000_000),
            secret: section.parsed(
                "secret",
                default.secret,
                &secrets,
                |_| "(hidden)".to_owned(),
                |value| match value.as_str()? {
                    "" => Some(None),
                    text if text.len() < SECRET_BYTES_MIN => None,
                    text => Some(Some(Secret::new(text))),
                },
            ),
        }
    }
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_private: false,
            concurrency: 64,
            per_host: 8,
            attempts: 8,
            backoff: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            max_waiting: 10_000,
            secret: None,
        }
    }
}

impl Secret {
    /// A secret of this text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for what it is the key of.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}
