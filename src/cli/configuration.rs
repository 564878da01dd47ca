//! `--config` and `--set`, which may stand before or behind the command.

use std::path::PathBuf;

use clap::Args;

use crate::config::Sources;

/// The arguments that say which configuration to use.
#[derive(Debug, Args)]
pub(super) struct Configuration {
    /// The TOML file; without one, defaults and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A value stronger than the file's and the environment's (may be repeated)
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Configuration {
    /// These arguments and those that follow them on the command line; of two files the later holds.
    pub(super) fn and(mut self, later: Self) -> Self {
        self.set.extend(later.set);
        Self {
            config: later.config.or(self.config),
            set: self.set,
        }
    }

    /// The sources that the arguments name, and the environment.
    pub(super) fn into_sources(self) -> Sources {
        Sources::of_process(self.config, self.set)
    }
}
