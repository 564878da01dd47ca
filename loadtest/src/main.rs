//! The `popbox-loadtest` program: load for a popbox or one of its peers, and what came of it.
//!
//! A command (`command/`) says what its connections ask and what it makes of the answers: it is a [`Load`]. A
//! [`crew`] of threads runs one each on an [`event_loop`] over its share of the [`connection`]s, while the first thread
//! looks at the clock, at the [`tally`] and at the watched [`process`]es ([`watch`]). What is asked and answered is
//! turned into bytes and back by [`exchange`].
//!
//! Commands with consumers and pushes at a fixed rate are one load, with other people in it: [`delivery`]. The
//! [`agenda`] says when each push is due. What came of it is a [`report`], and on request a [`page`] with [`chart`]s.
//!
//! [`Load`]: event_loop::Load

mod address_range;
mod agenda;
mod chart;
mod command;
mod connection;
mod crew;
mod delivery;
mod duration;
mod event_loop;
mod exchange;
mod growth;
mod latencies;
mod ledger;
mod login;
mod machine;
mod open_files;
mod options;
mod page;
mod payload;
mod phases;
mod process;
mod queue;
mod random;
mod recent;
mod refusals;
mod report;
mod schedule;
mod securing;
mod server;
mod source;
mod tally;
mod target;
mod timeline;
mod tls;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
