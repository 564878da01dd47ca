//! Telling producers that their messages were delivered: a POST for each message whose transaction has a callback.
//!
//! - [`Tally`]: what is counted.
//! - `delivery`: from the spool to producers; what is tried again, and what is given up.
//! - `source`: the events of the spool, as callbacks.
//! - `window`: those in memory: whose turn it is, and how far the spool is dealt with.
//! - `client`: one attempt. `kept` says whose connections stay open, `resolver` where names lead to, `address` whether
//!   that may be called, `signature` proves who calls.
//! - `callback`, `target`: what is told, and to whom.
//! - `failure`: why it did not get through.

mod address;
mod callback;
mod client;
mod delivery;
mod failure;
mod kept;
mod resolver;
mod signature;
mod source;
mod tally;
mod target;
mod window;

pub use client::ClientError;
pub use tally::Tally;

pub(super) use client::Client;
pub(super) use delivery::run;

/// Whether a text is a URL at all. Which URLs are called is seen at the delivery.
pub fn is_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok()
}

#[cfg(test)]
mod tests;
