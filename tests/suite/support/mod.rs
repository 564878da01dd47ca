//! What every test stands on: a server to talk to, a client to talk with, names that meet nobody else's.

mod calls;
mod client;
mod disk;
mod layout;
mod names;
mod port;
mod process;
mod random;
mod redis;
mod resp;
mod server;
mod wait;

pub(crate) use calls::Popped;
pub(crate) use client::{
    Broken, Client, READ_TIMEOUT, Request, Response, delete, get, head, post, put,
};
pub(crate) use disk::Disk;
pub(crate) use layout::{Durability, Layout};
pub(crate) use names::{Queue, escaped, unique};
pub(crate) use port::free_address;
pub(crate) use random::Random;
pub(crate) use redis::Redis;
pub(crate) use resp::{RedisConnection, RedisReply};
pub(crate) use server::{Refusal, Server, Settings, popbox, shared};
pub(crate) use wait::{at_least, eventually, now_s, pause, soon};
