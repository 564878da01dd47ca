//! Pushes, each connection as fast as it is answered.

use std::time::{Duration, Instant};

use super::{
    CommandError, Ended,
    closed_loop::{ClosedLoop, Repeated},
};
use crate::{
    connection::Connection,
    crew::{self, Part, Plan},
    exchange::{Answer, Asked, Request},
    options::{Options, PayloadOptions, Timing},
    payload::Payloads,
    queue::Prefix,
    random, securing,
    tally::{Counter, Tally},
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
        securing::secure(&self.options, &prefix, self.queues)?;
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| {
            let pushes = Pushes {
                queues: self.queues,
                prefix: &prefix,
                payloads: &payloads,
                seed,
                next: Numbers::of(part),
            };
            ClosedLoop::new(part, pushes)
        })?;
        let latencies = ClosedLoop::latencies(&outcome.loads);
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

/// What each thread asks for.
struct Pushes<'a> {
    queues: u32,
    prefix: &'a Prefix,
    payloads: &'a Payloads,
    seed: u64,
    next: Numbers,
}

impl Repeated for Pushes<'_> {
    const ASKED: Asked = Asked::Push;
    const DONE: Answer<'static> = Answer::Pushed;

    fn ask(&mut self, connection: &mut Connection, now: Instant) {
        let number = self.next.take();
        let queue = random::below(self.queues, self.seed, number);
        let request = Request::Push {
            queues: self.prefix.only(queue),
            payloads: self.payloads,
            number,
        };
        connection.ask(&request, now);
    }

    fn done(tally: &Tally) -> &Counter {
        &tally.pushed
    }
}
