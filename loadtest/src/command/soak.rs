//! The same as `mixed` for hours, and whether a watched process grows.

use std::time::Duration;

use super::{CommandError, Ended, mixed::Mix};
use crate::{
    duration,
    options::{Options, Timing},
};

/// How often progress is shown, if nothing else is said.
const PROGRESS: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(super) struct Soak {
    #[command(flatten)]
    pub(super) options: Options,
    /// How long it is measured
    #[arg(long, default_value = "1h", value_parser = duration::parse)]
    duration: Duration,
    /// How long the same is done before that: what grows in it may grow
    #[arg(long, default_value = "1m", value_parser = duration::parse)]
    warmup: Duration,
    /// A process that grows by more KiB an hour is a fault
    #[arg(long, value_name = "KIB")]
    growth_max: Option<u32>,
    #[command(flatten)]
    mix: Mix,
}

impl Soak {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let timing = Timing {
            duration: self.duration,
            warmup: self.warmup,
        };
        let options = self.options.or_progress(PROGRESS);
        let (mut report, delivered) = self.mix.run("soak", &options, timing)?;
        let mut fault = delivered.fault();
        for growth in delivered.growth(self.warmup) {
            let (process, kib_per_hour) = (growth.process, growth.kib_per_hour);
            report.number(format!("{process}_grown_kib"), growth.kib);
            report.number(format!("{process}_growth_kib_per_hour"), kib_per_hour);
            let growth_max = self.growth_max.map(f64::from);
            if growth_max.is_some_and(|growth_max| kib_per_hour > growth_max) {
                fault.get_or_insert_with(|| {
                    format!("{process} grows by {kib_per_hour:.0} KiB an hour")
                });
            }
        }
        if fault.is_none() {
            fault = delivered.gone();
        }
        Ok(Ended { report, fault })
    }
}
