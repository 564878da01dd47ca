//! From the JSON body of a request to a validated `Push` or `Update`, or to all of its [`Fault`]s at once.
//!
//! [`Fields`] is a JSON object whose values are still text, [`Json`] one such value, [`List`] one that is a list;
//! [`fn@push`] and [`fn@update`] pick their fields from the object.

mod addressees;
mod compact;
mod expiration;
mod fault;
mod fields;
mod json;
mod list;
mod payload;
mod push;
mod update;

pub use fault::Fault;
pub use fields::{Fields, InvalidJson};
pub use json::Json;
pub use list::List;
pub use push::{Origin, push};
pub use update::update;

use std::time::Duration;

/// What a transaction may look like.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Longest payload, in UTF-16 units, as the clients' own languages count.
    pub payload_max: usize,
    /// Most queues of one transaction; also most groups.
    pub queues_max: usize,
    /// Longest id of a queue or group, in bytes.
    pub id_max: usize,
    /// Longest time a transaction is held back.
    pub delay_max: Duration,
    /// Life of a transaction that does not say how long it lives.
    pub default_expiration: Duration,
}

#[cfg(test)]
impl Terms {
    /// Small enough that a test can reach every bound.
    pub(crate) fn for_tests() -> Self {
        Self {
            payload_max: 10,
            queues_max: 3,
            id_max: 8,
            delay_max: Duration::from_secs(100),
            default_expiration: Duration::from_hours(1),
        }
    }
}
