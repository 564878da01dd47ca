//! The store of many agents: state in Redis servers, shared by whoever uses them.
//!
//! Queues are spread over the servers of `redis.queues`, transactions over those of `redis.transactions`. Each worker
//! has one connection to a server for queues, which is its subscription as well, and one for transactions, whose
//! answers are large; it does not matter how many pops wait. An operation is a task of the worker's thread, but for
//! pops, of which there are the most: those are entries of a table. What is asked of a server's queues in one turn goes
//! there in one call of a function.
//!
//! Read them in this order: `client` (what is done for each operation, with `push`, `waiting`, `contents`,
//! `settle`, `dead`, `once`, `look`, `callbacks`, `amend`, `sweep`), `shard` and `records` (the two kinds of servers),
//! `batch`, `news`, `library` (what runs inside the servers), `keys`, `record`, `connection`.

mod amend;
mod batch;
mod callbacks;
mod check;
mod client;
mod clock;
mod connection;
mod contents;
mod dead;
mod handed;
mod keys;
mod letter;
mod library;
mod look;
mod news;
mod once;
mod push;
mod reader;
mod record;
mod records;
mod settle;
mod shard;
mod sweep;
#[cfg(test)]
mod tests;
mod waiting;

use std::{rc::Rc, sync::Arc};

pub use check::StartError;

use self::{
    client::{Client, Entrance, Limits},
    clock::Clock,
    connection::{Connection, Settings},
    records::Records,
    shard::Shard,
    waiting::Follower,
};
use super::{Health, Receive, Store, Transitions};
use crate::{
    config::{Config, RedisAddress},
    mailbox::engine::Told,
    memory::Account,
    runtime::Timers,
};

/// Takes the first answer off what has come from a server, if all of it is there. A door for who tries what comes to
/// mind to nobody.
#[cfg(fuzzing)]
pub fn decode_frame(
    input: &mut bytes::BytesMut,
) -> Result<
    Option<redis_protocol::resp3::types::BytesFrame>,
    redis_protocol::error::RedisProtocolError,
> {
    connection::decode(input)
}

/// What every worker begins with.
#[derive(Clone, Debug)]
pub struct Gate {
    config: Arc<Config>,
    answer_memory: Arc<Account>,
    health: Arc<Health>,
    transitions: Arc<Transitions>,
}

impl Gate {
    /// Looks at the servers, for so many workers: one that can never do is an error, one that is out of reach is waited
    /// for later. What becomes of messages by themselves is told to `transitions` by the worker that comes across it.
    pub fn open(
        config: &Config,
        workers: usize,
        transitions: Arc<Transitions>,
    ) -> Result<Self, StartError> {
        for address in config.redis.queues.iter().chain(transactions(config)) {
            check::check(address, &config.redis)?;
        }
        Ok(Self {
            answer_memory: Arc::new(Account::new(config.limits.max_answer_memory.bytes())),
            health: Health::new(workers * (config.redis.queues.len() + transactions(config).len())),
            transitions,
            config: Arc::new(config.clone()),
        })
    }

    /// What the contents of answers are charged to.
    pub fn answer_memory(&self) -> &Arc<Account> {
        &self.answer_memory
    }

    /// Whether the servers are within reach.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Connects, on a worker's thread and within its runtime; replies go to `receive`.
    pub fn enter(self, timers: &Rc<Timers>, receive: Receive) -> Box<dyn Store> {
        let client = self.connect(timers, receive);
        client.look_after();
        Box::new(Entrance(client))
    }

    fn connect(self, timers: &Rc<Timers>, receive: Receive) -> Rc<Client> {
        let limits = &self.config.limits;
        let own = Limits {
            queues_per_transaction_max: limits.max_queues,
            listed_messages_max: limits.max_pop,
            backlog_max: limits.max_backlog,
            queue_retention: limits.queue_retention,
            queues_max: limits.max_known_queues,
            waiters_max: limits.max_waiters,
            deliveries_max: limits.max_deliveries,
            tells_all: self.transitions.wanted() == Told::All,
            sweep_interval: self.config.redis.sweep,
        };
        // One server for everything.
        let has_records = self.config.redis.queues.len() == 1
            && transactions(&self.config) == self.config.redis.queues;
        let mut connections = Vec::new();
        let shards = self.config.redis.queues.iter().map(|address| {
            let clock = Rc::new(Clock::new(Rc::clone(timers)));
            let connection = self.connection(address, &clock, timers);
            connections.push(connection.clone());
            Rc::new(Shard::new(
                connection,
                clock,
                &own,
                &self.transitions,
                has_records,
                timers,
            ))
        });
        let shards = shards.collect();
        let records = transactions(&self.config).iter().map(|address| {
            let clock = Rc::new(Clock::new(Rc::clone(timers)));
            let connection = self.connection(address, &clock, timers);
            connection.start(None);
            Rc::new(Records::new(connection, clock, timers))
        });
        let records = records.collect();
        let client = Client::new(
            shards,
            records,
            own,
            Rc::clone(timers),
            Arc::clone(&self.answer_memory),
            receive,
        );
        for (server, connection) in connections.into_iter().enumerate() {
            connection.start(Some(Follower::new(&client, server)));
        }
        client
    }

    fn connection(
        &self,
        address: &RedisAddress,
        clock: &Rc<Clock>,
        timers: &Rc<Timers>,
    ) -> Connection {
        let redis = &self.config.redis;
        let settings = Settings {
            address: address.clone(),
            connect_timeout: redis.connect_timeout,
            reply_timeout: redis.reply_timeout,
            in_flight_max: redis.max_in_flight,
            light: self
                .health
                .light(&format!("{address} is not connected yet")),
            timers: Rc::clone(timers),
        };
        Connection::open(settings, Rc::clone(clock))
    }
}

/// The servers of transactions.
fn transactions(config: &Config) -> &[RedisAddress] {
    let redis = &config.redis;
    if redis.transactions.is_empty() {
        &redis.queues
    } else {
        &redis.transactions
    }
}
