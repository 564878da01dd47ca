//! Which servers there are, and over which store.

/// One of the layouts of the suite, here always with writes that are on the disk when they are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// One agent over files.
    Embedded,
    /// One agent over one redis-server.
    Redis,
    /// One agent over two redis-servers for queues and another for transactions.
    RedisShards,
    /// Two agents over three such redis-servers.
    RedisAgents,
}

impl Arrangement {
    pub(crate) const ALL: [Self; 4] = [
        Self::Embedded,
        Self::Redis,
        Self::RedisShards,
        Self::RedisAgents,
    ];

    /// As `POPBOX_TEST_LAYOUT` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::RedisShards => "redis-shards",
            Self::RedisAgents => "redis-agents",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// How many popbox processes.
    pub(crate) fn agents(self) -> usize {
        match self {
            Self::Embedded | Self::Redis | Self::RedisShards => 1,
            Self::RedisAgents => 2,
        }
    }

    /// How many redis-servers have queues, and how many transactions only.
    pub(crate) fn redis_servers(self) -> (usize, usize) {
        match self {
            Self::Embedded => (0, 0),
            Self::Redis => (1, 0),
            Self::RedisShards | Self::RedisAgents => (2, 1),
        }
    }
}
