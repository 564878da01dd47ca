//! The thread that takes events in and writes them into the spool.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError};
use tracing::{error, warn};

use super::{
    reporter::Letter,
    spool::{AppendError, Writer},
    tally::Tally,
};
use crate::vital::Vital;

/// How long events may gather before they are written. Meanwhile the thread sleeps, so nobody who tells of one has to
/// wake it.
const GATHERING: Duration = Duration::from_millis(1);

/// How often what is written is put on the disk. A killed process loses nothing by that, a power cut may lose so much.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Losses are told this often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Events that are written at once.
const BATCH_MAX: usize = 4096;

pub(super) struct Intake {
    receiver: Receiver<Letter>,
    spool: Writer,
    tally: Arc<Tally>,
    synced: Instant,
    is_dirty: bool,
    /// Losses that have been told, and when.
    told: (u64, Option<Instant>),
}

impl Intake {
    pub(super) fn new(receiver: Receiver<Letter>, spool: Writer, tally: Arc<Tally>) -> Self {
        Self {
            receiver,
            spool,
            tally,
            synced: Instant::now(),
            is_dirty: false,
            told: (0, None),
        }
    }

    /// Works until the last event has come.
    pub(super) fn run(mut self) {
        let _vital = Vital::thread();
        let mut is_open = true;
        while is_open {
            match self.receiver.recv_timeout(SYNC_INTERVAL) {
                Ok(letter) => {
                    is_open = self.take(letter);
                    if is_open {
                        thread::sleep(GATHERING);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_open = false,
            }
            self.sync(!is_open);
            self.tally.note_spool(self.spool.size());
            self.tell_losses();
        }
    }

    /// Writes an event and those that have come after it; whether there may be more.
    fn take(&mut self, letter: Letter) -> bool {
        let mut is_open = true;
        let mut lost = 0;
        let mut appended = 0_u64;
        let rest = self.receiver.try_iter().take(BATCH_MAX - 1);
        for letter in std::iter::once(letter).chain(rest) {
            let Letter::Event(event, _charge) = letter else {
                is_open = false;
                continue;
            };
            // Names, numbers and lists of them: nothing that the format lacks.
            let entry = postcard::to_allocvec(&event).unwrap_or_default();
            match self.spool.append(&entry) {
                Ok(()) => appended += 1,
                Err(AppendError::Io(error)) => {
                    // With what had been appended before.
                    lost += 1 + error.lost;
                    appended = appended.saturating_sub(error.lost);
                }
                Err(AppendError::Full | AppendError::TooLarge(_)) => lost += 1,
            }
        }
        match self.spool.flush() {
            Ok(()) => {}
            Err(error) => {
                lost += error.lost;
                appended = appended.saturating_sub(error.lost);
            }
        }
        self.tally.note_spooled(appended);
        if lost > 0 {
            self.tally.note_dropped(lost);
        }
        self.is_dirty = true;
        is_open
    }

    fn sync(&mut self, is_last: bool) {
        if self.is_dirty && (is_last || self.synced.elapsed() >= SYNC_INTERVAL) {
            if let Err(error) = self.spool.sync() {
                error!(%error, "the spool cannot be put on its disk");
            }
            self.synced = Instant::now();
            self.is_dirty = false;
        }
    }

    fn tell_losses(&mut self) {
        let (told, at) = self.told;
        let dropped = self.tally.dropped();
        if dropped > told && at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            warn!(
                lost = dropped - told,
                in_all = dropped,
                "events for history and callbacks are lost: the spool is full or too slow"
            );
            self.told = (dropped, Some(Instant::now()));
        }
    }
}
