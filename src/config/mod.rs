//! What an operator may set, with defaults and allowed values.
//!
//! [`Config::load`] takes [`Sources`] (a TOML file, the environment, `--set`) and gives a [`Config`] in which
//! every value has been parsed and is within its range, or [`Faults`]: all that is wrong, at once. One file per
//! TOML section; a field has the name of its key. Nothing here is read again once the server runs.

mod auth;
mod callbacks;
mod duration;
mod fault;
mod history;
mod limits;
mod log;
mod mongo_uri;
mod offload;
mod reader;
mod redis;
mod redis_address;
mod section;
mod server;
mod settings;
mod sink;
mod size;
mod sources;
mod store;
mod tls;
mod user;
mod value;

pub use auth::{Auth, CreateQueues, Credentials, NotCredentials};
pub use callbacks::{Callbacks, Secret};
pub use fault::{Fault, Faults, Origin};
pub use history::History;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use mongo_uri::{MongoUri, NotAMongoUri};
pub use offload::Offload;
pub use redis::Redis;
pub use redis_address::{NotARedisAddress, RedisAddress};
pub use server::Server;
pub use sink::{Field, Sink, SinkEvent};
pub use size::{NotASize, Size};
pub use sources::Sources;
pub use store::{Durability, Store, StoreKind};
pub use tls::Tls;
pub use user::{Role, Roles, User};

use reader::Reader;
use settings::Settings;

/// Everything an operator may set; one field per section of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[server]`: where it listens, with how many threads, and how it stops.
    pub server: Server,
    /// `[tls]`: the encrypted listener.
    pub tls: Tls,
    /// `[store]`: where messages are kept.
    pub store: Store,
    /// `[redis]`: the servers of the Redis store.
    pub redis: Redis,
    /// `[limits]`: bounds on sizes, numbers and waits.
    pub limits: Limits,
    /// `[auth]`: who may do what.
    pub auth: Auth,
    /// `[offload]`: what history and callbacks run on.
    pub offload: Offload,
    /// `[callbacks]`: what is told to others when a message is delivered.
    pub callbacks: Callbacks,
    /// `[history]`: a record of what happened, in MongoDB.
    pub history: History,
    /// `[log]`: what is logged, and how.
    pub log: Log,
}

impl Config {
    /// Reads every source and gives the configuration, or every fault found in them.
    ///
    /// A value that a stronger source replaces is not looked at; a key that does not exist is a fault wherever it
    /// is given.
    pub fn load(sources: &Sources) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let settings = Settings::gather(sources, &mut faults);
        let mut reader = Reader::new(settings, faults);
        let config = Self::read(&mut reader);
        let faults = reader.finish();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    fn read(reader: &mut Reader) -> Self {
        Self {
            server: reader.section("server", Server::read),
            tls: reader.section("tls", Tls::read),
            store: reader.section("store", Store::read),
            redis: reader.section("redis", Redis::read),
            limits: reader.section("limits", Limits::read),
            auth: reader.section("auth", Auth::read),
            offload: reader.section("offload", Offload::read),
            callbacks: reader.section("callbacks", Callbacks::read),
            history: reader.section("history", History::read),
            log: reader.section("log", Log::read),
        }
    }
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod tests;
