//! What a ledger does between calls: checkpoints, reports of its thread, the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::checkpoint::{Checkpoint, Gone, Job, Report};
use super::error::{CloseError, ReadError};
use super::tables::{Failure, Readers};
use super::{Ledger, Reach};

/// How often the tables are opened again because they could not be read.
const REOPEN_INTERVAL: Duration = Duration::from_secs(5);

/// A failure that lasts is logged this often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

impl Ledger {
    /// Takes everything into the tables and leaves an empty journal. If that fails, what was acknowledged is in
    /// the journal, and on the disk unless the error says otherwise.
    pub(crate) fn close(mut self) -> Result<(), CloseError> {
        self.note_reports();
        self.check_close()?;
        self.journal
            .sync()
            .map_err(|unknown| CloseError::Journal(unknown.source))?;
        while self.frozen.is_some() || !self.fresh.is_empty() {
            if let Reach::Damaged(reason) = &self.tables {
                return Err(CloseError::Tables(reason.clone()));
            }
            if self.frozen.is_none() {
                self.freeze().map_err(CloseError::Journal)?;
            }
            let report = self.checkpointer.await_report();
            if let Ok(Report::Delayed(reason)) = report {
                return Err(CloseError::Tables(reason));
            }
            self.note(report);
            self.check_close()?;
        }
        // A reader keeps the file from being closed well.
        self.tables = Reach::Closed;
        let closed = self.checkpointer.close();
        closed.map_err(|failure| CloseError::Tables(failure.to_string()))
    }

    fn check_close(&self) -> Result<(), CloseError> {
        let broken = self.broken.clone();
        broken.map_or(Ok(()), |reason| Err(CloseError::Broken(reason)))
    }

    /// Starts a checkpoint of the fresh writes. There must be no other.
    pub(super) fn freeze(&mut self) -> std::io::Result<()> {
        let older = self.journal.rotate()?;
        let overlay = Arc::new(std::mem::take(&mut self.fresh));
        self.fresh_since = None;
        self.frozen = Some(overlay.clone());
        let segments = older.iter().map(|&start| self.directory.segment(start));
        self.checkpointer.ask(Job::Checkpoint(Checkpoint {
            overlay,
            through: self.journal.start() - 1,
            segments: segments.collect(),
        }));
        Ok(())
    }
}

impl Ledger {
    /// What waits for a checkpoint, in memory or in the segment, whichever is more: many writes of one key are a
    /// long segment, many small writes a large overlay.
    pub(super) fn pending_bytes(&self) -> usize {
        let length = usize::try_from(self.journal.length()).unwrap_or(usize::MAX);
        self.fresh.bytes().max(length)
    }

    /// Takes note of what the thread has done meanwhile.
    pub(super) fn note_reports(&mut self) {
        while let Some(report) = self.checkpointer.report().transpose() {
            let is_gone = report.is_err();
            self.note(report);
            if is_gone {
                break;
            }
        }
    }

    pub(super) fn note(&mut self, report: Result<Report, Gone>) {
        match report {
            Ok(Report::Synced(task)) => {
                self.journal.note_synced(&task);
                self.is_syncing = false;
            }
            Ok(Report::Unknown(unknown)) => drop(self.break_off(&unknown)),
            Ok(Report::Checkpointed { through, readers }) => {
                self.tables = Reach::Open(readers);
                self.journal.note_checkpointed(through);
                // Many small writes take a while to be freed.
                if let Some(overlay) = self.frozen.take() {
                    self.checkpointer.ask(Job::Forget(overlay));
                }
            }
            Ok(Report::Closed) => self.tables = Reach::Closed,
            Ok(Report::Reopened(readers)) => self.tables = Reach::Open(readers),
            Ok(Report::Damaged(reason)) => self.tables = Reach::Damaged(reason),
            Ok(Report::Delayed(_)) => {}
            Err(Gone) => drop(self.break_off(&"the checkpoint thread has panicked")),
        }
    }

    /// From now on nothing is done any more. Gives the reason, which is that of the first time.
    pub(super) fn break_off(&mut self, reason: &dyn std::fmt::Display) -> Arc<str> {
        let directory = self.directory.path();
        let reason = self.broken.get_or_insert_with(|| {
            let reason = reason.to_string();
            error!(path = %directory.display(), reason, "the store can no longer be written");
            reason.into()
        });
        reason.clone()
    }

    pub(super) fn readers(&self) -> Result<&Readers, ReadError> {
        if let Some(reason) = &self.broken {
            return Err(ReadError::Broken(reason.clone()));
        }
        match &self.tables {
            Reach::Open(readers) => Ok(readers),
            Reach::Closed => Err(ReadError::Unavailable),
            Reach::Damaged(reason) => Err(ReadError::Damaged(reason.clone())),
        }
    }

    /// What to say of a failed read. One failure of the disk makes redb refuse all that follows, so the tables are
    /// opened again, now and then.
    pub(super) fn fail_read(&self, failure: Failure) -> ReadError {
        let is_asked = self.reopen_asked_at.get();
        let is_time = is_asked.is_none_or(|at| at.elapsed() >= REOPEN_INTERVAL);
        if matches!(failure, Failure::Io(_)) && is_time {
            self.reopen_asked_at.set(Some(Instant::now()));
            self.checkpointer.ask(Job::Reopen);
        }
        failure.into()
    }

    /// Starts a checkpoint; if no segment can be begun, the ledger gets congested until that works again.
    pub(super) fn try_freeze(&mut self) {
        let Err(error) = self.freeze() else {
            return;
        };
        let is_time = |at: Instant| at.elapsed() >= LOG_INTERVAL;
        if self.freeze_logged_at.is_none_or(is_time) {
            self.freeze_logged_at = Some(Instant::now());
            warn!(
                path = %self.directory.path().display(), %error,
                "cannot begin a segment of the journal and tries again"
            );
        }
    }
}
