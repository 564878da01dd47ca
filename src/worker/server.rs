//! The life of the server: start, ready, drain, end.

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crossbeam::channel::{Receiver, after, bounded, select, unbounded};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tracing::{error, info, warn};

use super::{
    Shared,
    addresses::Addresses,
    certificate::Certificate,
    entrances::{EntranceError, Entrances},
    open_files,
    pool::Pool,
    thread::{Driver, Report, Start},
};
use crate::{
    api,
    auth::Guard,
    config::{Config, CreateQueues, StoreKind},
    memory::Account,
    offload,
    runtime::Inbox,
    store::{self, OpenStore},
};

/// Why the server could not start or go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Entrance(#[from] EntranceError),
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    Offload(#[from] offload::StartError),
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
}

/// Serves until told to stop by SIGTERM or SIGINT. Fails when it cannot start, and when not everything could be
/// finished within `server.drain`.
pub fn serve(config: &Config) -> ExitCode {
    match run(config) {
        Ok(code) => code,
        Err(failure) => {
            error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Config) -> Result<ExitCode, Failure> {
    // Before anything else, so that a signal that comes early is not lost.
    let signals = watch_signals().map_err(Failure::Signals)?;
    let connections_max = open_files::allow_connections(config.limits.max_connections);
    let workers = worker_count(config.server.workers);
    let entrances = Entrances::open(config, workers)?;
    let inboxes = inboxes_of(workers).map_err(Failure::Worker)?;
    let verdicts = inboxes_of(workers).map_err(Failure::Worker)?;
    let guard = Guard::new(&config.auth, &verdicts).map_err(Failure::Worker)?;
    let recollections = inboxes_of(workers).map_err(Failure::Worker)?;
    let pool = Pool::start(config, entrances.plain, recollections)?;
    let transitions = Arc::new(pool.transitions());
    let store = OpenStore::open(config, &inboxes, &transitions)?;
    let driver = Driver::available();
    if driver == Driver::Epoll {
        warn!(
            "the system refuses io_uring, epoll is used instead: the server works, and is slower"
        );
    }
    let shared = shared(config, connections_max, &store);
    let (reports, reported) = unbounded();
    let access = api::Access {
        has_users: !config.auth.users.is_empty(),
        create_queues: config.auth.create_queues,
    };
    warn_of_settings(config);
    let inboxes_of_workers = inboxes.iter().zip(&verdicts).zip(pool.links());
    for ((index, entrances), ((inbox, verdicts), link)) in
        (0..).zip(entrances.of_workers).zip(inboxes_of_workers)
    {
        let start = Start {
            index,
            driver,
            entrances,
            inbox: Arc::clone(inbox),
            verdicts: Arc::clone(verdicts),
            link,
            guard: Arc::clone(&guard),
            access,
            gate: store.gate(),
            health: store.health(),
            transitions: Arc::clone(&transitions),
            shared: Arc::clone(&shared),
            limits: config.limits.clone(),
            handshake_timeout: config.tls.handshake_timeout,
            access_log: config.log.access,
            reports: reports.clone(),
        };
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || super::thread::run(start))
            .map_err(Failure::Worker)?;
    }
    for _ in 0..workers {
        // Every worker holds a sender, so there is a report for each.
        if let Ok(Report::Failed(error)) = reported.recv() {
            return Err(Failure::Worker(error));
        }
    }
    let secured = entrances.secured.as_ref().map(|(address, _)| *address);
    let certificate = entrances.secured.as_ref().map(|(_, it)| &**it);
    let health = store.health();
    if let Some(trouble) = health.trouble() {
        let waiting = sd_notify::NotifyState::Status(&format!("waiting for the store: {trouble}"));
        let _ = sd_notify::notify(false, &[waiting]);
    }
    let is_told_to_stop = loop {
        select! {
            recv(health.reached()) -> _ => say_ready(entrances.plain, secured, workers, driver),
            recv(signals) -> signal => match signal {
                Ok(SIGHUP) => reload(certificate),
                _ => break true,
            },
            recv(reported) -> report => {
                if let Ok(Report::Failed(error)) = report {
                    error!(%error, "a worker failed");
                }
                break false;
            }
        }
    };
    let code = if is_told_to_stop {
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        // In one order with the inbox's arming: a worker that is not woken sees this.
        shared.draining.store(true, Ordering::SeqCst);
        for inbox in &inboxes {
            inbox.wake();
        }
        match drain(config, workers, &signals, &reported) {
            Drained::Whole => ExitCode::SUCCESS,
            Drained::InPart => ExitCode::FAILURE,
            // Not even for the store: what it has acknowledged is in its journal.
            Drained::Hastily => return Ok(ExitCode::FAILURE),
        }
    } else {
        ExitCode::FAILURE
    };
    store.close();
    pool.close();
    Ok(code)
}

fn shared(config: &Config, connections_max: usize, store: &OpenStore) -> Arc<Shared> {
    Arc::new(Shared {
        draining: AtomicBool::new(false),
        connections: AtomicUsize::new(0),
        connections_max,
        handshakes: AtomicUsize::new(0),
        handshakes_max: config.tls.max_handshakes,
        body_memory: Arc::new(Account::new(config.limits.max_body_memory.bytes())),
        answer_memory: store.answer_memory(),
        addresses: Addresses::new(
            config.limits.max_connections_per_address,
            config.limits.max_requests_per_address,
        ),
        refusals: Arc::default(),
    })
}

/// How the end went.
enum Drained {
    /// Every answer is with its client.
    Whole,
    /// Some were not taken in time.
    InPart,
    /// There was to be no waiting for anything.
    Hastily,
}

/// Waits until every worker has finished what it was at.
fn drain(
    config: &Config,
    workers: usize,
    signals: &Receiver<i32>,
    reported: &Receiver<Report>,
) -> Drained {
    info!("draining: waiting pops are answered, requests under way are finished");
    let begun = Instant::now();
    let deadline = after(config.server.drain);
    let mut left = workers;
    while left > 0 {
        select! {
            recv(reported) -> _ => left -= 1,
            recv(deadline) -> _ => {
                warn!("server.drain is over before every answer was taken by its client");
                return Drained::InPart;
            }
            recv(signals) -> signal => if signal != Ok(SIGHUP) {
                warn!("a second signal: not waiting any longer");
                return Drained::Hastily;
            },
        }
    }
    info!(seconds = begun.elapsed().as_secs_f64(), "drained");
    Drained::Whole
}

/// An inbox for each worker.
fn inboxes_of<T>(workers: usize) -> io::Result<Vec<Arc<Inbox<T>>>> {
    (0..workers).map(|_| Inbox::new().map(Arc::new)).collect()
}

/// Says what strangers may do here, where it is strangers who can, and what is set in vain.
fn warn_of_settings(config: &Config) {
    let auth = &config.auth;
    if config.limits.max_tenant_queues > 0 && config.store.kind == StoreKind::Redis {
        warn!("limits.max_tenant_queues is of no effect with the Redis store");
    }
    let is_reachable = |address: SocketAddr| !address.ip().is_loopback();
    if is_reachable(config.server.listen) && auth.users.is_empty() {
        warn!(
            address = %config.server.listen,
            "whoever reaches server.listen may push, pop and delete: set auth.users, or listen on a loopback address"
        );
    }
    if is_reachable(config.server.listen) && !auth.users.is_empty() {
        warn!(
            address = %config.server.listen,
            "passwords of auth.users come over server.listen as they are: let them come over tls.listen only"
        );
    }
    if let Some(address) = config.tls.listen
        && is_reachable(address)
        && auth.users.is_empty()
        && auth.create_queues == CreateQueues::Anyone
    {
        warn!(
            %address,
            "whoever reaches tls.listen may push, and make secured queues: set auth.users or auth.create_queues"
        );
    }
}

/// Reads the certificate again.
fn reload(certificate: Option<&Certificate>) {
    match certificate.map(Certificate::reload) {
        Some(Ok(())) => info!("SIGHUP: the certificate was read again"),
        Some(Err(error)) => error!("SIGHUP: the certificate in use stays: {error}"),
        None => info!("SIGHUP: there is no certificate to be read again"),
    }
}

/// The signals that the server acts on, one by one.
fn watch_signals() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (sender, receiver) = bounded(2);
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                // Two are enough: the second one ends the process.
                let _ = sender.try_send(signal);
            }
        })?;
    Ok(receiver)
}

fn worker_count(configured: usize) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        count => count,
    }
}

fn say_ready(address: SocketAddr, secured: Option<SocketAddr>, workers: usize, driver: Driver) {
    use std::io::Write as _;
    let workers = if workers == 1 {
        "1 worker".into()
    } else {
        format!("{workers} workers")
    };
    let secured = secured.map_or_else(String::new, |address| format!(" and https://{address}"));
    // A closed standard output is no reason not to serve.
    let _ = writeln!(
        io::stdout(),
        "popbox ready on http://{address}{secured} ({workers}, {})",
        driver.name()
    );
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
}
