//! Bytes to requests and responses to bytes. Knows no socket, no clock and no other room.
//!
//! - [`Decoder`]: takes a connection's bytes as they come and gives one [`Request`] after another, under [`Limits`].
//! - [`Request`], [`Target`]: what was asked; headers are looked up only when somebody wants them.
//! - [`RequestError`]: what was wrong, and with which [`Status`] to answer before closing.
//! - [`Response`], [`Frame`]: what is answered, whole; [`encode_stream_head`] and [`encode_chunk`] answer bit by bit.
//! - [`write_json_string`], [`write_decimal`]: for bodies that are put together without a tree.
//!
//! A server that reads a message otherwise than the proxy before it can be made to see requests nobody sent, so
//! wherever RFC 9112 leaves a choice between lenient and strict on where a message ends, this room is strict.

mod body;
mod chunked;
mod decimal;
mod decoder;
mod error;
mod framing;
mod head;
mod host;
mod json_text;
mod lines;
mod request;
mod response;
mod status;
mod stream;
mod target;
#[cfg(test)]
mod tests;

pub use decimal::write_decimal;
pub use decoder::{Decoded, Decoder, Limits, Phase};
pub use error::RequestError;
pub use json_text::write_json_string;
pub use request::{Method, Request, Version};
pub use response::{ContentType, Frame, Response};
pub use status::Status;
pub use stream::{CONTINUE, encode_chunk, encode_last_chunk, encode_stream_head};
pub use target::{Target, UndecodablePath, form_value};
