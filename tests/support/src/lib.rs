//! What every test stands on: a server to talk to, a client to talk with, names that meet nobody else's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::missing_panics_doc,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "its only users are tests"
)]

mod calls;
mod certificate;
mod client;
mod disk;
pub mod foreign;
mod layout;
mod mongo;
mod names;
mod place;
mod port;
mod process;
mod proxy;
mod random;
mod receiver;
mod redis;
mod resp;
mod server;
mod wait;
mod wire;

pub use calls::Popped;
pub use client::{Broken, Client, READ_TIMEOUT, Request, Response, delete, get, head, post, put};
pub use disk::Disk;
pub use layout::{Durability, Layout, scratch};
pub use mongo::Mongo;
pub use names::{Queue, escaped, unique};
pub use port::free_address;
pub use process::Process;
pub use proxy::{Direction, Proxy};
pub use random::Random;
pub use receiver::{Call, Receiver, Reply};
pub use redis::Redis;
pub use resp::{RedisConnection, RedisReply};
pub use server::{Refusal, Server, Settings, Shared, credentials, popbox, shared, shared_secured};
pub use wait::{at_least, eventually, eventually_equal, now_s, pause, soon};
