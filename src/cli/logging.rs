//! Where log lines go: to standard error, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use crate::config::{Log, LogFormat};

/// Lines that may wait for a slow reader of standard error. What comes then is dropped: a log must not hold a worker.
const LINES_MAX: usize = 16_384;

/// Starts the log. Lines that are still waiting are written when the guard is dropped.
pub(super) fn start(log: &Log) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .thread_name("log")
        .finish(io::stderr());
    let lines = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    guard
}
