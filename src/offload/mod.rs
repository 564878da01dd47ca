//! A thread pool of its own for what may take long and must hold up no worker: history and callbacks.
//!
//! Workers and the store tell of [`Event`]s through a [`Reporter`], which never waits. A thread of its own, `intake`,
//! writes them into the `spool`, a log on the disk. From there two readers take them, each at its own pace and with a
//! mark of its own of how far it is: `history` puts them into MongoDB, `callbacks` tells producers of deliveries. So
//! an event survives a restart and a receiver that is away, and each comes at least once.

pub mod callbacks;
mod event;
mod historian;
pub mod history;
mod intake;
mod jitter;
mod notice;
mod reporter;
mod spool;
mod tally;
mod timestamp;

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinHandle,
};
use tracing::warn;

use self::{history::History, intake::Intake, reporter::Letter};
use crate::{config::Config, memory::Account, runtime::Inbox, vital::Vital};

pub use callbacks::is_url;
pub use event::{Action, Event, Messages, NewStates};
pub use historian::{Historian, Inquiry, Memories, Recollection, Unread};
pub use history::{EVENTS_DEFAULT, EVENTS_MAX, Past, Since, Span};
pub use reporter::{Interest, Reporter};
pub use spool::OpenError as SpoolError;
pub use tally::{Tallies, Tally};
pub use timestamp::Timestamp;

/// Size of a file of the spool.
const SEGMENT_BYTES: u64 = 16 << 20;

/// How long the pool may take to finish what it is at when the server ends. The spool has the rest.
const FINISHING: Duration = Duration::from_secs(3);

/// The pool at work.
#[derive(Debug)]
pub struct Offload {
    reporter: Reporter,
    sender: Sender<Letter>,
    /// Is closed when the last event is in the spool.
    intake: Receiver<Infallible>,
    runtime: Runtime,
    readers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    historian: Option<Historian>,
    tallies: Arc<Tallies>,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spool cannot be used.
    #[error("offload.spool: {0}")]
    Spool(#[from] SpoolError),
    /// Callbacks cannot be sent.
    #[error("callbacks: {0}")]
    Callbacks(#[from] callbacks::ClientError),
    /// The threads cannot be started.
    #[error("cannot start the pool of history and callbacks: {0}")]
    Threads(#[from] io::Error),
}

impl Offload {
    /// Starts what the configuration asks for, if that is anything; each worker has an inbox for what it asks history.
    pub fn start(
        config: &Config,
        agent: &str,
        inboxes: &[Arc<Inbox<Recollection>>],
    ) -> Result<Option<Self>, StartError> {
        let interest = Interest::of(config);
        if !interest.is_any() {
            return Ok(None);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.offload.threads)
            .thread_name("offload")
            .enable_all()
            .build()?;
        let names: Vec<&str> = [
            interest.history.then_some("history"),
            interest.callbacks.then_some("callbacks"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let limits = spool::Limits {
            bytes_max: config.offload.spool_max.bytes() as u64,
            segment_bytes: SEGMENT_BYTES.min(config.offload.spool_max.bytes() as u64 / 4),
        };
        let (spool, spool_readers) = spool::open(&config.offload.spool, limits, &names)?;
        let mut spool_readers = spool_readers.into_iter();
        let mut tallies = Tallies::default();
        let (stop, stopped) = watch::channel(false);
        let mut readers = Vec::new();
        let mut historian = None;
        if interest.history
            && let Some(reader) = spool_readers.next()
        {
            let history = Arc::new(History::new(config.history.clone(), agent.to_owned()));
            tallies.history = Some(Arc::clone(&history));
            historian = Some(Historian::new(
                runtime.handle().clone(),
                Arc::clone(&history),
                inboxes.to_vec(),
            ));
            let stopped = stopped.clone();
            readers.push(runtime.spawn(vital(async move { history.run(reader, stopped).await })));
        }
        if interest.callbacks
            && let Some(reader) = spool_readers.next()
        {
            let tally = Arc::default();
            tallies.callbacks = Some(Arc::clone(&tally));
            let settings = config.callbacks.clone();
            let client = callbacks::Client::new(&settings)?;
            let run = callbacks::run(reader, client, settings, tally, stopped);
            readers.push(runtime.spawn(vital(run)));
        }
        let (sender, receiver) = bounded(config.offload.channel);
        let intake = Intake::new(receiver, spool, Arc::clone(&tallies.intake));
        let (ending, intake_end) = bounded(0);
        thread::Builder::new().name("spool".into()).spawn(move || {
            let _ending = ending;
            intake.run();
        })?;
        let memory = Account::new(config.offload.channel_memory.bytes());
        let reporter = Reporter::new(
            sender.clone(),
            memory,
            Arc::clone(&tallies.intake),
            interest,
        );
        Ok(Some(Self {
            reporter,
            sender,
            intake: intake_end,
            runtime,
            readers,
            stop,
            historian,
            tallies: Arc::new(tallies),
        }))
    }

    /// A way to tell of events.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Who reads history back, if there is one.
    pub fn historian(&self) -> Option<Historian> {
        self.historian.clone()
    }

    /// What has been done.
    pub fn tallies(&self) -> Arc<Tallies> {
        Arc::clone(&self.tallies)
    }

    /// Writes the last events into the spool, and stops. What is not done with remains there for the next start.
    pub fn close(self) {
        let begun = Instant::now();
        let left = || FINISHING.saturating_sub(begun.elapsed());
        let is_last_sent = self.sender.send_timeout(Letter::Last, FINISHING).is_ok();
        // A disk that hangs is not waited for.
        if !is_last_sent || self.intake.recv_timeout(left()) != Err(RecvTimeoutError::Disconnected)
        {
            warn!("the last events could not be spooled");
        }
        // Nobody listens where they have ended.
        let _ = self.stop.send(true);
        let readers = self.readers;
        self.runtime.block_on(async {
            for reader in readers {
                // What it is not done with is in the spool.
                let _ = tokio::time::timeout(left(), reader).await;
            }
        });
        self.runtime.shutdown_timeout(Duration::from_millis(100));
    }

    /// Ends without waiting for anything, as dropping it would for what is blocked.
    pub fn abandon(self) {
        self.runtime.shutdown_background();
    }
}

/// A task that the server cannot do without: what it does not read fills the spool.
async fn vital(task: impl Future<Output = ()>) {
    let _vital = Vital::thread();
    task.await;
}
