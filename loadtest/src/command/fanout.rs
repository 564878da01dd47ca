//! Each push goes to many queues, at all of which somebody waits.

use std::time::Duration;

use super::{CommandError, Ended};
use crate::{
    delivery::{Crowd, FAN_MAX, Setup},
    duration,
    options::{Options, PayloadOptions, Timing},
    target::Target,
};

#[derive(Debug, clap::Args)]
pub(super) struct Fanout {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    payload: PayloadOptions,
    /// Waiters, each with a connection and a queue
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    waiters: u32,
    /// Queues of each push: neighbours, from one on that is chosen by chance
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(FAN_MAX)))]
    queues: u32,
    /// Pushes a second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Connections that push
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pushers: u32,
    /// A server that is pushed to, if not those that are waited at; may be given several times
    #[arg(long = "push-target", value_name = "URL")]
    push_targets: Vec<Target>,
    /// Seconds a pop waits until it is answered without a message and posted anew; if left out, as long as possible
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: Option<u32>,
    /// From when all waiters wait to the first push
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    settle: Duration,
}

impl Fanout {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let setup = Setup {
            options: &self.options,
            timing: self.timing,
            prefix: self.options.prefix("load-fanout-"),
            payloads: self.payload.payloads(),
            crowd: Crowd {
                waiters: self.waiters,
                pushers: self.pushers,
                ..Crowd::default()
            },
            rate: self.rate,
            fan: self.queues,
            inspections: 0,
            wait_seconds: self.timeout,
            settle: self.settle,
            push_targets: &self.push_targets,
        };
        let delivered = setup.run()?;
        let mut report = self.options.report("fanout");
        report.count("waiters", u64::from(self.waiters));
        report.count("queues_per_push", u64::from(self.queues));
        delivered.report_setup(&setup, &mut report);
        report.latencies("each", &delivered.measures.pops);
        if self.queues > 1 {
            report.latencies("last", &delivered.measures.lasts);
        }
        report.latencies("push", &delivered.measures.pushes);
        delivered.report_counts(&mut report);
        Ok(Ended {
            report,
            fault: delivered.fault(),
        })
    }
}
