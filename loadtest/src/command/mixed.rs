//! A day in the life: consumers of all kinds, some who look, and pushes of all sizes.

use std::time::Duration;

use super::{CommandError, Ended};
use crate::{
    delivery::{Crowd, Delivered, Setup},
    duration,
    options::{Options, PayloadOptions, Timing},
    report::Report,
    target::Target,
};

/// Who is there, and how much they do.
#[derive(Debug, clap::Args)]
pub(super) struct Mix {
    #[command(flatten)]
    payload: PayloadOptions,
    /// Connections that pop, each a queue of its own
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u32).range(0..10_000_000))]
    waiters: u32,
    /// Connections that borrow (poprel) and ack, each a queue of its own
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..10_000_000))]
    borrowers: u32,
    /// Connections that subscribe, each to a queue of its own
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..10_000_000))]
    streams: u32,
    /// Looks at queues, a second; 0: none
    #[arg(long, default_value_t = 10)]
    inspections: u32,
    /// Pushes a second, to queues chosen by chance
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Queues of each push
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    queues: u32,
    /// Connections that push
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pushers: u32,
    /// A server that is pushed to, if not those that have the consumers; may be given several times
    #[arg(long = "push-target", value_name = "URL")]
    push_targets: Vec<Target>,
    /// Seconds a pop waits until it is answered without a message and posted anew
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: u32,
    /// From when all consumers wait to the first push
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    settle: Duration,
}

/// The sizes of payloads, if nothing else is said.
const SIZES_BYTES: [u32; 3] = [100, 1_000, 10_000];

/// So many connections are enough for whoever looks.
const INSPECTORS_MAX: u32 = 4;

#[derive(Debug, clap::Args)]
pub(super) struct Mixed {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    mix: Mix,
}

impl Mixed {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let (report, delivered) = self.mix.run("mixed", &self.options, self.timing)?;
        Ok(Ended {
            report,
            fault: delivered.fault(),
        })
    }
}

impl Mix {
    /// Does it as the command of this name.
    pub(super) fn run(
        &self,
        command: &str,
        options: &Options,
        timing: Timing,
    ) -> Result<(Report, Delivered), CommandError> {
        let setup = Setup {
            options,
            timing,
            prefix: options.prefix(&format!("load-{command}-")),
            payloads: self.payload.payloads_or(&SIZES_BYTES),
            crowd: Crowd {
                waiters: self.waiters,
                borrowers: self.borrowers,
                streams: self.streams,
                pushers: self.pushers,
                inspectors: self.inspections.min(INSPECTORS_MAX),
            },
            rate: self.rate,
            fan: self.queues,
            inspections: self.inspections,
            wait_seconds: Some(self.timeout),
            settle: self.settle,
            push_targets: &self.push_targets,
        };
        let delivered = setup.run()?;
        let mut report = options.report(command);
        report.count("waiters", u64::from(self.waiters));
        report.count("borrowers", u64::from(self.borrowers));
        report.count("streams", u64::from(self.streams));
        report.count("inspections_per_second", u64::from(self.inspections));
        report.count("queues_per_push", u64::from(self.queues));
        delivered.report_setup(&setup, &mut report);
        let measures = &delivered.measures;
        for (key, latencies) in [
            ("pop", &measures.pops),
            ("poprel", &measures.loans),
            ("stream", &measures.streams),
            ("push", &measures.pushes),
            ("ack", &measures.acks),
            ("inspection", &measures.inspections),
        ] {
            if latencies.count() > 0 {
                report.latencies(key, latencies);
            }
        }
        delivered.report_counts(&mut report);
        Ok((report, delivered))
    }
}
