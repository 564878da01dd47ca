//! Starts the binary, learns its address from the ready line, and ends it: by a signal, or when the handle is dropped.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, Durability, Layout};

/// How long a start may take, recovery of a store included.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How much of the log a failing test shows, in bytes.
const LOG_SHOWN: usize = 8 * 1024;

/// A server about to be started.
#[derive(Clone)]
pub(crate) struct Settings {
    layout: Arc<Layout>,
    durability: Durability,
    set: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    open_files: Option<libc::rlim_t>,
}

impl Settings {
    /// On a new store of its own.
    pub(crate) fn new() -> Self {
        Self::on(&Layout::fresh())
    }

    /// On a store that may have something in it.
    pub(crate) fn on(layout: &Arc<Layout>) -> Self {
        Self {
            layout: Arc::clone(layout),
            durability: Durability::Interval,
            set: Vec::new(),
            environment: Vec::new(),
            open_files: None,
        }
    }

    pub(crate) fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "a call reads better with the value itself"
    )]
    pub(crate) fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.set.push((key.to_owned(), value.to_string()));
        self
    }

    /// With a variable in its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many open files and not one more, whoever runs it.
    pub(crate) fn open_files(mut self, count: libc::rlim_t) -> Self {
        self.open_files = Some(count);
        self
    }

    /// Starts a server that must come up.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(refusal) => panic!("the server did not start: {refusal:?}"),
        }
    }

    /// Starts a server that may refuse to.
    pub(crate) fn try_start(self) -> Result<Server, Refusal> {
        let mut command = popbox();
        command.arg("serve");
        let listen = ("server.listen".to_owned(), "127.0.0.1:0".to_owned());
        let store = self.layout.settings(self.durability);
        for (key, value) in [listen].into_iter().chain(store).chain(self.set) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.envs(self.environment);
        if let Some(count) = self.open_files {
            limit_open_files(&mut command, count);
        }
        Server::run(command, self.layout)
    }
}

/// How a server ended that never became ready.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, with nothing of this process's environment that could configure it.
pub(crate) fn popbox() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popbox"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POPBOX_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null());
    command
}

/// A running server; dropped, it is killed.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) layout: Arc<Layout>,
    /// The line that said so.
    pub(crate) ready_line: String,
    child: Mutex<Child>,
    pid: libc::pid_t,
    stdout: Output,
    stderr: Output,
}

impl Server {
    /// Runs a whole command line and waits for its ready line, or its end.
    pub(crate) fn run(mut command: Command, layout: Arc<Layout>) -> Result<Self, Refusal> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command).expect("the binary can be run");
        let (lines, ready) = mpsc::channel();
        let stdout = Output::follow(child.stdout.take().unwrap(), Some(lines));
        let stderr = Output::follow(child.stderr.take().unwrap(), None);
        let Some(ready_line) = wait_for_ready(&ready) else {
            // Either its output has ended, or it has had its time.
            let deadline = Instant::now() + Duration::from_secs(5);
            while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(10));
            }
            let late = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            let status = child.wait().unwrap();
            let refusal = Refusal {
                status,
                stdout: stdout.whole(),
                stderr: stderr.whole(),
            };
            assert!(!late, "neither ready nor ended in time: {refusal:?}");
            return Err(refusal);
        };
        Ok(Self {
            addr: address_in(&ready_line),
            layout,
            ready_line,
            pid: libc::pid_t::try_from(child.id()).unwrap(),
            child: Mutex::new(child),
            stdout,
            stderr,
        })
    }

    /// A new connection.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    /// `count` new connections: enough of them land on every worker.
    #[track_caller]
    pub(crate) fn clients(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.client()).collect()
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        // Safe to address by number: the child is ours and not yet waited for, so the number is not anybody else's.
        #[allow(
            unsafe_code,
            reason = "the standard library sends no signal but SIGKILL"
        )]
        let result = unsafe { libc::kill(self.pid, signal) };
        assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn exit_within(&self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child().try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it the polite way.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.signal(libc::SIGTERM);
        let status = self.exit_within(Duration::from_secs(20));
        assert!(status.success(), "SIGTERM: {status}");
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub(crate) fn kill(self) {
        let mut child = self.child();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child().try_wait().unwrap().is_none()
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
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
    pub(crate) fn stdout(&self) -> String {
        self.stdout.whole()
    }

    /// Everything it has logged.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.whole()
    }

    /// Shows what a failing test's reader needs.
    fn show(&self) {
        let log = self.stderr();
        let mut start = log.len().saturating_sub(LOG_SHOWN);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        let state = self.child().try_wait().unwrap();
        let state = state.map_or_else(|| "running".to_owned(), |status| status.to_string());
        eprintln!(
            "--- server {}: {state}; the end of its log:\n{}",
            self.addr,
            &log[start..]
        );
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show();
        }
        let mut child = self.child();
        // An error means that it has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The server that most tests share: they keep apart by their queue names.
pub(crate) fn shared() -> Shared {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        // More than one worker, so that a push and the pop it wakes are often on different ones.
        Settings::new().set("server.workers", 3).start()
    });
    Shared(&SERVER)
}

/// The shared server as one test sees it: if the test fails, the log is shown.
pub(crate) struct Shared(&'static Server);

impl Deref for Shared {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.show();
        }
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
                    // Nobody listens once the server is ready.
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

fn wait_for_ready(lines: &Receiver<String>) -> Option<String> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.starts_with("popbox ready") => return Some(line),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn address_in(line: &str) -> SocketAddr {
    let (_, rest) = line
        .split_once("http://")
        .expect("the ready line has an address");
    let end = rest
        .find(|letter: char| !(letter.is_ascii_hexdigit() || ".:[]".contains(letter)))
        .unwrap_or(rest.len());
    rest[..end]
        .parse()
        .expect("the ready line's address is ADDR:PORT")
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

/// The shared server is in a static, which is never dropped: the kernel ends it with us, even if we are killed.
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

/// Sets the limit for good: a privileged process could raise it again, so that privilege goes too.
#[allow(
    unsafe_code,
    reason = "setrlimit and prctl in the child; both are async-signal-safe"
)]
fn limit_open_files(command: &mut Command, count: libc::rlim_t) {
    const CAP_SYS_RESOURCE: libc::c_ulong = 24;
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    unsafe {
        command.pre_exec(move || {
            // It fails where the process has no privilege to give up.
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}
