//! Takes out what is in the queues.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{CommandError, Ended};
use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Part, Plan},
    event_loop::Load,
    exchange::{Answer, Asked, Protocol, Request},
    latencies::Latencies,
    options::Options,
    queue::Prefix,
    recent::Recent,
    securing,
    tally::Tally,
};

#[derive(Debug, clap::Args)]
pub(super) struct Pop {
    #[command(flatten)]
    pub(super) options: Options,
    /// Connections, each with one pop under way
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Queues that are emptied, each by one connection until a pop finds nothing
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    queues: u32,
    /// Messages taken at a time
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max: u32,
}

impl Pop {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let known = [Protocol::Popbox, Protocol::Redis];
        if let Some(other) = self.options.target_besides(&known, &[]) {
            return Err(CommandError::NotOfTarget(other));
        }
        let connections = self.options.connections(self.connections as usize);
        // Those that the command `push` fills.
        let prefix = self.options.prefix("load-push-");
        securing::secure(&self.options, &prefix, self.queues)?;
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: Duration::ZERO,
            duration: None,
            options: &self.options,
        };
        let next = AtomicU32::new(0);
        let outcome = crew::run(plan, |part| Thread::new(&self, &prefix, &next, part))?;
        let mut latencies = Latencies::new();
        for thread in &outcome.loads {
            latencies.add(&thread.latencies);
        }
        let mut report = self.options.report("pop");
        report.count("connections", u64::from(self.connections));
        report.count("queues", u64::from(self.queues));
        report.count("received", outcome.total.received);
        report.rate(
            "received_per_second",
            outcome.total.received,
            outcome.elapsed,
        );
        report.latencies("pop", &latencies);
        outcome.finish(&mut report, outcome.total.received);
        Ok(Ended {
            report,
            fault: None,
        })
    }
}

/// One thread's connections.
struct Thread<'a> {
    pop: &'a Pop,
    prefix: &'a Prefix,
    /// The next queue that nobody empties.
    next: &'a AtomicU32,
    /// For each connection, the queue that it empties.
    emptying: Vec<Option<u32>>,
    tally: Arc<Tally>,
    latencies: Latencies,
    recent: Recent,
}

impl<'a> Thread<'a> {
    fn new(pop: &'a Pop, prefix: &'a Prefix, next: &'a AtomicU32, part: &Part) -> Self {
        Self {
            pop,
            prefix,
            next,
            emptying: vec![None; part.connections],
            tally: Arc::clone(&part.tally),
            latencies: Latencies::new(),
            recent: part.recent.clone(),
        }
    }

    fn next_queue(&self) -> Option<u32> {
        let queues = self.pop.queues;
        let step = |queue: u32| (queue < queues).then_some(queue + 1);
        self.next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .ok()
    }
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        let before = self.emptying.get(connection.index()).copied().flatten();
        let queue = before.or_else(|| self.next_queue());
        if let Some(emptying) = self.emptying.get_mut(connection.index()) {
            *emptying = queue;
        }
        if let Some(number) = queue {
            // A pop of an empty queue would wait.
            let queue = self.prefix.queue(number);
            connection.ask(&Request::Peek { queue }, now);
        }
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        let Answer::Messages(payloads) = answer else {
            self.tally.refuse(&answer);
            return connection.pause();
        };
        let Some(emptying) = self.emptying.get_mut(connection.index()) else {
            return;
        };
        if payloads.is_empty() {
            *emptying = None;
        } else if asked.kind == Asked::Drain {
            self.tally.received.add(payloads.len() as u64);
            let latency = now - asked.since;
            self.latencies.record(latency);
            self.recent.record(latency);
        } else if let Some(number) = *emptying {
            let request = Request::Drain {
                queue: self.prefix.queue(number),
                messages_max: self.pop.max,
            };
            return connection.ask(&request, now);
        }
        self.ready(connection, now);
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        if connection.asked() == Some(Asked::Drain) {
            self.tally.unknown.count();
        }
    }

    fn turn(&mut self, _: &mut [Connection], _: Instant) -> ControlFlow<(), Option<Instant>> {
        if self.emptying.iter().all(Option::is_none) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(None)
    }
}
