//! `popbox check-config`: says whether a configuration is fine.

use std::process::ExitCode;

use super::configuration::Configuration;
use super::output;
use crate::config::Config;

/// `popbox check-config`: exit code 0 and a line that says so, or 1 and a line for each fault.
pub(super) fn run(configuration: Configuration) -> ExitCode {
    let sources = configuration.into_sources();
    if let Err(faults) = Config::load(&sources) {
        output::complain(faults);
        return ExitCode::FAILURE;
    }
    let line = match &sources.file {
        Some(file) => format!("{}: the configuration is fine", file.display()),
        None => "no file: the configuration is fine".to_owned(),
    };
    // The exit code is the answer; whether anybody reads the line does not change it.
    let _ = output::print(line);
    ExitCode::SUCCESS
}
