//! `[redis]`: the servers of the Redis store.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::redis_address::RedisAddress;
use super::section::Section;
use super::value;

/// `[redis]`: the servers of the Redis store.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// The servers that queues are spread over, at least one.
    pub queues: Vec<RedisAddress>,
    /// The servers that transactions are spread over; empty: the same servers.
    pub transactions: Vec<RedisAddress>,
    /// How often each worker looks after each server: lapsed leases, due delays, ends of life; 10 ms to 1 min.
    pub sweep: Duration,
    /// How long connecting may take, 10 ms to 1 min.
    pub connect_timeout: Duration,
    /// How long a server may take to answer before its connection counts as gone, 10 ms to 1 min.
    pub reply_timeout: Duration,
    /// Commands on their way at once on one connection, 1024 to 1,000,000: one pop reads 256 payloads at once.
    pub max_in_flight: usize,
}

/// What a wait for a server may be set to.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(1);

impl Redis {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let allowed = format!("a list of addresses {}", RedisAddress::FORM);
        let queues = format!("{allowed}, at least one");
        Self {
            queues: section.parsed("queues", default.queues, &queues, value::show, |value| {
                addresses(value).filter(|addresses| !addresses.is_empty())
            }),
            transactions: section.parsed(
                "transactions",
                default.transactions,
                &allowed,
                value::show,
                addresses,
            ),
            sweep: section.duration("sweep", default.sweep, WAITS),
            connect_timeout: section.duration("connect_timeout", default.connect_timeout, WAITS),
            reply_timeout: section.duration("reply_timeout", default.reply_timeout, WAITS),
            max_in_flight: section.count("max_in_flight", default.max_in_flight, 1024..=1_000_000),
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            queues: vec![RedisAddress::default()],
            transactions: Vec::new(),
            sweep: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            reply_timeout: Duration::from_secs(5),
            max_in_flight: 16_384,
        }
    }
}

fn addresses(value: &Value) -> Option<Vec<RedisAddress>> {
    let texts = value::list(value)?;
    texts.iter().map(|text| text.parse().ok()).collect()
}
