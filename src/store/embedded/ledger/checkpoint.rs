//! The thread that does what takes long: it takes checkpoints into the tables and brings the journal to the disk.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::directory::Directory;
use super::journal::{SyncTask, Unknown};
use super::overlay::Overlay;
use super::tables::{Failure, Readers, Reopening, Tables};

/// How long after a failure it tries again: at first, and at most.
const RETRY_DELAY_FIRST: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// A failure that lasts is logged this often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// What the thread is asked to do.
pub(super) enum Job {
    /// Bring batches of the journal to the disk.
    Sync(SyncTask),
    /// Take a checkpoint. There is no other until this one is done.
    Checkpoint(Checkpoint),
    /// Close the tables and open them again, since they could not be read.
    Reopen,
    /// Give back the memory of writes that the tables have.
    Forget(Arc<Overlay>),
}

/// Writes that are to go into the tables.
pub(super) struct Checkpoint {
    /// The writes.
    pub overlay: Arc<Overlay>,
    /// The last batch they come from; the next one begins a segment.
    pub through: u64,
    /// The segments they come from, to be deleted.
    pub segments: Vec<PathBuf>,
}

/// What the thread tells.
pub(super) enum Report {
    /// A task is done.
    Synced(SyncTask),
    /// It is not known what is on the disk.
    Unknown(Unknown),
    /// A checkpoint is done: all batches up to `through` are in the tables.
    Checkpointed {
        /// The last batch of it.
        through: u64,
        /// The tables with them.
        readers: Readers,
    },
    /// The tables were closed; earlier readers are of no use.
    Closed,
    /// The tables are open again.
    Reopened(Readers),
    /// They do not hold what was written, and stay closed.
    Damaged(String),
    /// A checkpoint has failed and will be tried again.
    Delayed(String),
}

/// The thread, as seen by its owner. Dropping it waits for what it has begun.
pub(super) struct Checkpointer {
    jobs: Option<Sender<Job>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(directory: Directory, tables: Tables) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::channel();
        let (sender, reports) = mpsc::channel();
        let worker = Worker {
            directory,
            tables: State::Open(tables),
            jobs: receiver,
            reports: sender,
            checkpoint: None,
            retry_at: None,
            retry_delay: RETRY_DELAY_FIRST,
            logged_at: None,
        };
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || worker.run())?;
        Ok(Self {
            jobs: Some(jobs),
            reports,
            thread: Some(thread),
        })
    }

    /// Asks for something. If the thread is gone, [`report`](Self::report) says so.
    pub(super) fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// What the thread told meanwhile; an error if it is gone.
    pub(super) fn report(&self) -> Result<Option<Report>, Gone> {
        match self.reports.try_recv() {
            Ok(report) => Ok(Some(report)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => Err(Gone),
        }
    }

    /// Waits until the thread tells something.
    pub(super) fn await_report(&self) -> Result<Report, Gone> {
        self.reports.recv().map_err(|_| Gone)
    }

    /// Ends the thread and closes the tables.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.end().unwrap_or(Ok(()))
    }

    fn end(&mut self) -> Option<Result<(), Failure>> {
        self.jobs = None;
        let thread = self.thread.take()?;
        let panicked = || Failure::Damaged("the thread that writes it has panicked".into());
        Some(thread.join().unwrap_or_else(|_| Err(panicked())))
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if let Some(Err(failure)) = self.end() {
            warn!(error = %failure, "has not closed the tables well");
        }
    }
}

/// The thread has panicked.
#[derive(Debug)]
pub(super) struct Gone;

enum State {
    Open(Tables),
    /// To be opened again.
    Closed(Reopening),
    /// Closed for good: damaged.
    Lost,
}

struct Worker {
    directory: Directory,
    tables: State,
    jobs: Receiver<Job>,
    reports: Sender<Report>,
    /// The one being taken.
    checkpoint: Option<Checkpoint>,
    /// When to try again what failed.
    retry_at: Option<Instant>,
    retry_delay: Duration,
    logged_at: Option<Instant>,
}

