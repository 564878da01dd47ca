//! `[redis]`: the servers of the Redis store.

use toml::Value;

use super::redis_address::RedisAddress;
use super::section::Section;
use super::value;

/// `[redis]`: the servers of the Redis store. Read and checked, but not used by this version.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// The servers that queues are spread over, at least one.
    pub queues: Vec<RedisAddress>,
    /// The servers that transactions are spread over; empty: the same servers.
    pub transactions: Vec<RedisAddress>,
}

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
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            queues: vec![RedisAddress::default()],
            transactions: Vec::new(),
        }
    }
}

fn addresses(value: &Value) -> Option<Vec<RedisAddress>> {
    let texts = value::list(value)?;
    texts.iter().map(|text| text.parse().ok()).collect()
}
