//! The same path over and over again, each connection as fast as it is answered.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CommandError, Ended};
use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Plan},
    event_loop::Load,
    exchange::{Answer, Asked, Protocol, Request},
    latencies::Latencies,
    options::{Options, Timing},
    phases::Phases,
    recent::Recent,
    tally::Tally,
};

#[derive(Debug, clap::Args)]
pub(super) struct Get {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    /// What is asked for, of whatever server speaks HTTP
    #[arg(long, default_value = "/", value_parser = path)]
    path: String,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
}

/// What can stand in a request as it is.
fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a path begins with / and is encoded as in a URL".to_owned())
    }
}

impl Get {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        if let Some(other) = self.options.target_besides(&[Protocol::Popbox], &[]) {
            return Err(CommandError::NotOfTarget(other));
        }
        let connections = self.options.connections(self.connections as usize);
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| Thread {
            path: &self.path,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            latencies: Latencies::new(),
            recent: part.recent.clone(),
            under_way: 0,
        })?;
        let mut latencies = Latencies::new();
        for thread in &outcome.loads {
            latencies.add(&thread.latencies);
        }
        let mut report = self.options.report("get");
        report.text("path", self.path.as_str());
        report.count("connections", u64::from(self.connections));
        report.rate(
            "gets_per_second",
            outcome.measured.received,
            outcome.elapsed,
        );
        report.latencies("get", &latencies);
        report.count("received", outcome.total.received);
        outcome.finish(&mut report, outcome.measured.received);
        let nothing = outcome.total.received == 0;
        Ok(Ended {
            report,
            fault: nothing.then(|| "nothing was answered".to_owned()),
        })
    }
}

/// One thread's connections.
struct Thread<'a> {
    path: &'a str,
    phases: Phases,
    tally: Arc<Tally>,
    latencies: Latencies,
    recent: Recent,
    under_way: usize,
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        if self.phases.is_over(now) {
            return;
        }
        connection.ask(&Request::Get { path: self.path }, now);
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
        if answer == Answer::Got {
            self.tally.received.count();
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
        if connection.asked() == Some(Asked::Get) {
            self.tally.unknown.count();
            self.under_way -= 1;
        }
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        self.phases.closed_loop(now, self.under_way)
    }
}
