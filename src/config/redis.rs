//! `[redis]`: the servers of the Redis store.

use std::fmt;

use toml::Value;

use super::section::Section;
use super::value;

/// `[redis]`: the servers of the Redis store. Read and checked, but not used by this version.
#[derive(Clone, PartialEq)]
pub struct Redis {
    /// The servers that queues are spread over, at least one: `redis://user:password@host:port/db`.
    pub queues: Vec<String>,
    /// The servers that transactions are spread over; empty: the same servers.
    pub transactions: Vec<String>,
}

impl Redis {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let allowed = "a list of addresses that begin with redis://";
        let queues = format!("{allowed}, at least one");
        Self {
            queues: section.parsed("queues", default.queues, &queues, value::show, |value| {
                addresses(value).filter(|addresses| !addresses.is_empty())
            }),
            transactions: section.parsed(
                "transactions",
                default.transactions,
                allowed,
                value::show,
                addresses,
            ),
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            queues: vec!["redis://127.0.0.1:6379/0".to_owned()],
            transactions: Vec::new(),
        }
    }
}

impl fmt::Debug for Redis {
    /// Passwords do not belong in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redis")
            .field("queues", &self.queues.len())
            .field("transactions", &self.transactions.len())
            .finish()
    }
}

fn addresses(value: &Value) -> Option<Vec<String>> {
    let begins_well = |address: &String| {
        address
            .strip_prefix("redis://")
            .is_some_and(|rest| !rest.is_empty())
    };
    value::list(value).filter(|addresses| addresses.iter().all(begins_well))
}
