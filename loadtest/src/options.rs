//! What every command can be told.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    address_range::AddressRange, connection::Blueprint, duration, exchange::Protocol, login::Login,
    payload::Payloads, process::Process, queue::Prefix, random, report::Report, server::Server,
    source::Source, target::Target, tls::Tls,
};

/// Where the load goes, from where, and what is noted.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A server, http://HOST:PORT or https://HOST:PORT (popbox), or redis://, nchan://, beanstalk:// or webdis://;
    /// several: connections are spread over them
    #[arg(
        long = "target",
        value_name = "URL",
        default_value = "http://127.0.0.1:3001"
    )]
    pub(crate) targets: Vec<Target>,
    /// The certificate of a server of https:// is to be this one or by this authority (PEM). Without, every certificate
    /// is taken: this measures, and does not verify. Sessions are not resumed, so each connection is a whole handshake
    #[arg(
        long = "cacert",
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    tls: Tls,
    /// Every request has this login. At https:// the queues are secured queues of this user: they are made before the
    /// run where they are not there yet, and looked at, so that the server knows the login. That takes it two slow
    /// hashes for each queue; let its `auth.verified_life` be longer than it all takes, or there are more
    #[arg(long, value_name = "USER:PASSWORD")]
    pub(crate) login: Option<Login>,
    /// Threads that make the load; half of the processors if left out, as the server needs some too
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Addresses to connect from, taken in turn: A,B,C or FIRST-LAST. Each has room for some 28,000 connections; to
    /// loopback, 127.0.0.1 and those after it are taken as far as needed
    #[arg(
        long = "from",
        visible_alias = "source",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    sources: Vec<AddressRange>,
    /// What the names of the queues begin with; if left out, load- and what they are for
    #[arg(long)]
    prefix: Option<Prefix>,
    /// A process of which processor time and memory are reported; may be given several times
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub(crate) processes: Vec<Process>,
    /// Write the report there, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write it as a page for a browser, too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How often progress is shown; if left out, every 2s, and every 1m of a soak
    #[arg(long, value_parser = duration::parse)]
    progress: Option<Duration>,
    /// Repeats a choice of queues; it is printed if left out
    #[arg(long)]
    seed: Option<u64>,
    /// How long answers are waited for after the end
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    pub(crate) patience: Duration,
}

/// How often progress is shown, if nothing else is said, and at most.
const PROGRESS: Duration = Duration::from_secs(2);
const PROGRESS_MIN: Duration = Duration::from_millis(100);

/// How long it takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Timing {
    /// How long it is measured
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    pub(crate) duration: Duration,
    /// How long the same is done before that
    #[arg(long, default_value = "2s", value_parser = duration::parse)]
    pub(crate) warmup: Duration,
}

/// How large messages are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PayloadOptions {
    /// Bytes of a payload; of several sizes, each message has one by chance. If left out, 200; of mixed and soak,
    /// 100,1000,10000
    #[arg(long = "payload", value_name = "BYTES,...", value_delimiter = ',',
          value_parser = clap::value_parser!(u32).range(Payloads::BYTES_MIN as i64..=Payloads::BYTES_MAX as i64))]
    sizes_bytes: Vec<u32>,
    /// The callback of each message; only popbox has any
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
}

/// The size of payloads, if nothing else is said.
const BYTES: u32 = 200;

impl PayloadOptions {
    /// Payloads of a run that has not been before.
    pub(crate) fn payloads(&self) -> Payloads {
        self.payloads_or(&[BYTES])
    }

    /// The same, of these sizes if none is given.
    pub(crate) fn payloads_or(&self, sizes_bytes: &[u32]) -> Payloads {
        let run = random::number(now_nanoseconds(), u64::from(std::process::id()));
        let given = Some(self.sizes_bytes.as_slice()).filter(|given| !given.is_empty());
        let sizes = given.unwrap_or(sizes_bytes).iter();
        let sizes: Vec<usize> = sizes.map(|bytes| *bytes as usize).collect();
        Payloads::new(run, &sizes).with_callback(self.callback.as_deref())
    }
}

impl Options {
    /// What the names of the queues begin with. Commands that would take each other's messages have a default each.
    pub(crate) fn prefix(&self, default: &str) -> Prefix {
        self.prefix
            .clone()
            .unwrap_or_else(|| Prefix::constant(default))
    }

    /// Of the choice of queues: the given one, or one that has not been before.
    pub(crate) fn seed(&self) -> u64 {
        // In JSON, a number is exact up to 2^53 only.
        self.seed
            .unwrap_or_else(|| random::number(now_nanoseconds(), 0) >> 32)
    }

    /// How often progress is shown.
    pub(crate) fn progress(&self) -> Duration {
        self.progress.unwrap_or(PROGRESS).max(PROGRESS_MIN)
    }

    /// The same, if it was not given.
    pub(crate) fn or_progress(mut self, progress: Duration) -> Self {
        self.progress = self.progress.or(Some(progress));
        self
    }

    /// The first target, these included, that is none of these servers.
    pub(crate) fn target_besides(
        &self,
        servers: &[Protocol],
        further: &[Target],
    ) -> Option<Target> {
        let mut targets = self.targets.iter().chain(further);
        targets
            .find(|target| !servers.contains(&target.protocol))
            .cloned()
    }

    /// How many threads make the load, of which none is to be without a connection.
    pub(crate) fn threads(&self, connections: usize) -> usize {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads
            .map_or(processors / 2, NonZeroUsize::get)
            .min(connections)
            .max(1)
    }

    fn sources(&self) -> Vec<IpAddr> {
        let ranges = self.sources.iter().copied();
        ranges.flat_map(AddressRange::addresses).collect()
    }

    /// So many connections, spread over the targets.
    pub(crate) fn connections(&self, count: usize) -> Vec<Blueprint> {
        self.blueprints(&self.targets, 0, count)
    }

    /// So many further ones, to other targets if any are given.
    pub(crate) fn more_connections(
        &self,
        targets: &[Target],
        before: usize,
        count: usize,
    ) -> Vec<Blueprint> {
        let targets = if targets.is_empty() {
            &self.targets
        } else {
            targets
        };
        self.blueprints(targets, before, count)
    }

    fn server(&self, target: &Target) -> Server {
        let login = self.login.as_ref();
        let login = login.filter(|_| target.protocol == Protocol::Popbox);
        Server::new(target.clone(), self.tls.clone(), login)
    }

    fn blueprints(&self, targets: &[Target], before: usize, count: usize) -> Vec<Blueprint> {
        let process = u64::from(std::process::id());
        // Only that it differs matters.
        let first_port = usize::from(u16::try_from(random::number(process, 0) >> 48).unwrap_or(0));
        let sources = self.sources();
        let servers: Vec<Arc<Server>> = targets
            .iter()
            .map(|target| Arc::new(self.server(target)))
            .collect();
        (before..before + count)
            .zip(servers.iter().cycle())
            .map(|(number, server)| Blueprint {
                number,
                server: Arc::clone(server),
                source: Source::new(&sources, &server.target, number, first_port),
            })
            .collect()
    }

    /// Begins the report of a command.
    pub(crate) fn report(&self, command: &str) -> Report {
        let mut report = Report::new(command);
        let targets: Vec<String> = self.targets.iter().map(Target::to_string).collect();
        report.text("target", targets.join(" "));
        let servers = self.targets.iter().map(|target| self.server(target));
        let servers: Vec<String> = servers.map(|server| server.introduction()).collect();
        report.text("server", servers.join(", "));
        report
    }
}

fn now_nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
