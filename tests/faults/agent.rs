//! One popbox process that is killed, stopped and started again on the same address.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use popbox_test_support::{Process, free_address, popbox};

use super::clock::WallClock;

/// How the line begins that says that it is ready.
const READY: &str = "popbox ready";

/// How much of the log of a life is kept, in bytes, and of how many of them.
const LOG_KEPT: usize = 8 * 1024;
const LIVES_KEPT: usize = 8;

/// An agent: an address, and whatever process serves it now.
pub(crate) struct Agent {
    address: SocketAddr,
    settings: Vec<(String, String)>,
    /// The time of day as its processes see it.
    pub(crate) clock: WallClock,
    /// None while it is down.
    life: Mutex<Option<Life>>,
    past_logs: Mutex<VecDeque<String>>,
}

struct Life {
    process: Process,
    lines: Receiver<String>,
    is_ready: bool,
}

impl Agent {
    /// One that is down, with these settings and a folder of its own.
    pub(crate) fn new(settings: Vec<(String, String)>, folder: &Path) -> Self {
        Self {
            address: free_address(),
            settings,
            clock: WallClock::new(folder),
            life: Mutex::default(),
            past_logs: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it, if it is down. It may not become ready before its store can be reached: see [`Self::await_ready`].
    pub(crate) fn start(&self) {
        let mut life = self.life();
        if life.is_none() {
            let (sender, lines) = mpsc::channel();
            *life = Some(Life {
                process: Process::start(self.command(), Some(sender)),
                lines,
                is_ready: false,
            });
        }
    }

    /// Ends it as `kill -9` does, if it is up.
    pub(crate) fn kill(&self) {
        if let Some(life) = self.life().take() {
            life.process.kill();
            self.keep_log(&life.process);
        }
    }

    /// Stops it in the middle of whatever it does; its connections stay.
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Waits until it has said that it is ready; or else why it has not.
    pub(crate) fn await_ready(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut current = self.life();
        let Some(life) = current.as_mut() else {
            return Err(format!("agent {} is down", self.address));
        };
        while !life.is_ready {
            let time_left = deadline.saturating_duration_since(Instant::now());
            match life.lines.recv_timeout(time_left) {
                Ok(said) => life.is_ready = said.starts_with(READY),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("agent {} is not ready in {limit:?}", self.address));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match life.process.status() {
            None if life.is_ready => Ok(()),
            status => Err(format!("agent {} ended: {status:?}", self.address)),
        }
    }

    /// The ends of the logs of its latest lives.
    pub(crate) fn logs(&self) -> String {
        if let Some(life) = self.life().as_ref() {
            self.keep_log(&life.process);
        }
        let logs = self
            .past_logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
        format!("--- agent {}:\n{}", self.address, logs.join("---\n"))
    }

    fn command(&self) -> Command {
        let mut command = popbox();
        command
            .arg("serve")
            .arg("--set")
            .arg(format!("server.listen={}", self.address));
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.envs(self.clock.environment());
        command
    }

    fn keep_log(&self, process: &Process) {
        let log = process.stderr() + &process.stdout();
        let start = log.ceil_char_boundary(log.len().saturating_sub(LOG_KEPT));
        let mut logs = self
            .past_logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        logs.push_back(log[start..].to_owned());
        if logs.len() > LIVES_KEPT {
            logs.pop_front();
        }
    }

    fn signal(&self, signal: libc::c_int) {
        if let Some(life) = self.life().as_ref() {
            life.process.signal(signal);
        }
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
