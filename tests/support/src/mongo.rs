//! A MongoDB for tests: the one at `MONGODB_URI`, or else a SecantusDB, which speaks its protocol.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database, error};
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

/// A SecantusDB that we start.
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
        Self::with_collection(Kind::Shared { uri })
    }

    /// One of the test's own, to be stopped and told to fail.
    pub fn own() -> Self {
        let own = Own::new();
        own.start();
        Self::with_collection(Kind::Own(own))
    }

    /// The same, to be started later.
    pub fn own_that_is_down() -> Self {
        let mongo = Self::own();
        mongo.stop();
        mongo
    }

    /// With the collection that a history is written to by default.
    fn with_collection(kind: Kind) -> Self {
        let mongo = Self {
            database: unique("popbox-test"),
            kind,
        };
        mongo.make_collection("popbox_ev");
        mongo
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

    /// Everything in a collection of the test's database, in the order of ids.
    pub fn documents(&self, collection: &str) -> Vec<Document> {
        self.ask(async |database| {
            let collection = database.collection(collection);
            let mut cursor = collection.find(doc! {}).sort(doc! {"_id": 1}).await?;
            let mut documents = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.deserialize_current()?);
            }
            Ok(documents)
        })
    }

    /// The collections of the test's database.
    pub fn collections(&self) -> Vec<String> {
        self.ask(async |database| database.list_collection_names().await)
    }

    /// Makes a collection with nothing in it. `SecantusDB` 0.7.0b3 may hang when the first document of a collection
    /// and its first index come at the same time.
    pub fn make_collection(&self, name: &str) {
        self.ask(async |database| database.create_collection(name).await);
    }

    /// Puts documents into a collection of the test's database.
    pub fn insert(&self, collection: &str, documents: Vec<Document>) {
        self.ask(async |database| {
            let collection = database.collection(collection);
            collection.insert_many(documents).await
        });
    }

    /// Lets it answer so many commands otherwise, as the fail point `failCommand` takes it.
    pub fn fail(&self, times: i32, data: Document) {
        let command =
            doc! {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data};
        self.ask(async |database| {
            let admin = database.client().database("admin");
            admin.run_command(command).await
        });
    }

    /// Asks it something, on a connection of its own.
    fn ask<T: Send>(&self, question: impl AsyncFnOnce(Database) -> error::Result<T> + Send) -> T {
        let asking = async || {
            let client = Client::with_uri_str(self.uri()).await?;
            let answer = question(client.database(&self.database)).await;
            client.shutdown().immediate(true).await;
            answer
        };
        // A thread of its own: who asks may have a runtime.
        let answer = thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(asking())
            });
            asked.join().unwrap()
        });
        answer.unwrap_or_else(|error: error::Error| panic!("MongoDB: {error}"))
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
