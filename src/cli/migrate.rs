//! `popbox migrate`: brings an old server's messages, groups and users of secured queues into the store.

use std::process::ExitCode;

use clap::Args;

use super::configuration::Configuration;
use super::{logging, output};
use crate::config::{Config, NotARedisAddress, RedisAddress};
use crate::migrate::{Progress, Report, migrate};

/// What wrong arguments end with.
const WRONG_ARGUMENTS: u8 = 2;

/// Arguments of `popbox migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    configuration: Configuration,
    // Read by us and not by clap, which would print a faulty one with its password.
    /// The Redis servers of the old server's queues, `redis://[[user]:password@]host[:port][/database]`
    #[arg(
        long,
        value_name = "ADDRESS,...",
        required = true,
        value_delimiter = ','
    )]
    from: Vec<String>,
    /// The Redis servers of its transactions, if they are others
    #[arg(long, value_name = "ADDRESS,...", value_delimiter = ',')]
    from_transactions: Vec<String>,
}

/// `popbox migrate`: exit code 0 and a summary when everything that can be moved was moved.
pub(super) fn run(outer: Configuration, command: Migrate) -> ExitCode {
    let from = read("--from", &command.from);
    let transactions = read("--from-transactions", &command.from_transactions);
    let addresses = match (from, transactions) {
        (Ok(from), Ok(transactions)) => [from, transactions].concat(),
        (from, transactions) => {
            for fault in [from.err(), transactions.err()].into_iter().flatten() {
                output::complain(fault);
            }
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let config = match Config::load(&outer.and(command.configuration).into_sources()) {
        Ok(config) => config,
        Err(faults) => {
            output::complain(faults);
            return ExitCode::FAILURE;
        }
    };
    let lines = logging::start(&config.log);
    let mut report = Report::default();
    let mut tell = |line| output::complain(format_args!("popbox migrate: {line}"));
    let mut progress = Progress::new(&mut tell);
    let result = migrate(&config, &addresses, &mut report, &mut progress);
    // So that the log does not come in between.
    drop(lines);
    // The exit code is the answer; whether anybody reads the summary does not change it.
    let _ = output::print(report);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(format_args!("popbox migrate: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// The addresses of an argument, or a line that says which of them is none, without a password that may be in it.
fn read(argument: &str, texts: &[String]) -> Result<Vec<RedisAddress>, String> {
    let addresses = (1..).zip(texts).map(|(number, text)| {
        let fault = |fault: NotARedisAddress| format!("{argument}, address {number}: {fault}");
        text.parse().map_err(fault)
    });
    addresses.collect()
}
