//! A MongoDB for tests: the one at `MONGODB_URI`, or else a `SecantusDB` of the test's own, which speaks its protocol.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// How many ports are tried: another process may be faster at one.
const PORTS_TRIED: usize = 20;

/// A MongoDB, with a database in it that is this test's alone.
pub struct Mongo {
    database: String,
    kind: Kind,
}

enum Kind {
    /// It was there before, and stays.
    Given {
        uri: String,
    },
    Own(Own),
}

/// One that the test may kill.
struct Own {
    address: SocketAddr,
    program: PathBuf,
    /// None while it is down. It ends before its folder does.
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl Mongo {
    /// The one at `MONGODB_URI`, or else one of the test's own.
    pub fn any() -> Self {
        match env::var("MONGODB_URI") {
            Ok(uri) => Self {
                database: unique("popbox-test"),
                kind: Kind::Given { uri },
            },
            Err(_) => Self::own(),
        }
    }

    /// One of the test's own, to be killed and told to fail.
    pub fn own() -> Self {
        let mongo = Self::own_that_is_down();
        mongo.start();
        mongo
    }

    /// The same, not yet started.
    pub fn own_that_is_down() -> Self {
        Self {
            database: unique("popbox-test"),
            kind: Kind::Own(Own {
                address: free_address(),
                program: program(),
                process: Mutex::new(None),
                folder: scratch(),
            }),
        }
    }

    /// Its connection string, without a database.
    pub fn uri(&self) -> String {
        match &self.kind {
            Kind::Given { uri } => uri.clone(),
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

    /// Starts it, after [`Mongo::kill`] with what is in it.
    pub fn start(&self) {
        self.mine().start();
    }

    /// Ends it as `kill -9` does. What it has acknowledged is there again after a start.
    pub fn kill(&self) {
        *self.mine().process() = None;
    }

    fn mine(&self) -> &Own {
        match &self.kind {
            Kind::Own(own) => own,
            Kind::Given { .. } => panic!("the MongoDB at MONGODB_URI is not the test's own"),
        }
    }
}

impl Own {
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
