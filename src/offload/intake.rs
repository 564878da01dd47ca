//! The thread that takes events in and writes them into the spool.

use std::{
    error::Error,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError};
use tracing::{error, warn};

use super::{
    notice::Notice,
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

/// Why events are lost that do not come here.
const TOO_MANY: &str =
    "they come faster than they can be written, or the store could not be asked about them";

/// Events that are written at once.
const BATCH_MAX: usize = 4096;

pub(super) struct Intake {
    receiver: Receiver<Letter>,
    spool: Writer,
    tally: Arc<Tally>,
    synced: Instant,
    is_dirty: bool,
    failing_to_sync: Notice,
    /// Why the last event was lost here.
    reason: Option<Box<dyn Error + Send + Sync>>,
    /// Losses that have been told.
    told: u64,
    losing: Notice,
}

impl Intake {
    pub(super) fn new(receiver: Receiver<Letter>, spool: Writer, tally: Arc<Tally>) -> Self {
        Self {
            receiver,
            spool,
            tally,
            synced: Instant::now(),
            is_dirty: false,
            failing_to_sync: Notice::default(),
            reason: None,
            told: 0,
            losing: Notice::default(),
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
            let damaged = self.spool.damaged_bytes();
            self.tally.note_spool(self.spool.size(), damaged);
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
            match postcard::to_allocvec(&event).map(|entry| self.spool.append(&entry)) {
                Ok(Ok(())) => appended += 1,
                Ok(Err(error)) => {
                    lost += 1;
                    if let AppendError::Io(error) = &error {
                        // What had been appended before.
                        lost += error.lost;
                        appended = appended.saturating_sub(error.lost);
                    }
                    self.reason = Some(error.into());
                }
                Err(error) => {
                    lost += 1;
                    self.reason = Some(error.into());
                }
            }
        }
        if let Err(error) = self.spool.flush() {
            lost += error.lost;
            appended = appended.saturating_sub(error.lost);
            self.reason = Some(error.into());
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
            let result = self.spool.sync();
            self.synced = Instant::now();
            self.is_dirty = result.is_err();
            if let Err(error) = result
                && self.failing_to_sync.is_due(self.synced.into())
            {
                error!(%error, "the spool cannot be put on its disk");
            }
        }
    }

    fn tell_losses(&mut self) {
        let dropped = self.tally.dropped();
        if dropped > self.told && self.losing.is_due(Instant::now().into()) {
            // Those that did not get this far are counted only.
            let reason = self.reason.take();
            let reason = reason.map_or_else(|| TOO_MANY.into(), |reason| reason.to_string());
            warn!(
                lost = dropped - self.told,
                in_all = dropped,
                "events for history and callbacks are lost: {reason}"
            );
            self.told = dropped;
        }
    }
}
