//! A MongoDB for tests: the one at `MONGODB_URI`, or else a `SecantusDB`, which speaks its protocol.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::layout::scratch;
use super::names::unique;
use super::place::scratch_root;
use super::port::free_address;
use super::process::Process;

/// How long a start may take: it is a Python program, on a machine that has other work.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a stop may take.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// How many ports are tried: another process may be faster at one.
const PORTS_TRIED: usize = 20;

/// A MongoDB, with a database in it that is this test's alone.
pub struct Mongo {
    database: String,
    kind: Kind,
}

enum Kind {
    /// Others use it as well.
    Shared {
        uri: String,
    },
    Own(Own),
}

/// A `SecantusDB` that we start.
struct Own {
    address: SocketAddr,
    program: PathBuf,
    /// None while it is down. It ends before its folder does.
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl Mongo {
    /// The one at `MONGODB_URI`, or else one that all tests of this process share.
    pub fn shared() -> Self {
        static SHARED: LazyLock<Own> = LazyLock::new(|| {
            let own = Own::new();
            own.start();
            own
        });
        let uri = env::var("MONGODB_URI").unwrap_or_else(|_| Self::uri_at(SHARED.address));
        Self {
            database: unique("popbox-test"),
            kind: Kind::Shared { uri },
        }
    }

    /// One of the test's own, to be stopped and told to fail.
    pub fn own() -> Self {
        let mongo = Self::own_that_is_down();
        mongo.start();
        mongo
    }

    /// The same, not yet started.
    pub fn own_that_is_down() -> Self {
        Self {
            database: unique("popbox-test"),
            kind: Kind::Own(Own::new()),
        }
    }

    /// Its connection string, without a database.
    pub fn uri(&self) -> String {
        match &self.kind {
            Kind::Shared { uri } => uri.clone(),
            Kind::Own(own) => Self::uri_at(own.address),
        }
    }

    /// The connection string of a single server, such as a proxy to this one.
    pub fn uri_at(address: SocketAddr) -> String {
        format!("mongodb://{address}/?directConnection=true")
    }

    /// The name of the test's database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.mine().address
    }

    /// Starts it; after a stop, with what was in it.
    pub fn start(&self) {
        self.mine().start();
    }

    /// Ends it as an operator would: when it is killed, it forgets the last that it has acknowledged.
    pub fn stop(&self) {
        let process = self.mine().process().take().expect("it is running");
        process.signal(libc::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        assert!(process.end_by(deadline).is_some(), "it does not end");
    }

    fn mine(&self) -> &Own {
        match &self.kind {
            Kind::Own(own) => own,
            Kind::Shared { .. } => panic!("others use it, too"),
        }
    }
}

impl Own {
    fn new() -> Self {
        Self {
            address: free_address(),
            program: program(),
            process: Mutex::new(None),
            folder: scratch(),
        }
    }

    fn start(&self) {
        assert!(self.process().is_none(), "it is running");
        for _ in 0..PORTS_TRIED {
            match self.launch() {
                Ok(process) => {
                    *self.process() = Some(process);
                    return;
                }
                // Its port was used a moment ago, or is in use for a moment: it must be this one.
                Err(log) if log.contains("in use") => thread::sleep(Duration::from_millis(200)),
                Err(log) => panic!("{} ended: {log}", self.program.display()),
            }
        }
        panic!("{} is somebody else's", self.address);
    }

    /// Starts the process and waits until it takes connections; or else its log.
    fn launch(&self) -> Result<Process, String> {
        let mut command = Command::new(&self.program);
        command
            .args(["--host", &self.address.ip().to_string()])
            .args(["--port", &self.address.port().to_string()])
            .arg("--storage-path")
            .arg(self.folder.path().join("data"))
            .args(["--cache-size", "64M", "--enable-test-commands"])
            // It looks for a configuration where it is started.
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        let process = Process::start(command, None);
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(self.address).is_err() {
            if process.status().is_some() {
                return Err(process.stdout() + &process.stderr());
            }
            assert!(
                Instant::now() < deadline,
                "SecantusDB takes no connection: {}",
                process.stderr()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(process) = self.process().as_ref().filter(|_| thread::panicking()) {
            process.show(&format!("SecantusDB {}", self.address), &process.stderr());
        }
    }
}

/// In the virtual environment at `POPBOX_SECANTUS`, or in the one that `tests/run.sh` makes.
fn program() -> PathBuf {
    let installed = || {
        let target = scratch_root();
        target.parent().unwrap_or(Path::new(".")).join("secantus")
    };
    let folder = env::var_os("POPBOX_SECANTUS").map_or_else(installed, PathBuf::from);
    let program = folder.join("bin/secantusd-py");
    assert!(
        fs::exists(&program).unwrap(),
        "{} is missing: tests/run.sh installs it; or set MONGODB_URI to a MongoDB for tests",
        program.display()
    );
    program
}
