//! What one thread runs.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::AsFd,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crossbeam::channel::Sender;
use io_uring::IoUring;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use slab::Slab;
use tracing::{error, warn};

use super::{
    Date, Door, Shared, Worker, desk::Desk, entrances::Entrance, listener, pool::Link,
    questions::Questions, witness::Witness,
};
use crate::{
    api,
    auth::{Guard, Outcome, Verdict},
    config, http,
    offload::Recollection,
    runtime::{self, Bell, Inbox, Timers, Watch},
    store::{self, Gate, Health, Transitions},
    vital::{self, Vital},
};

/// Entries of a ring, tried in this order. Locked memory is charged for them where the process is not privileged, and
/// a small ring works as well: it is emptied more often.
const RING_ENTRIES: [u32; 3] = [4096, 1024, 256];

/// How often a worker that ends looks whether its store has finished.
const STORE_LOOK: Duration = Duration::from_millis(2);

/// How long a worker that ends waits for a store that it could not ask where deliveries are to be told.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// Size of the buffer that a thread reads into.
const READ_BYTES: usize = 64 << 10;

/// How a thread waits for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    IoUring,
    Epoll,
}

impl Driver {
    /// The better one that this system allows.
    pub(super) fn available() -> Self {
        if monoio::utils::detect_uring() {
            Self::IoUring
        } else {
            Self::Epoll
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// What a thread begins with.
pub(super) struct Start {
    pub(super) index: u16,
    pub(super) driver: Driver,
    pub(super) entrances: Vec<Entrance>,
    pub(super) inbox: Arc<store::Inbox>,
    pub(super) verdicts: Arc<Inbox<Verdict>>,
    pub(super) link: Link,
    pub(super) guard: Arc<Guard>,
    pub(super) access: api::Access,
    pub(super) gate: Gate,
    pub(super) health: Arc<Health>,
    pub(super) transitions: Arc<Transitions>,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: config::Limits,
    pub(super) handshake_timeout: Duration,
    pub(super) access_log: bool,
    pub(super) reports: Sender<Report>,
}

/// What a thread tells of itself.
pub(super) enum Report {
    /// It serves.
    Ready,
    /// It has drained.
    Done,
    /// It cannot go on.
    Failed(io::Error),
}

/// Serves until drained. Reports what becomes of it.
pub(super) fn run(start: Start) {
    let _vital = Vital::thread();
    let reports = start.reports.clone();
    let report = match run_on(start) {
        Ok(()) => Report::Done,
        Err(error) => Report::Failed(error),
    };
    // Nobody listens any more when the process is about to exit.
    let _ = reports.send(report);
}

fn run_on(start: Start) -> io::Result<()> {
    if start.driver == Driver::IoUring {
        let mut refused = None;
        for entries in RING_ENTRIES {
            for setup in [uninterrupted(), IoUring::builder()] {
                match RuntimeBuilder::<IoUringDriver>::new()
                    .uring_builder(setup)
                    .with_entries(entries)
                    .build()
                {
                    Ok(mut runtime) => return runtime.block_on(work(start)),
                    Err(error) => refused = Some(error),
                }
            }
        }
        let index = start.index;
        warn!(worker = index, error = ?refused, "no ring for this worker, it uses epoll: raise LimitMEMLOCK");
    }
    RuntimeBuilder::<LegacyDriver>::new()
        .build()?
        .block_on(work(start))
}

/// A ring whose events are looked at when the thread asks for them: without that, each socket that gets ready
/// interrupts what the thread is at. Linux can do it since 6.1.
fn uninterrupted() -> io_uring::Builder {
    let mut setup = IoUring::builder();
    setup.setup_single_issuer().setup_defer_taskrun();
    setup
}

async fn work(start: Start) -> io::Result<()> {
    let limits = start.limits;
    let timers = Rc::new(Timers::new()?);
    let gate = start.gate;
    let witness = start.link.reporter.clone().and_then(Witness::new);
    let desk = Rc::new_cyclic(|desk: &Weak<Desk>| {
        let desk = desk.clone();
        let receive = move |delivery| {
            if let Some(desk) = desk.upgrade() {
                desk.receive(delivery);
            }
        };
        let store = gate.enter(&timers, Box::new(receive));
        Desk::new(start.index, store, Rc::clone(&timers), witness)
    });
    let (health, transitions) = (start.health, start.transitions);
    let (doors, listeners): (Vec<_>, Vec<_>) = start
        .entrances
        .into_iter()
        .map(|entrance| {
            let door = Door {
                settings: api::Settings {
                    limits: limits.clone(),
                    realm: entrance.realm(),
                    access: start.access,
                    health: Arc::clone(&health),
                    transitions: Arc::clone(&transitions),
                    refusals: Arc::clone(&start.shared.refusals),
                    has_history: start.link.historian.is_some(),
                    offload: start.link.tallies.clone(),
                },
                certificate: entrance.certificate,
                bell: Bell::default(),
            };
            (Rc::new(door), entrance.listener)
        })
        .unzip();
    let worker = Rc::new(Worker {
        index: start.index,
        shared: start.shared,
        doors,
        decoder_limits: http::Limits {
            head_bytes_max: limits.max_head.bytes(),
            body_bytes_max: limits.max_body.bytes(),
        },
        limits,
        handshake_timeout: start.handshake_timeout,
        desk,
        timers,
        guard: start.guard,
        checks: Rc::default(),
        recalls: Rc::default(),
        historian: start.link.historian,
        reporter: start.link.reporter,
        access_log: start.access_log,
        connections: Cell::new(0),
        draining: Cell::new(false),
        bells: RefCell::new(Slab::new()),
        departure_bell: Bell::default(),
        read_buffer: RefCell::new(vec![0; READ_BYTES].into()),
        write_buffer: RefCell::default(),
        date: RefCell::new(Date::default()),
    });
    spawn_vital(Rc::clone(&worker), |worker| async move {
        worker.timers.run().await
    });
    let inbox = start.inbox;
    spawn_vital(Rc::clone(&worker), |worker| async move {
        receive(&worker, &inbox).await
    });
    let verdicts = start.verdicts;
    spawn_vital(Rc::clone(&worker), |worker| async move {
        receive_verdicts(&worker.checks, &verdicts).await
    });
    let recollections = start.link.recollections;
    spawn_vital(Rc::clone(&worker), |worker| async move {
        receive_recollections(&worker.recalls, &recollections).await
    });
    for (door, listener) in worker.doors.iter().zip(listeners) {
        let door = Rc::clone(door);
        spawn_vital(Rc::clone(&worker), |worker| {
            listener::run(listener, door, worker)
        });
    }
    let reports = start.reports;
    let _ = reports.send(Report::Ready);
    while !worker.draining.get() || worker.connections.get() > 0 {
        worker.departure_bell.rung().await;
    }
    // What the last answers leave behind is small and soon done, or has to wait for a store that is out of reach: then
    // the end of the drain ends it.
    let begun = Instant::now();
    while !worker.desk.is_idle() || (worker.desk.is_open() && begun.elapsed() < OPEN_WAIT) {
        worker.timers.sleep(STORE_LOOK).await;
    }
    worker.desk.give_up();
    Ok(())
}

/// Runs what the thread cannot do without.
fn spawn_vital<F, T>(worker: Rc<Worker>, task: F)
where
    F: FnOnce(Rc<Worker>) -> T + 'static,
    T: Future<Output = io::Result<()>> + 'static,
{
    runtime::spawn(async move {
        if let Err(error) = task(worker).await {
            // Nobody would be woken any more: better to be started anew, with nothing lost.
            error!(%error, "a worker cannot go on");
            vital::abort();
        }
    });
}

/// Brings replies from the inbox to those who wait for them.
async fn receive(worker: &Worker, inbox: &store::Inbox) -> io::Result<()> {
    let watch = Watch::new(inbox.as_fd().try_clone_to_owned()?)?;
    let mut deliveries = Vec::new();
    loop {
        watch.readable().await?;
        inbox.arm();
        inbox.take(&mut deliveries);
        for delivery in deliveries.drain(..) {
            worker.desk.receive(delivery);
        }
        if worker.shared.draining.load(Ordering::SeqCst) && !worker.draining.get() {
            worker.drain();
        }
    }
}

/// Brings verdicts on logins to those who wait for them.
async fn receive_verdicts(checks: &Questions<Outcome>, inbox: &Inbox<Verdict>) -> io::Result<()> {
    receive_all(inbox, |verdict| {
        checks.receive(verdict.number, verdict.outcome);
    })
    .await
}

/// Brings what was read back from history to those who wait for it.
async fn receive_recollections(
    recalls: &Questions<Recollection>,
    inbox: &Inbox<Recollection>,
) -> io::Result<()> {
    receive_all(inbox, |recollection| {
        recalls.receive(recollection.number, recollection);
    })
    .await
}

async fn receive_all<T>(inbox: &Inbox<T>, receive: impl Fn(T)) -> io::Result<()> {
    let watch = Watch::new(inbox.as_fd().try_clone_to_owned()?)?;
    let mut letters = Vec::new();
    loop {
        watch.readable().await?;
        inbox.arm();
        inbox.take(&mut letters);
        letters.drain(..).for_each(&receive);
    }
}
