//! Starts the binary, learns its address from the ready line, and ends it: by a signal, or when the handle is dropped.

use std::fs;
use std::io::{self, Write as _};
use std::iter;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use super::certificate::certificate;
use super::process::Process;
use super::{Client, Durability, Layout, Mongo, place};

/// How long a start may take, recovery of a store included.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How the line begins that says that it is ready.
const READY: &str = "popbox ready";

/// A server about to be started.
#[derive(Clone)]
pub struct Settings {
    layout: Arc<Layout>,
    durability: Durability,
    set: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    open_files: Option<libc::rlim_t>,
}

impl Settings {
    /// On a new store of its own.
    pub fn new() -> Self {
        Self::on(&Layout::fresh())
    }

    /// On a store that may have something in it.
    pub fn on(layout: &Arc<Layout>) -> Self {
        Self {
            layout: Arc::clone(layout),
            durability: Durability::Interval,
            set: Vec::new(),
            environment: Vec::new(),
            open_files: None,
        }
    }

    /// With this durability.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// With a setting of the configuration.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a call reads better with the value itself"
    )]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.set.push((key.to_owned(), value.to_string()));
        self
    }

    /// Without one that was set before: two servers cannot share a spool.
    fn without(mut self, key: &str) -> Self {
        self.set.retain(|(known, _)| known != key);
        self
    }

    /// With an HTTPS listener beside the plain one.
    pub fn with_tls(self) -> Self {
        let [cert, key] = ["server.crt", "server.key"].map(|it| self.layout.scratch().join(it));
        fs::write(&cert, &certificate().cert).unwrap();
        fs::write(&key, &certificate().key).unwrap();
        self.set("tls.listen", "127.0.0.1:0")
            .set("tls.cert", cert.display())
            .set("tls.key", key.display())
    }

    /// With a history in that MongoDB, written as soon as it can be.
    pub fn with_history(self, mongo: &Mongo) -> Self {
        self.set("history.uri", mongo.uri())
            .set("history.database", mongo.database())
            .set("history.batch_age", "5ms")
            .set("history.backoff", "200ms")
    }

    /// With a variable in its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many open files and not one more, whoever runs it.
    pub fn open_files(mut self, count: libc::rlim_t) -> Self {
        self.open_files = Some(count);
        self
    }

    /// Starts a server that must come up.
    #[track_caller]
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(refusal) => panic!("the server did not start: {refusal:?}"),
        }
    }

    /// Starts a server that may refuse to.
    pub fn try_start(self) -> Result<Server, Refusal> {
        // Both begin at once, and the first that refuses says why.
        let pushing = self
            .layout
            .has_pushing_agent()
            .then(|| self.clone().without("offload.spool").begin());
        let mut server = self.begin().ready()?;
        if let Some(pushing) = pushing {
            server.pushing = Some(Box::new(pushing.ready()?));
        }
        Ok(server)
    }

    /// Starts a server whose ready line is not waited for.
    pub fn begin(&self) -> Starting {
        let mut command = self.command();
        if let Some(count) = self.open_files {
            limit_open_files(&mut command, count);
        }
        Starting::new(command, Arc::clone(&self.layout))
    }

    /// The command line, for a test that starts it itself.
    pub fn command(&self) -> Command {
        let mut command = popbox();
        command.arg("serve");
        let listen = ("server.listen".to_owned(), "127.0.0.1:0".to_owned());
        let store = self.layout.settings(self.durability);
        // One that is given replaces it.
        let spool = ("offload.spool".to_owned(), self.layout.fresh_spool());
        let own = [&listen, &spool];
        for (key, value) in own.into_iter().chain(&store).chain(&self.set) {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.envs(self.environment.iter().cloned());
        command
    }
}

/// How a server ended that never became ready.
#[derive(Debug)]
pub struct Refusal {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

/// The binary, with nothing of this process's environment that could configure it.
pub fn popbox() -> Command {
    let mut command = Command::new(place::binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POPBOX_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null());
    command
}

/// A server that has not said yet that it is ready.
pub struct Starting {
    process: Process,
    lines: Receiver<String>,
    layout: Arc<Layout>,
}

impl Starting {
    fn new(command: Command, layout: Arc<Layout>) -> Self {
        let (sender, lines) = mpsc::channel();
        Self {
            process: Process::start(command, Some(sender)),
            lines,
            layout,
        }
    }

    /// Whether it goes on, without having said that it is ready.
    pub fn is_under_way(&self) -> bool {
        self.process.status().is_none() && !self.process.stdout().contains(READY)
    }

