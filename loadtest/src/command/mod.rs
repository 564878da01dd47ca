//! The commands, one file each. Wrong arguments end with exit code 2, a run that fails or loses something with 1.

mod closed_loop;
mod fanout;
mod filling;
mod get;
mod hold;
mod lane;
mod mixed;
mod pair;
mod pop;
mod push;
mod soak;
mod subscribe;
mod wake;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    crew::RunError,
    delivery::DeliveryError,
    exchange::Protocol,
    options::Options,
    report::{self, Report, Unwritable},
    target::Target,
};

/// Runs the command that this process was started with.
pub(crate) fn run() -> ExitCode {
    let command = Arguments::parse().command;
    let options = command.options().clone();
    let files = [&options.json, &options.html];
    let mut files = files.into_iter().flatten();
    if let Some(error) = files.find_map(|path| report::try_path(path).err()) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let other = options.target_besides(&[Protocol::Popbox], &[]);
    if let Some(other) = other.filter(|_| options.login.is_some()) {
        eprintln!("{other} has no logins");
        return EXIT_ARGUMENTS.into();
    }
    let ended = match command {
        Command::Wake(command) => command.run(),
        Command::Hold(command) => command.run(),
        Command::Fanout(command) => command.run(),
        Command::Subscribe(command) => command.run(),
        Command::Mixed(command) => command.run(),
        Command::Soak(command) => command.run(),
        Command::Push(command) => command.run(),
        Command::Get(command) => command.run(),
        Command::Pop(command) => command.run(),
        Command::Pair(command) => command.run(),
    };
    match ended.and_then(|ended| ended.publish(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}

/// Load for a popbox, or for one of its peers beside it.
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
    /// Each push goes to many queues with waiters: how long to each of them, and to the last
    Fanout(fanout::Fanout),
    /// Streams, and pushes to them at a fixed rate
    Subscribe(subscribe::Subscribe),
    /// Pops, borrowing with acks, streams and looks at queues at the same time, with pushes at a fixed rate
    Mixed(mixed::Mixed),
    /// As mixed, for hours: a line each minute, and whether a watched process grows
    Soak(soak::Soak),
    /// Pushes, each connection as fast as it is answered
    Push(push::Push),
    /// Asks for the same path over and over again
    Get(get::Get),
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
            Self::Fanout(command) => &command.options,
            Self::Subscribe(command) => &command.options,
            Self::Mixed(command) => &command.options,
            Self::Soak(command) => &command.options,
            Self::Push(command) => &command.options,
            Self::Get(command) => &command.options,
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
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    #[error("the queues could not be filled: of {wanted} messages {stored} are stored")]
    Unfilled { stored: u64, wanted: u64 },
    #[error("{0} has nothing like that")]
    NotOfTarget(Target),
}

/// What wrong arguments end with, clap's too.
const EXIT_ARGUMENTS: u8 = 2;

impl CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Delivery(error) if error.is_of_arguments() => EXIT_ARGUMENTS.into(),
            Self::NotOfTarget(_) => EXIT_ARGUMENTS.into(),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Ended {
    /// Shows the report, and says whether all was well.
    fn publish(mut self, options: &Options) -> Result<ExitCode, CommandError> {
        print!("{}", self.report);
        if let Some(fault) = &self.fault {
            self.report.detail("fault", fault.clone().into());
        }
        if let Some(path) = &options.json {
            self.report.write_json(path)?;
        }
        if let Some(path) = &options.html {
            self.report.write_html(path, self.fault.as_deref())?;
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
