//! The new server on the store that was moved into.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::old::Old;
use super::process::Process;

/// A store that outlives migrations and servers.
pub(crate) struct Store {
    folder: TempDir,
    /// Where the new server keeps everything, if that is not the folder: three servers, one of them for transactions.
    redis: Vec<Old>,
}

impl Store {
    /// An empty store of the kind that `POPBOX_TEST_LAYOUT` names.
    pub(crate) fn new() -> Self {
        let layout = std::env::var("POPBOX_TEST_LAYOUT").unwrap_or_default();
        let servers = if layout.starts_with("redis") { 3 } else { 0 };
        Self {
            redis: (0..servers).map(|_| Old::start()).collect(),
            ..Self::embedded()
        }
    }

    /// An empty store in a folder.
    pub(crate) fn embedded() -> Self {
        Self {
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            redis: Vec::new(),
        }
    }

    /// The program with this store.
    fn popbox(&self) -> Command {
        let mut command = popbox(&self.path());
        if let [transactions, queues @ ..] = &self.redis[..] {
            let queues: Vec<_> = queues.iter().map(Old::address).collect();
            for (key, addresses) in [
                ("transactions", vec![transactions.address()]),
                ("queues", queues),
            ] {
                command
                    .arg("--set")
                    .arg(format!("redis.{key}={addresses:?}"));
            }
            command.args(["--set", "store.kind=redis"]);
        }
        command
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Runs a migration with these arguments.
    pub(crate) fn migrate(&self, arguments: &[&str]) -> Migration {
        let mut command = self.popbox();
        command.arg("migrate").args(arguments);
        Migration::of(&mut command)
    }

    /// Moves everything from these servers, which must go well, and gives the summary.
    #[track_caller]
    pub(crate) fn migrate_from(&self, addresses: &str) -> String {
        let migration = self.migrate(&["--from", addresses]);
        assert_eq!(migration.code, Some(0), "{migration:?}");
        migration.summary
    }

    /// What is kept of the user of the secured queue of this tag; none where only popbox can tell.
    #[track_caller]
    pub(crate) fn kept_of_user(&mut self, tag: &str) -> Option<String> {
        let transactions = self.redis.first_mut()?;
        Some(transactions.text(&format!("pb:c:{{{tag}}}")))
    }

    pub(crate) fn serve(&self) -> Server {
        let mut command = self.popbox();
        command.args(["--set", "server.listen=127.0.0.1:0", "serve"]);
        command.stderr(Stdio::null());
        let ready = Process::start_until(&mut command, "popbox ready on http://");
        let (process, line) = ready.expect("the server starts");
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, _) = rest.split_once(' ').unwrap();
        Server {
            address: address.parse().unwrap(),
            process,
        }
    }
}

/// How a migration ended.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) code: Option<i32>,
    pub(crate) summary: String,
    pub(crate) errors: String,
}

impl Migration {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the program can be run");
        Self {
            code: status.code(),
            summary: String::from_utf8(stdout).unwrap(),
            errors: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// The program with this store, and with nothing of this process's environment that could configure it.
pub(crate) fn popbox(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popbox"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POPBOX_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET");
    let path = format!("store.path={}", store.display());
    command.args(["--set", &path, "--set", "store.durability=interval"]);
    let spool = format!("offload.spool={}", store.with_extension("spool").display());
    command.args(["--set", &spool]);
    command
}

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    process: Process,
}

impl Server {
    /// Ends it the polite way, so that it knows later what it has delivered.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        let pid = libc::pid_t::try_from(self.process.id()).unwrap();
        // Safe to address by number: the child is ours and not yet waited for, so the number is not anybody else's.
        #[allow(
            unsafe_code,
            reason = "the standard library sends no signal but SIGKILL"
        )]
        let result = unsafe { libc::kill(pid, libc::SIGTERM) };
        assert_eq!(result, 0);
        let status = self.process.wait().unwrap();
        assert!(status.success(), "SIGTERM: {status}");
    }

    /// Payloads of a queue, the first one first. `queue` is a path: `/queue/q`, `/org/a/queue/q`.
    #[track_caller]
    pub(crate) fn pop(&self, queue: &str) -> Vec<String> {
        let answer = self.post(
            &format!("{queue}/pop"),
            &json!({"timeout": 1, "max": 10_000}),
        );
        let payloads = answer["data"].as_array().expect("a list of payloads");
        payloads
            .iter()
            .map(|payload| payload.as_str().expect("a string").to_owned())
            .collect()
    }

    /// Lines of a queue's description: ids of high priority and of low.
    #[track_caller]
    pub(crate) fn listed(&self, queue: &str) -> [Vec<String>; 2] {
        let answer = self.get(queue);
        ["high", "low"].map(|line| {
            let entries = answer[line].as_array().expect("a list");
            let ids = entries.iter().map(|it| it["id"].as_str().unwrap());
            ids.map(str::to_owned).collect()
        })
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string())
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).expect("JSON")
    }
}
