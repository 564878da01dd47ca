//! The histories that the engine is tested by, with the engine and this store at once.

use std::rc::Rc;

use redis_protocol::resp3::types::BytesFrame;

use super::bench::{Agents, Bench, Layout};
use crate::mailbox::{
    Limits, Op, State, Ticket, UnixMillis,
    engine::model_test::{
        EVER, History, Home, Kept, Model, Replies, START, Subject, Told, each_seed,
    },
};

/// For each layout so many that a build without optimization takes some fifteen seconds.
const SEEDS: u64 = 40;

/// Workers that share the servers, each of another agent.
const AGENTS: usize = 2;

/// Looks for what is wrong inside a server of queues.
pub(super) const INSPECT: &str = include_str!("inspect.lua");

/// Removes the records and the keys of pushes that are over: servers do it by their own clock, which is not that of the
/// history. Gives how many transactions there are whose delay is over.
const EXPIRE: &str = "
    for _, key in ipairs(redis.call('KEYS', 'pb:t:*')) do
        if redis.call('TYPE', key).ok == 'string' then
            local ends = struct.unpack('>I4', redis.call('GETRANGE', key, 0, 3))
            if ends * 1000 <= tonumber(ARGV[1]) then
                redis.call('DEL', key, key .. ':n')
            end
        end
    end
    for _, key in ipairs(redis.call('KEYS', 'pb:i:*')) do
        if tonumber(redis.call('HGET', key, 'u')) <= tonumber(ARGV[1]) then
            redis.call('DEL', key)
        end
    end
    return redis.call('ZCOUNT', 'pb:delayed', '-inf', ARGV[1])";

struct Redis {
    agents: Agents,
    now: UnixMillis,
    calls: u64,
}

impl Redis {
    fn start(bench: &Rc<Bench>, limits: &Limits) -> Self {
        let now = START;
        Self {
            agents: Agents::start(bench, AGENTS, limits, Some(now)),
            now,
            calls: 0,
        }
    }

    /// Makes it this time; whether a transaction is to arrive by now.
    fn set_time(&mut self, now: UnixMillis) -> bool {
        self.now = now;
        self.agents.set_time(now);
        self.calls += 1;
        let now = now.0.to_string();
        let server = self.agents.bench.transactions();
        let due = server.ask(&["EVAL", EXPIRE, "0", &now]);
        !matches!(due, BytesFrame::Number { data: 0, .. })
    }
}

impl Subject for Redis {
    fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op) -> Replies {
        let is_any_due = self.set_time(now);
        // An operation on a queue does by itself what has fallen due there, whether anybody looks after it or not.
        let is_first = self.calls.is_multiple_of(2) && !is_any_due && is_on_queue(&op);
        let agents = &self.agents;
        agents.bench.run(async {
            if !is_first {
                agents.sweep(self.calls).await;
            }
            agents.submit(ticket, op);
            agents.calm().await;
            if is_first {
                agents.sweep(self.calls).await;
            }
        });
        agents.replies()
    }

    fn advance(&mut self, now: UnixMillis) -> Replies {
        self.set_time(now);
        let agents = &self.agents;
        agents.bench.run(agents.sweep(self.calls));
        agents.replies()
    }

    fn told(&mut self) -> Vec<Told> {
        self.agents.told()
    }

    fn hears(&self, told: Vec<Told>) -> Vec<Told> {
        let is_told = |(at, it): &(usize, &Told)| {
            let mut later = told.iter().skip(at + 1);
            let ends = |then: &Told| {
                then.state == State::Expired && then.id == it.id && then.queue == it.queue
            };
            // What is over when its lease lapses does not come back here before it ends; and of a transaction that is
            // over when its delay is, nothing is left by which its queues are known.
            !it.was_held_back && !later.any(ends)
        };
        let each = told.iter().enumerate().filter(is_told);
        each.map(|(_, it)| it.clone()).collect()
    }

    fn look(&mut self, _: UnixMillis, looks: Vec<(Ticket, Op)>) -> Replies {
        let agents = &self.agents;
        agents.bench.run(async {
            for (ticket, op) in looks {
                agents.submit(ticket, op);
            }
            agents.calm().await;
        });
        agents.replies()
    }

    fn restart(&mut self) {
        self.agents.crash(Some(self.now));
    }

    fn check(&mut self, model: &Model, now: UnixMillis) {
        let bench = &self.agents.bench;
        for server in &bench.queues {
            let faults = server.texts(&["EVAL", INSPECT, "0"]);
            assert!(faults.is_empty(), "{faults:#?}");
        }
        if model.is_empty() {
            for server in bench.servers() {
                let mut keys = server.texts(&["KEYS", "*"]);
                // Queues may be known a little longer, but not for ever.
                let is_end = now.0 >= START.0 + EVER;
                keys.retain(|key| is_end || !key.starts_with("pb:q:"));
                keys.retain(|key| is_end || key != "pb:due");
                // Pushes are remembered whatever becomes of them.
                keys.retain(|key| is_end || !key.starts_with("pb:i:"));
                // Secured queues stay.
                keys.retain(|key| !key.starts_with("pb:c:"));
                keys.retain(|key| key != "pb:workers" && key != "pb:delayed:n");
                assert!(keys.is_empty(), "{keys:?} are left");
            }
        }
    }

    fn may_forget(&self, model: &Model, now: UnixMillis, last_pop: u64) -> bool {
        // A transaction that has been in the queue does not keep it known here.
        model.forget_at(last_pop) <= now
    }
}

fn is_on_queue(op: &Op) -> bool {
    matches!(
        op,
        Op::Pop(_) | Op::Settle { .. } | Op::Release { .. } | Op::Ack { .. }
    )
}

fn run(layout: Layout) {
    let bench = Bench::new(layout);
    each_seed(SEEDS, |seed, is_told| {
        let subjects = |limits| -> Vec<Box<dyn Subject>> {
            vec![
                Box::new(Kept::new(limits, Home::Servers)),
                Box::new(Redis::start(&bench, &limits)),
            ]
        };
        History::new(seed, is_told, Home::Servers, subjects).run();
    });
}

#[test]
fn one_server_answers_as_the_engine_does() {
    run(Layout::One);
}

#[test]
fn three_servers_answer_as_the_engine_does() {
    run(Layout::Three);
}
