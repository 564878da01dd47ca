//! The commands, one file each. Wrong arguments end with exit code 2, a run that fails or loses something with 1.

mod hold;
mod pair;
mod pop;
mod push;
mod wake;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    crew::RunError,
    options::Options,
    report::{Report, Unwritable},
};

/// Runs the command that this process was started with.
pub(crate) fn run() -> ExitCode {
    let command = Arguments::parse().command;
    let options = command.options().clone();
    let ended = match command {
        Command::Wake(command) => command.run(),
        Command::Hold(command) => command.run(),
        Command::Push(command) => command.run(),
        Command::Pop(command) => command.run(),
        Command::Pair(command) => command.run(),
    };
    match ended.and_then(|ended| ended.publish(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Load for a popbox, or for a plain Redis beside it.
#[derive(Debug, Parser)]
#[command(name = "popbox-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Waiters, each blocked on a queue of its own, are woken by pushes at a fixed rate
    Wake(wake::Wake),
    /// Waiters that nobody wakes: what they cost
    Hold(hold::Hold),
    /// Pushes, each connection as fast as it is answered
    Push(push::Push),
    /// Takes out what is in the queues
    Pop(pop::Pop),
    /// Each connection pushes a message and pops it back
    Pair(pair::Pair),
}

impl Command {
    fn options(&self) -> &Options {
        match self {
            Self::Wake(command) => &command.options,
            Self::Hold(command) => &command.options,
            Self::Push(command) => &command.options,
            Self::Pop(command) => &command.options,
            Self::Pair(command) => &command.options,
        }
    }
}

/// A run that has ended.
struct Ended {
    report: Report,
    /// What is wrong with what the server did; none if nothing is.
    fault: Option<String>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    #[error(
        "{pushes} pushes are more than {} can be kept account of: lower --rate or --duration",
        crate::ledger::Ledger::PUSHES_MAX
    )]
    TooManyPushes { pushes: u64 },
}

impl Ended {
    /// Shows the report, and says whether all was well.
    fn publish(self, options: &Options) -> Result<ExitCode, CommandError> {
        print!("{}", self.report);
        if let Some(path) = &options.json {
            self.report.write_json(path)?;
        }
        Ok(match self.fault {
            None => ExitCode::SUCCESS,
            Some(fault) => {
                eprintln!("FAULT: {fault}");
                ExitCode::FAILURE
            }
        })
    }
}

/// What is wrong where this many messages were lost or came twice, and so many did what they should.
fn delivery_fault(lost: u64, duplicated: u64, received: u64) -> Option<String> {
    if lost > 0 || duplicated > 0 {
        Some(format!("{lost} messages lost, {duplicated} duplicated"))
    } else if received == 0 {
        Some("no message arrived".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
