//! A redis-server of the test's own: empty when it starts, on a port that it keeps, ended with its handle.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::port::free_address;
use super::process::Process;
use super::{RedisConnection, RedisReply};

/// How long a start may take, the reading of what it keeps included, on a machine whose disk is busy.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// How many ports are tried: another process may be faster at one.
const PORTS_TRIED: usize = 20;

/// What the tests' own connections are called: one that is closed may be listed for a moment longer.
const OWN_NAME: &str = "popbox-suite";

/// One redis-server. It keeps nothing on a disk, so whenever it starts it is empty; unless its flags say otherwise.
pub struct Redis {
    address: SocketAddr,
    flags: Vec<String>,
    /// Its working directory.
    dir: PathBuf,
    /// None while it is down.
    process: Mutex<Option<Process>>,
}

impl Redis {
    /// Starts one on a free port, with more flags of its command line.
    pub fn start(scratch: &Path, flags: &[&str]) -> Self {
        for _ in 0..PORTS_TRIED {
            let address = free_address();
            let redis = Self {
                address,
                flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
                dir: scratch.join(format!("redis-{}", address.port())),
                process: Mutex::new(None),
            };
            fs::create_dir(&redis.dir).unwrap();
            match redis.launch() {
                Ok(()) => return redis,
                Err(log) if log.contains("in use") => {}
                Err(log) => panic!("redis-server {flags:?} ended: {log}"),
            }
        }
        panic!("redis-server found no port");
    }

    /// Ends it as `kill -9` does. What was in it is gone, if it keeps nothing.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again on the same port.
    pub fn start_again(&self) {
        assert!(self.process().is_none(), "it is running");
        if let Err(log) = self.launch() {
            panic!("redis-server did not come back: {log}");
        }
    }

    /// Stops it in the middle of whatever it does; its connections stay.
    pub fn freeze(&self) {
        assert!(self.signal(libc::SIGSTOP), "it is down");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        assert!(self.signal(libc::SIGCONT), "it is down");
    }

    /// Sends its process a signal; false if it is down.
    pub fn signal(&self, signal: libc::c_int) -> bool {
        let process = self.process();
        if let Some(process) = process.as_ref() {
            process.signal(signal);
        }
        process.is_some()
    }

    /// `ADDR:PORT`, as an error about it has to name it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// As it is written in the configuration.
    pub fn url(&self) -> String {
        match self.password() {
            Some(password) => self.url_with_password(password),
            None => format!("redis://{}/0", self.address),
        }
    }

    /// The same with whatever password.
    pub fn url_with_password(&self, password: &str) -> String {
        format!("redis://:{password}@{}/0", self.address)
    }

    /// Where it listens.
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> RedisConnection {
        self.try_connect().expect("a connection to redis-server")
    }

    /// One command over a connection of its own; it must succeed.
    #[track_caller]
    pub fn call(&self, words: &[&str]) -> RedisReply {
        let reply = self.connect().call(words).expect("an answer");
        assert!(
            !matches!(reply, RedisReply::Error(_)),
            "{words:?}: {reply:?}"
        );
        reply
    }

    /// The same of a server that may be away.
    pub fn try_call(&self, words: &[&str]) -> io::Result<RedisReply> {
        self.try_connect()?.call(words)
    }

    /// Whether its process has been started and not killed.
    pub fn is_running(&self) -> bool {
        self.process().is_some()
    }

    /// The connections of others, as `CLIENT LIST` describes each.
    #[track_caller]
    pub fn client_list(&self) -> Vec<BTreeMap<String, String>> {
        let list = self.call(&["CLIENT", "LIST"]).text();
        list.lines()
            .map(|line| {
                line.split(' ')
                    .filter_map(|field| field.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<BTreeMap<_, _>>()
            })
            .filter(|client| client.get("name").is_none_or(|name| name != OWN_NAME))
            .collect()
    }

    /// Cuts every connection but the one that says so.
    #[track_caller]
    pub fn cut_connections(&self) {
        let mut connection = self.connect();
        for kind in ["normal", "pubsub"] {
            let reply = connection.call(&["CLIENT", "KILL", "TYPE", kind]).unwrap();
            assert!(matches!(reply, RedisReply::Integer(_)), "{reply:?}");
        }
    }

    /// The names of all keys, sorted.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        let keys = self.call(&["KEYS", "*"]).list();
        let mut keys: Vec<String> = keys.iter().map(RedisReply::text).collect();
        keys.sort();
        keys
    }

    /// Starts the process and waits until it answers; or else its log.
    fn launch(&self) -> Result<(), String> {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.address.port().to_string()])
            .args(["--bind", &self.address.ip().to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&self.dir)
            .args(&self.flags)
            .stdin(Stdio::null());
        let process = Process::start(command, None);
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_answered_by(process.pid()) {
            if process.status().is_some() {
                return Err(process.stdout() + &process.stderr());
            }
            assert!(
                Instant::now() < deadline,
                "redis-server does not answer: {}",
                process.stdout()
            );
            thread::sleep(Duration::from_millis(2));
        }
        *self.process() = Some(process);
        Ok(())
    }

    /// Whether that process is the one that answers: the port may be somebody else's.
    fn is_answered_by(&self, pid: libc::pid_t) -> bool {
        let Ok(mut connection) = self.try_connect() else {
            return false;
        };
        let is_awake = connection
            .call(&["PING"])
            .is_ok_and(|reply| reply == RedisReply::Status("PONG".to_owned()));
        let line = format!("process_id:{pid}\r");
        is_awake
            && connection
                .call(&["INFO", "server"])
                .is_ok_and(|info| info.text().split('\n').any(|it| it == line))
    }

    fn try_connect(&self) -> io::Result<RedisConnection> {
        let mut connection = RedisConnection::open(self.address)?;
        if let Some(password) = self.password() {
            match connection.call(&["AUTH", password])? {
                RedisReply::Status(_) => {}
                other => {
                    let text = format!("AUTH: {other:?}");
                    return Err(io::Error::new(ErrorKind::PermissionDenied, text));
                }
            }
        }
        connection.call(&["CLIENT", "SETNAME", OWN_NAME])?;
        Ok(connection)
    }

    fn password(&self) -> Option<&str> {
        let place = self.flags.iter().position(|it| it == "--requirepass")?;
        self.flags.get(place + 1).map(String::as_str)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(process) = self.process().as_ref().filter(|_| thread::panicking()) {
            process.show(&format!("redis-server {}", self.address), &process.stdout());
        }
    }
}
