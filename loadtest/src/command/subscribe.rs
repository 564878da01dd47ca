//! Streams, each of a queue of its own, and pushes to them at a fixed rate.

use std::time::Duration;

use super::{CommandError, Ended};
use crate::{
    delivery::{Crowd, Setup},
    duration,
    options::{Options, PayloadOptions, Timing},
    target::Target,
};

#[derive(Debug, clap::Args)]
pub(super) struct Subscribe {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    payload: PayloadOptions,
    /// Streams, each with a connection and a queue
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    streams: u32,
    /// Pushes a second, to queues chosen by chance
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Connections that push
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pushers: u32,
    /// A server that is pushed to, if not those that are subscribed to; may be given several times
    #[arg(long = "push-target", value_name = "URL")]
    push_targets: Vec<Target>,
    /// From when all streams are asked for to the first push
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    settle: Duration,
}

impl Subscribe {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let setup = Setup {
            options: &self.options,
            timing: self.timing,
            prefix: self.options.prefix("load-subscribe-"),
            payloads: self.payload.payloads(),
            crowd: Crowd {
                streams: self.streams,
                pushers: self.pushers,
                ..Crowd::default()
            },
            rate: self.rate,
            fan: 1,
            inspections: 0,
            wait_seconds: None,
            settle: self.settle,
            push_targets: &self.push_targets,
        };
        let delivered = setup.run()?;
        let mut report = self.options.report("subscribe");
        report.count("streams", u64::from(self.streams));
        delivered.report_setup(&setup, &mut report);
        report.latencies("stream", &delivered.measures.streams);
        report.latencies("push", &delivered.measures.pushes);
        delivered.report_counts(&mut report);
        Ok(Ended {
            report,
            fault: delivered.fault(),
        })
    }
}
