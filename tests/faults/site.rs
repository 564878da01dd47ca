//! The servers of a trial: agents, the redis-servers under them, and what lies between.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use popbox_test_support::{Proxy, Redis, RedisReply, scratch};
use tempfile::TempDir;

use super::agent::Agent;
use super::arrangement::Arrangement;

/// How often a message is delivered before it is a dead letter.
pub(crate) const MAX_DELIVERIES: usize = 3;

/// How long agents may take to be ready once nothing is wrong any more.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a fault that was healed may take to be gone from a redis-server that has just been thawed or started.
const MEND_TIMEOUT: Duration = Duration::from_secs(30);

/// A redis-server as agents see it.
pub(crate) struct Shard {
    pub(crate) redis: Redis,
    /// What agents connect to in its place.
    pub(crate) proxy: Proxy,
}

impl Shard {
    /// One that keeps what it has acknowledged.
    fn start(scratch: &TempDir) -> Self {
        let redis = Redis::start(
            scratch.path(),
            &["--appendonly", "yes", "--appendfsync", "always"],
        );
        Self {
            proxy: Proxy::to(redis.socket_address()),
            redis,
        }
    }
}

/// All of it; dropped, it is gone.
pub(crate) struct Site {
    pub(crate) agents: Vec<Agent>,
    /// First those of queues, then those of transactions.
    pub(crate) shards: Vec<Shard>,
    /// Behind the processes, so that these are dropped before the folder they write to.
    scratch: TempDir,
}

impl Site {
    /// Starts everything and waits until it serves.
    pub(crate) fn start(arrangement: Arrangement) -> Self {
        let scratch = scratch();
        let (queues, transactions) = arrangement.redis_servers();
        let shards: Vec<Shard> = (0..queues + transactions)
            .map(|_| Shard::start(&scratch))
            .collect();
        let mut settings = vec![
            // Two, so that a push and the pop it wakes are often on different ones.
            ("server.workers", "2".to_owned()),
            // Long enough for a busy machine, and over well before a probe counts as forgotten.
            ("limits.delivery_lease", "5s".to_owned()),
            ("limits.max_deliveries", MAX_DELIVERIES.to_string()),
            ("log.level", "warn".to_owned()),
        ];
        if shards.is_empty() {
            let folder = scratch.path().join("store").display().to_string();
            settings.push(("store.path", folder));
            settings.push(("store.durability", "sync".to_owned()));
        } else {
            let urls = |shards: &[Shard]| {
                let urls = shards
                    .iter()
                    .map(|shard| format!("redis://{}/0", shard.proxy.address()));
                format!("{:?}", urls.collect::<Vec<_>>())
            };
            let (queues, transactions) = shards.split_at(queues);
            settings.push(("store.kind", "redis".to_owned()));
            settings.push(("redis.queues", urls(queues)));
            settings.push(("redis.transactions", urls(transactions)));
            // Shorter than some of the faults last.
            settings.push(("redis.reply_timeout", "2s".to_owned()));
        }
        let settings: Vec<(String, String)> = settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let agents = (0..arrangement.agents())
            .map(|number| {
                let folder = scratch.path().join(format!("agent-{number}"));
                fs::create_dir(&folder).unwrap();
                let spool = folder.join("spool").display().to_string();
                let mut settings = settings.clone();
                settings.push(("offload.spool".to_owned(), spool));
                Agent::new(settings, &folder)
            })
            .collect();
        let site = Self {
            agents,
            shards,
            scratch,
        };
        if let Err(trouble) = site.mend() {
            panic!("{trouble}\n{}", site.logs());
        }
        site
    }

    /// Whatever was left stopped, dead or full goes on; waits until every agent is ready. What does not is a finding.
    pub(crate) fn mend(&self) -> Result<(), String> {
        for shard in &self.shards {
            if !shard.redis.signal(libc::SIGCONT) {
                shard.redis.start_again();
            }
            shard.proxy.heal();
            shard.insist(&["CONFIG", "SET", "maxmemory", "0"])?;
        }
        for agent in &self.agents {
            agent.clock.set_right();
            agent.start();
            agent.thaw();
        }
        self.agents
            .iter()
            .try_for_each(|agent| agent.await_ready(READY_TIMEOUT))
    }

    /// Files of a trial.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let logs: Vec<String> = self.agents.iter().map(Agent::logs).collect();
        logs.join("\n")
    }
}

impl Shard {
    /// Repeats a command until it is taken.
    fn insist(&self, words: &[&str]) -> Result<RedisReply, String> {
        let deadline = Instant::now() + MEND_TIMEOUT;
        loop {
            let trouble = match self.redis.try_call(words) {
                Ok(RedisReply::Error(text)) => text,
                Ok(reply) => return Ok(reply),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                return Err(format!("{words:?} on {}: {trouble}", self.redis.address()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command that may find the server away.
    pub(crate) fn attempt(&self, words: &[&str]) -> io::Result<RedisReply> {
        self.redis.try_call(words)
    }
}