impl Worker {
    fn run(mut self) -> Result<(), Failure> {
        while let ControlFlow::Continue(job) = self.wait() {
            match job {
                Some(Job::Sync(task)) => {
                    let done = task.run();
                    self.tell(done.map_or_else(Report::Unknown, |()| Report::Synced(task)));
                }
                Some(Job::Checkpoint(checkpoint)) => {
                    self.checkpoint = Some(checkpoint);
                    self.go_on();
                }
                Some(Job::Reopen) => self.reopen(false),
                Some(Job::Forget(overlay)) => drop(overlay),
                None => self.go_on(),
            }
        }
        match self.tables {
            State::Open(tables) => tables.close(),
            State::Closed(_) => Err(Failure::Closed),
            State::Lost => Ok(()), // It has been told.
        }
    }

    /// The next job; none when it is time to try again; a break when the owner is gone.
    fn wait(&self) -> ControlFlow<(), Option<Job>> {
        let Some(retry_at) = self.retry_at else {
            return match self.jobs.recv() {
                Ok(job) => ControlFlow::Continue(Some(job)),
                Err(mpsc::RecvError) => ControlFlow::Break(()),
            };
        };
        let delay = retry_at.saturating_duration_since(Instant::now());
        match self.jobs.recv_timeout(delay) {
            Ok(job) => ControlFlow::Continue(Some(job)),
            Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(None),
            Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
        }
    }

    /// Takes the checkpoint that is to be taken, if the tables are open or can be opened.
    fn go_on(&mut self) {
        self.retry_at = None;
        if matches!(self.tables, State::Closed(_)) {
            self.reopen(false);
        }
        let State::Open(tables) = &self.tables else {
            return;
        };
        let Some(checkpoint) = self.checkpoint.take() else {
            return;
        };
        // Once the tables say that they have all up to `through`, the segment that comes next must be there.
        if let Err(source) = self.directory.sync() {
            let action = "bringing the folder to the disk";
            return self.tell(Report::Unknown(Unknown { action, source }));
        }
        match tables.apply(&checkpoint.overlay, checkpoint.through) {
            Ok(readers) => {
                Self::delete(&checkpoint.segments);
                if self.logged_at.take().is_some() {
                    info!("the tables of the store can be written again");
                }
                self.retry_delay = RETRY_DELAY_FIRST;
                self.tell(Report::Checkpointed {
                    through: checkpoint.through,
                    readers,
                });
            }
            Err(failure) => {
                self.log(&failure);
                self.checkpoint = Some(checkpoint);
                self.retry_later();
                // What redb cannot cope with is looked at closely before it is trusted again.
                self.reopen(matches!(failure, Failure::Damaged(_)));
                self.tell(Report::Delayed(failure.to_string()));
            }
        }
    }

    /// Closes the tables, if they are open, and opens them: a failure of the disk makes redb refuse all else.
    fn reopen(&mut self, check: bool) {
        let opened = match std::mem::replace(&mut self.tables, State::Lost) {
            State::Open(tables) => {
                self.tell(Report::Closed);
                tables.reopen(check)
            }
            State::Closed(reopening) => reopening.open(check),
            State::Lost => return,
        };
        let opened = opened.and_then(|tables| match tables.readers() {
            Ok(readers) => Ok((tables, readers)),
            Err(failure) => Err((failure, tables.into_reopening())),
        });
        match opened {
            Ok((tables, readers)) => {
                self.tables = State::Open(tables);
                self.tell(Report::Reopened(readers));
            }
            Err((Failure::Damaged(reason), _)) => {
                error!(
                    path = %self.directory.path().display(), reason,
                    "the tables of the store are damaged and cannot be opened again"
                );
                self.tell(Report::Damaged(reason));
            }
            Err((failure, reopening)) => {
                self.log(&failure);
                self.tables = State::Closed(reopening);
                self.retry_later();
            }
        }
    }

    fn retry_later(&mut self) {
        self.retry_at = Some(Instant::now() + self.retry_delay);
        self.retry_delay = (self.retry_delay * 2).min(RETRY_DELAY_MAX);
    }

    fn log(&mut self, failure: &Failure) {
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.logged_at = Some(Instant::now());
            error!(
                path = %self.directory.path().display(), error = %failure,
                "cannot write the tables of the store and tries again; the journal goes on"
            );
        }
    }

    /// Deletes segments that the tables make superfluous. What stays is deleted at the next start.
    fn delete(segments: &[PathBuf]) {
        for path in segments {
            if let Err(error) = fs::remove_file(path) {
                warn!(path = %path.display(), %error, "cannot delete a segment of the journal");
            }
        }
    }

    /// Tells the owner, who may be gone.
    fn tell(&self, report: Report) {
        let _ = self.reports.send(report);
    }
}
