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
        for (name, kib_per_hour) in delivered.growth(self.warmup) {
            report.number(format!("{name}_growth_kib_per_hour"), kib_per_hour);
            let is_too_much = self
                .growth_max
                .is_some_and(|growth_max| kib_per_hour > f64::from(growth_max));
            if is_too_much {
                fault.get_or_insert_with(|| {
                    format!("{name} grows by {kib_per_hour:.0} KiB an hour")
                });
            }
        }
        if fault.is_none() {
            fault = delivered.gone();
        }
        Ok(Ended { report, fault })
    }
}
