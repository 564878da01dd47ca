//! A child process: what it says is kept, it is killed when its handle is dropped, and by the kernel when we die.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much of its log a failing test shows, in bytes.
const LOG_SHOWN: usize = 8 * 1024;

/// A process that was started; dropped, it is killed.
pub struct Process {
    child: Mutex<Child>,
    pid: libc::pid_t,
    stdout: Output,
    stderr: Output,
}

impl Process {
    /// Starts it; each line of its stdout is also sent to `lines`, as long as somebody listens.
    pub fn start(mut command: Command, lines: Option<Sender<String>>) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().display().to_string();
        let mut child =
            spawn(command).unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        Self {
            pid: libc::pid_t::try_from(child.id()).unwrap(),
            stdout: Output::follow(child.stdout.take().unwrap(), lines),
            stderr: Output::follow(child.stderr.take().unwrap(), None),
            child: Mutex::new(child),
        }
    }

    /// Its number.
    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Sends a signal, if it has not ended.
    pub fn signal(&self, signal: libc::c_int) {
        if self.status().is_some() {
            return;
        }
        // Safe to address by number: the child is ours and not yet waited for, so the number is not anybody else's.
        #[allow(
            unsafe_code,
            reason = "the standard library sends no signal but SIGKILL"
        )]
        let result = unsafe { libc::kill(self.pid, signal) };
        assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
    }

    /// Waits for it to end by itself; `None` if it does not by then.
    pub fn end_by(&self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            let status = self.status();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.child().try_wait().unwrap()
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub fn kill(&self) -> ExitStatus {
        let mut child = self.child();
        child.kill().unwrap();
        child.wait().unwrap()
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        let status =
            fs::read_to_string(Path::new("/proc").join(self.pid.to_string()).join("status"))
                .unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Everything it has printed on stdout.
    pub fn stdout(&self) -> String {
        self.stdout.whole()
    }

    /// Everything it has printed on stderr.
    pub fn stderr(&self) -> String {
        self.stderr.whole()
    }

    /// Shows how it is and the end of its log, for the reader of a failing test.
    pub fn show(&self, name: &str, log: &str) {
        let mut start = log.len().saturating_sub(LOG_SHOWN);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        let state = self.status();
        let state = state.map_or_else(|| "running".to_owned(), |status| status.to_string());
        eprintln!(
            "--- {name}: {state}; the end of its log:\n{}",
            &log[start..]
        );
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        // An error means that it has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A pipe of the child, kept in memory.
struct Output(Arc<Mutex<Vec<u8>>>, Mutex<Option<thread::JoinHandle<()>>>);

impl Output {
    fn follow(pipe: impl Read + Send + 'static, lines: Option<Sender<String>>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&kept);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                into.lock().unwrap().extend_from_slice(&line);
                if let Some(lines) = &lines {
                    let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
                line.clear();
            }
        });
        Self(kept, Mutex::new(Some(reader)))
    }

    /// What has come so far.
    fn whole(&self) -> String {
        // A pipe that has ended is read to its end; a moment is enough for that, and a living one must not hold us.
        let deadline = Instant::now() + Duration::from_millis(200);
        let mut reader = self.1.lock().unwrap();
        while reader.as_ref().is_some_and(|reader| !reader.is_finished())
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(5));
        }
        reader.take_if(|reader| reader.is_finished());
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

type Spawn = (Command, Sender<io::Result<Child>>);

/// Spawns from one thread that lives as long as this process: the death signal is sent when the *thread* that spawned
/// ends, and a test's thread ends with the test.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Sender<Spawn>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Spawn>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                die_with_parent(&mut command);
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, child) = mpsc::channel();
    SPAWNER.send((command, reply)).unwrap();
    child.recv().unwrap()
}

/// What the shared server is made of is in a static, which is never dropped: the kernel ends it with us, even if we
/// are killed.
#[allow(
    unsafe_code,
    reason = "prctl in the child is the only way; it is async-signal-safe"
)]
fn die_with_parent(command: &mut Command) {
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
