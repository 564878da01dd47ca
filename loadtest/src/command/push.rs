//! Pushes, each connection as fast as it is answered.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CommandError, Ended};
use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Part, Plan},
    event_loop::Load,
    exchange::{Answer, Asked, Request},
    latencies::Latencies,
    options::{Options, PayloadOptions, Timing},
    payload::Payloads,
    phases::Phases,
    queue::Prefix,
    random,
    recent::Recent,
    tally::Tally,
};

#[derive(Debug, clap::Args)]
pub(super) struct Push {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    payload: PayloadOptions,
    /// Connections, each with one push under way
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Queues that the pushes go to, by chance
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    queues: u32,
}

impl Push {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let connections = self.options.connections(self.connections as usize);
        let payloads = self.payload.payloads();
        let seed = self.options.seed();
        let prefix = self.options.prefix("load-push-");
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| Thread {
            push: &self,
            prefix: &prefix,
            payloads: &payloads,
            seed,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            latencies: Latencies::new(),
            recent: part.recent.clone(),
            next: Numbers::of(part),
            under_way: 0,
        })?;
        let mut latencies = Latencies::new();
        for thread in &outcome.loads {
            latencies.add(&thread.latencies);
        }
        let mut report = self.options.report("push");
        report.count("connections", u64::from(self.connections));
        report.count("queues", u64::from(self.queues));
        report.count("payload_bytes", payloads.bytes() as u64);
        report.count("seed", seed);
        report.rate(
            "pushed_per_second",
            outcome.measured.pushed,
            outcome.elapsed,
        );
        report.latencies("push", &latencies);
        report.count("pushed", outcome.total.pushed);
        outcome.finish(&mut report, outcome.measured.pushed);
        let nothing = outcome.total.pushed == 0;
        Ok(Ended {
            report,
            fault: nothing.then(|| "no push was stored".to_owned()),
        })
    }
}

/// Numbers of pushes that no other thread has.
pub(super) struct Numbers {
    next: u64,
    step: u64,
}

impl Numbers {
    /// Those of this thread.
    pub(super) fn of(part: &Part) -> Self {
        Self {
            next: part.thread as u64,
            step: part.threads as u64,
        }
    }

    /// The same, beyond the first so many, which somebody else has.
    pub(super) fn beyond(self, taken: u64) -> Self {
        Self {
            next: self.next.saturating_add(taken),
            ..self
        }
    }

    /// The next one.
    pub(super) fn take(&mut self) -> u64 {
        let number = self.next;
        self.next += self.step;
        number
    }
}

/// One thread's connections.
struct Thread<'a> {
    push: &'a Push,
    prefix: &'a Prefix,
    payloads: &'a Payloads,
    seed: u64,
    phases: Phases,
    tally: Arc<Tally>,
    latencies: Latencies,
    recent: Recent,
    next: Numbers,
    under_way: usize,
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        if self.phases.is_over(now) {
            return;
        }
        let number = self.next.take();
        let queue = random::below(self.push.queues, self.seed, number);
        let request = Request::Push {
            queues: self.prefix.only(queue),
            payloads: self.payloads,
            number,
        };
        connection.ask(&request, now);
        self.under_way += 1;
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        self.under_way -= 1;
        if answer == Answer::Pushed {
            self.tally.pushed.count();
            if self.phases.is_measured(now) {
                let latency = now - asked.since;
                self.latencies.record(latency);
                self.recent.record(latency);
            }
            self.ready(connection, now);
        } else {
            self.tally.refuse(&answer);
            connection.pause();
        }
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        if connection.asked() == Some(Asked::Push) {
            self.tally.unknown.count();
            self.under_way -= 1;
        }
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        self.phases.closed_loop(now, self.under_way)
    }
}
