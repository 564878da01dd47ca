//! Programs that end with the test that started them.

use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a program may take to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running program; dropped, it is killed.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        die_with_this_thread(command);
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("cannot run {}: {error}", command.get_program().display()),
        }
    }

    /// Starts a program and waits for the line of its output that has `sign` in it; none where it ended before.
    pub(crate) fn start_until(command: &mut Command, sign: &'static str) -> Option<(Self, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Self::start(command);
        let output = process.stdout.take().expect("its output is a pipe");
        let line = line_with(output, sign)?;
        Some((process, line))
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line with `sign`. What comes behind it is read and forgotten, so that the program is never held up.
fn line_with(output: impl Read + Send + 'static, sign: &'static str) -> Option<String> {
    let (sender, found) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(sign) {
                // Whoever asked has its line after the first.
                let _ = sender.send(line);
            }
        }
    });
    match found.recv_timeout(START_TIMEOUT) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("no line with {sign:?} in {START_TIMEOUT:?}"),
    }
}

/// A test that is killed drops nothing; then the kernel ends what it had started.
#[allow(
    unsafe_code,
    reason = "prctl in the child is the only way; it is async-signal-safe"
)]
fn die_with_this_thread(command: &mut Command) {
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}
