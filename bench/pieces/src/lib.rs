//! What the benches share: the inputs of each piece of popbox, and how it is asked to do its work.
//!
//! - [`message`]: ids, names and the payload that all of them use.
//! - [`http`]: requests as bytes, and reading them.
//! - [`api`]: requests to operations, replies to the bytes of answers.
//! - [`engine`]: an engine with so many messages, and operations on it.
//! - [`resp`]: what Redis answers, and reading it.
//! - [`store`]: a worker that asks a store, whichever it is.
//!
//! Whatever goes wrong in here is a fault of the bench, so it panics.

#![allow(
    clippy::missing_panics_doc,
    reason = "a bench that cannot go on has nothing else to do"
)]

pub mod api;
pub mod engine;
pub mod http;
pub mod message;
pub mod resp;
pub mod store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often the instruction bench repeats a piece, so that neither what its first call does alone nor where a hash
/// map happens to have put a key weighs much. What it says is to be divided by this.
pub const REPEATS: usize = 100;
