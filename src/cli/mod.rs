//! The command line: serve, migrate, check the configuration, hash a password.
//!
//! One file per command. Wrong arguments end with exit code 2, anything else that fails with 1.

mod check_config;
mod configuration;
mod hash_password;
mod logging;
mod migrate;
mod output;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use configuration::Configuration;

/// Runs the command that this process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outer = arguments.configuration;
    match arguments.command {
        None => serve::run(outer),
        Some(Command::Serve(inner)) => serve::run(outer.and(inner)),
        Some(Command::CheckConfig(inner)) => check_config::run(outer.and(inner)),
        Some(Command::Migrate(command)) => migrate::run(outer, command),
        Some(Command::HashPassword { user }) => hash_password::run(&user),
    }
}

/// An inbox server: push a message to many queues, long-poll them over HTTP. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "popbox", version)]
struct Arguments {
    // Not clap's global arguments: those would lose a --set before the command when another one follows it.
    #[command(flatten)]
    configuration: Configuration,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop (the default)
    Serve(Configuration),
    /// Say whether the configuration is fine, or everything that is wrong with it
    CheckConfig(Configuration),
    /// Bring the messages, groups and users of an old server into the store (may be repeated)
    Migrate(migrate::Migrate),
    /// Read a password from standard input and print the line for auth.admin
    HashPassword {
        /// Who the password is for
        user: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_before_and_after_the_command_add_up() {
        let line = "popbox --config a --set a.a=1 serve --set b.b=2 --config b";
        let arguments = Arguments::parse_from(line.split(' '));
        let Some(Command::Serve(inner)) = arguments.command else {
            panic!("no serve in {line}");
        };
        let sources = arguments.configuration.and(inner).into_sources();
        assert_eq!(sources.file, Some("b".into()));
        assert_eq!(sources.set, ["a.a=1", "b.b=2"]);
    }
}
