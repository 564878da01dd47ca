//! Threads and tasks that the server cannot do without.

use std::{process, thread, time::Duration};

/// What the thread that writes the log needs for its last lines, and more.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Ends the process, which cannot go on, once the log that says why is written.
pub fn abort() -> ! {
    thread::sleep(LAST_LINES);
    process::abort()
}

/// Ends the process if it is dropped by a panic.
///
/// A panic is a bug, and a thread that has died of one leaves others waiting for it for ever. Ending the process at
/// once and being started anew loses nothing: what was acknowledged is in the store, and what was out comes again.
#[derive(Debug)]
pub struct Vital(());

impl Vital {
    /// To be kept in a local variable for as long as the thread runs, or the task, which a runtime would end quietly.
    pub fn thread() -> Self {
        Self(())
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if thread::panicking() {
            // The panic itself has been reported by now.
            process::abort();
        }
    }
}