    /// Waits for its ready line, or its end.
    pub fn ready(self) -> Result<Server, Refusal> {
        let Some(ready_line) = wait_for_ready(&self.lines) else {
            // Either its output has ended, or it has had its time.
            let ended = self
                .process
                .end_by(Instant::now() + Duration::from_secs(5))
                .is_some();
            let refusal = Refusal {
                status: self.process.kill(),
                stdout: self.process.stdout(),
                stderr: self.process.stderr(),
            };
            assert!(ended, "neither ready nor ended in time: {refusal:?}");
            return Err(refusal);
        };
        Ok(Server {
            addr: address_in(&ready_line, "http").expect("an address of the plain listener"),
            secured_addr: address_in(&ready_line, "https"),
            ready_line,
            process: self.process,
            pushing: None,
            layout: self.layout,
        })
    }
}

/// A running server; dropped, it is killed.
///
/// On a layout of two agents it is both: its clients push through the one, everything else is about the other.
pub struct Server {
    /// Where it serves.
    pub addr: SocketAddr,
    /// Where it serves over TLS, if it does.
    pub secured_addr: Option<SocketAddr>,
    /// The line that said so.
    pub ready_line: String,
    process: Process,
    /// The agent that pushes go to, if that is another.
    pushing: Option<Box<Server>>,
    /// Behind the processes, so that these are dropped before what they use.
    pub layout: Arc<Layout>,
}

impl Server {
    /// Runs a whole command line and waits for its ready line, or its end.
    pub fn run(command: Command, layout: Arc<Layout>) -> Result<Self, Refusal> {
        Starting::new(command, layout).ready()
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        let client = Client::connect(self.addr);
        match &self.pushing {
            Some(agent) => client.pushing_to(agent.addr),
            None => client,
        }
    }

    /// A new connection over TLS.
    #[track_caller]
    pub fn secured_client(&self) -> Client {
        let addr = |server: &Self| server.secured_addr.expect("a server with TLS");
        let client = Client::connect_secured(addr(self));
        match &self.pushing {
            Some(agent) => client.pushing_to(addr(agent)),
            None => client,
        }
    }

    /// `count` new connections: enough of them land on every worker.
    #[track_caller]
    pub fn clients(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.client()).collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        for process in self.processes() {
            process.signal(signal);
        }
    }

    /// Waits for the process to end by itself; of two, the status of one that did not end well.
    #[track_caller]
    pub fn exit_within(&self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        let mut worst = ExitStatus::from_raw(0);
        for process in self.processes() {
            match process.end_by(deadline) {
                Some(status) if worst.success() => worst = status,
                Some(_) => {}
                None => panic!("still running after {limit:?}"),
            }
        }
        worst
    }

    /// Ends it the polite way.
    #[track_caller]
    pub fn stop(self) {
        self.signal(libc::SIGTERM);
        let status = self.exit_within(Duration::from_secs(20));
        assert!(status.success(), "SIGTERM: {status}");
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub fn kill(self) {
        for process in self.processes() {
            process.kill();
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.processes().any(|process| process.status().is_none())
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.processes().map(Process::memory).sum()
    }

    /// Everything it has printed on stdout.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Everything it has logged.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        let pushing = self.pushing.iter().map(|agent| &agent.process);
        iter::once(&self.process).chain(pushing)
    }

    /// Shows what a failing test's reader needs.
    fn show(&self) {
        let name = format!("server {}", self.addr);
        self.process.show(&name, &self.stderr());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The other agent is a server of its own, which shows itself.
        if thread::panicking() {
            self.show();
        }
    }
}

/// The server that most tests share: they keep apart by their queue names.
pub fn shared() -> Shared {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        // More than one worker, so that a push and the pop it wakes are often on different ones.
        Settings::new().set("server.workers", 3).start()
    });
    Shared(&SERVER)
}

/// The server that most tests of secured queues share. It has TLS, and an admin: `root` with the password `secret`.
pub fn shared_secured() -> Shared {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        Settings::new()
            .with_tls()
            .set("server.workers", 3)
            .set("auth.admin", credentials("root", "secret"))
            // They all come from one address.
            .set("auth.max_failures", 1_000_000)
            .start()
    });
    Shared(&SERVER)
}

/// What the configuration has of a user, as `popbox hash-password` prints it.
pub fn credentials(user: &str, password: &str) -> String {
    let mut command = popbox();
    command.args(["hash-password", user]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{password}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The shared server as one test sees it: if the test fails, the log is shown.
pub struct Shared(&'static Server);

impl Shared {
    /// One that the tests of a module share.
    pub fn of(server: &'static Server) -> Self {
        Self(server)
    }
}

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
            if let Some(agent) = &self.0.pushing {
                agent.show();
            }
        }
    }
}

fn wait_for_ready(lines: &Receiver<String>) -> Option<String> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.starts_with(READY) => return Some(line),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The address that the line has with this scheme.
fn address_in(line: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(&format!("{scheme}://"))?;
    let end = rest
        .find(|letter: char| !(letter.is_ascii_hexdigit() || ".:[]".contains(letter)))
        .unwrap_or(rest.len());
    let address = rest[..end].parse();
    Some(address.expect("an address in the ready line is ADDR:PORT"))
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
