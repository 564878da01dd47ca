//! `popbox serve`: what the program is for.

use std::process::ExitCode;

use super::configuration::Configuration;
use super::{logging, output};
use crate::{config::Config, worker};

/// `popbox serve`.
pub(super) fn run(configuration: Configuration) -> ExitCode {
    match Config::load(&configuration.into_sources()) {
        Ok(config) => {
            let _lines = logging::start(&config.log);
            worker::serve(&config)
        }
        Err(faults) => {
            output::complain(faults);
            ExitCode::FAILURE
        }
    }
}
