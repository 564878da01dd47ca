//! Waiters that nobody wakes: the memory and the processor time that they cost.

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
    exchange::{Answer, Request},
    options::{Options, Timing},
    phases::Phases,
    queue::Prefix,
    report::float,
    securing,
    tally::Tally,
};

#[derive(Debug, clap::Args)]
pub(super) struct Hold {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    /// Waiters, each with a connection and a queue
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    waiters: u32,
    /// Seconds a pop waits until it is answered without a message and posted anew; if left out, as long as possible
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: Option<u32>,
}

impl Hold {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let connections = self.options.connections(self.waiters as usize);
        let prefix = self.options.prefix("load-hold-");
        securing::secure(&self.options, &prefix, self.waiters)?;
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| Thread::new(&self, &prefix, part))?;
        let mut report = self.options.report("hold");
        report.count("waiters", u64::from(self.waiters));
        let seconds = self.timing.duration.as_secs();
        report.count("held_seconds", seconds);
        report.count("empty", outcome.total.empty);
        for watched in &outcome.watched {
            let name = &watched.name;
            let before = watched.before.resident_bytes;
            let held = watched.until.resident_bytes;
            report.count(format!("{name}_resident_kib_before"), before / 1024);
            let each = float(held.saturating_sub(before)) / f64::from(self.waiters);
            report.number(format!("{name}_resident_bytes_per_waiter"), each);
        }
        outcome.finish(&mut report, 0);
        let (dropped, refused) = (outcome.total.dropped, outcome.total.refused);
        Ok(Ended {
            report,
            fault: (dropped > 0 || refused > 0).then(|| {
                format!("{dropped} connections of waiters dropped, {refused} pops refused")
            }),
        })
    }
}

/// One thread's waiters.
struct Thread<'a> {
    hold: &'a Hold,
    prefix: &'a Prefix,
    phases: Phases,
    tally: Arc<Tally>,
}

impl<'a> Thread<'a> {
    fn new(hold: &'a Hold, prefix: &'a Prefix, part: &Part) -> Self {
        Self {
            hold,
            prefix,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
        }
    }
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        // There are no more connections than waiters, whose number is a u32.
        let queue = u32::try_from(connection.number()).unwrap_or(u32::MAX);
        let request = Request::Wait {
            queue: self.prefix.queue(queue),
            seconds: self.hold.timeout,
        };
        connection.ask(&request, now);
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        _asked: UnderWay,
        now: Instant,
    ) {
        if let Answer::Messages(payloads) = answer {
            if payloads.is_empty() {
                self.tally.empty.count();
            }
            self.tally.foreign.add(payloads.len() as u64);
            self.ready(connection, now);
        } else {
            self.tally.refuse(&answer);
            connection.pause();
        }
    }

    fn dropped(&mut self, _connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        if self.phases.is_over(now) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(self.phases.measured_until)
    }
}
