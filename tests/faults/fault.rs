//! What can happen to a site. Each kind does it, and says how it is undone.

use std::ops::Range;

use popbox_test_support::Random;

use super::site::{Shard, Site};
use super::wires;

/// Undoes a fault. What it struck may meanwhile have been struck by another one: then there may be nothing to undo.
pub(crate) type Heal = Box<dyn FnOnce(&Site) + Send>;

/// One kind of fault.
pub(crate) trait Fault: Send + Sync {
    /// As the report calls it.
    fn name(&self) -> &'static str;

    /// How long it lasts, in milliseconds. What is over at once may be given time all the same, so that others can
    /// happen meanwhile.
    fn lasts_ms(&self) -> Range<usize>;

    /// Does it, to whatever part of the site the dice say. It must not wait for what another fault may have stopped.
    fn strike(&self, site: &Site, random: &mut Random) -> Heal;
}

/// All that can happen to this site.
pub(crate) fn repertoire(site: &Site, is_long_run: bool) -> Vec<Box<dyn Fault>> {
    let mut faults: Vec<Box<dyn Fault>> = vec![
        Box::new(AgentKilled),
        Box::new(AgentStopped),
        Box::new(AgentClockSet),
    ];
    if is_long_run {
        faults.push(Box::new(AgentStoppedForLong));
    }
    if !site.shards.is_empty() {
        faults.extend([
            Box::new(RedisKilled) as Box<dyn Fault>,
            Box::new(RedisStopped),
            Box::new(ConnectionsCut),
            Box::new(SubscribersCut),
            Box::new(ScriptsForgotten),
            Box::new(RedisFull),
        ]);
        faults.extend(wires::repertoire());
    }
    faults
}

fn nothing_to_undo() -> Heal {
    Box::new(|_| {})
}

/// `kill -9` of an agent; it stays away for a while.
struct AgentKilled;

impl Fault for AgentKilled {
    fn name(&self) -> &'static str {
        "agent: kill -9"
    }

    fn lasts_ms(&self) -> Range<usize> {
        0..2_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let agent = random.below(site.agents.len());
        site.agents[agent].kill();
        Box::new(move |site| site.agents[agent].start())
    }
}

/// An agent that stands still, with all its connections.
struct AgentStopped;

impl Fault for AgentStopped {
    fn name(&self) -> &'static str {
        "agent: SIGSTOP"
    }

    fn lasts_ms(&self) -> Range<usize> {
        300..4_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        stop_an_agent(site, random)
    }
}

/// Somebody sets the time of the machine that an agent is on, and sets it right later. By less than messages live.
struct AgentClockSet;

/// Forth or back, in seconds. A lease that was given while a clock was ahead, by an agent that was then killed, lasts
/// longer by the step.
const CLOCK_STEP_MAX_S: usize = 15;

impl Fault for AgentClockSet {
    fn name(&self) -> &'static str {
        "agent: clock set"
    }

    fn lasts_ms(&self) -> Range<usize> {
        300..3_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let agent = random.below(site.agents.len());
        let seconds = i64::try_from(1 + random.below(CLOCK_STEP_MAX_S)).unwrap();
        let is_forth = random.below(2) == 0;
        let clock = &site.agents[agent].clock;
        clock.set_ahead(if is_forth { seconds } else { -seconds });
        Box::new(move |site| site.agents[agent].clock.set_right())
    }
}

/// An agent that stands still for longer than a worker may be silent.
struct AgentStoppedForLong;

impl Fault for AgentStoppedForLong {
    fn name(&self) -> &'static str {
        "agent: SIGSTOP > 10 s"
    }

    fn lasts_ms(&self) -> Range<usize> {
        11_000..14_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        stop_an_agent(site, random)
    }
}

fn stop_an_agent(site: &Site, random: &mut Random) -> Heal {
    let agent = random.below(site.agents.len());
    site.agents[agent].freeze();
    Box::new(move |site| site.agents[agent].thaw())
}

/// `kill -9` of a redis-server, which then reads its log.
struct RedisKilled;

impl Fault for RedisKilled {
    fn name(&self) -> &'static str {
        "redis: kill -9"
    }

    fn lasts_ms(&self) -> Range<usize> {
        0..3_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let shard = random.below(site.shards.len());
        site.shards[shard].redis.kill();
        Box::new(move |site| {
            let redis = &site.shards[shard].redis;
            if !redis.is_running() {
                redis.start_again();
            }
        })
    }
}

/// A redis-server that stands still: sometimes for longer than an agent waits for an answer.
struct RedisStopped;

impl Fault for RedisStopped {
    fn name(&self) -> &'static str {
        "redis: SIGSTOP"
    }

    fn lasts_ms(&self) -> Range<usize> {
        300..5_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let shard = random.below(site.shards.len());
        site.shards[shard].redis.signal(libc::SIGSTOP);
        Box::new(move |site| {
            site.shards[shard].redis.signal(libc::SIGCONT);
        })
    }
}

/// Every connection to a redis-server ends, but those that are subscribed.
struct ConnectionsCut;

impl Fault for ConnectionsCut {
    fn name(&self) -> &'static str {
        "CLIENT KILL TYPE normal"
    }

    fn lasts_ms(&self) -> Range<usize> {
        0..1
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        attempt(site, random, &["CLIENT", "KILL", "TYPE", "normal"])
    }
}

/// Every connection that is subscribed ends.
struct SubscribersCut;

impl Fault for SubscribersCut {
    fn name(&self) -> &'static str {
        "CLIENT KILL TYPE pubsub"
    }

    fn lasts_ms(&self) -> Range<usize> {
        0..1
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        attempt(site, random, &["CLIENT", "KILL", "TYPE", "pubsub"])
    }
}

/// A redis-server forgets the scripts that it was given.
struct ScriptsForgotten;

impl Fault for ScriptsForgotten {
    fn name(&self) -> &'static str {
        "FUNCTION FLUSH"
    }

    fn lasts_ms(&self) -> Range<usize> {
        0..1
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        attempt(site, random, &["FUNCTION", "FLUSH"])
    }
}

/// A redis-server that refuses to take more.
struct RedisFull;

impl Fault for RedisFull {
    fn name(&self) -> &'static str {
        "redis: maxmemory 1mb"
    }

    fn lasts_ms(&self) -> Range<usize> {
        200..2_000
    }

    fn strike(&self, site: &Site, random: &mut Random) -> Heal {
        let shard = random.below(site.shards.len());
        let set = |shard: &Shard, memory: &str| {
            // A server that is away takes no setting, and has none when it comes back; one that is stopped is mended
            // once it goes on.
            let _ = shard.attempt(&["CONFIG", "SET", "maxmemory", memory]);
        };
        set(&site.shards[shard], "1mb");
        Box::new(move |site| set(&site.shards[shard], "0"))
    }
}

/// What is done by a command, if the server is there to take it.
fn attempt(site: &Site, random: &mut Random, words: &[&str]) -> Heal {
    let shard = random.below(site.shards.len());
    // Our own connection may be among those that end.
    let _ = site.shards[shard].attempt(words);
    nothing_to_undo()
}
