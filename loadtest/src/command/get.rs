//! The same path over and over again, each connection as fast as it is answered.

use std::time::{Duration, Instant};

use super::{
    CommandError, Ended,
    closed_loop::{ClosedLoop, Repeated},
};
use crate::{
    connection::Connection,
    crew::{self, Plan},
    exchange::{Answer, Asked, Protocol, Request},
    options::{Options, Timing},
    tally::{Counter, Tally},
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
        let outcome = crew::run(plan, |part| {
            ClosedLoop::new(part, Gets { path: &self.path })
        })?;
        let latencies = ClosedLoop::latencies(&outcome.loads);
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

/// What each thread asks for.
struct Gets<'a> {
    path: &'a str,
}

impl Repeated for Gets<'_> {
    const ASKED: Asked = Asked::Get;
    const DONE: Answer<'static> = Answer::Got;

    fn ask(&mut self, connection: &mut Connection, now: Instant) {
        connection.ask(&Request::Get { path: self.path }, now);
    }

    fn done(tally: &Tally) -> &Counter {
        &tally.received
    }
}
