//! What the writer and the readers share: which segments there are, and how far everybody is.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::{error, warn};

use super::cursor::Cursor;
use super::entry::Flaw;
use super::folder::{Folder, remove_if_there};
use super::segment::Segment;

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    pub folder: Folder,
    /// Its random id.
    pub id: u64,
    cursors: Vec<Arc<Cursor>>,
    state: Mutex<State>,
    /// Where what is flushed ends.
    tail: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// Where each begins, and ends as far as it is flushed. The last one is being written.
    segments: BTreeMap<u64, u64>,
    /// The length of all.
    bytes: u64,
    /// What readers passed over, and where the last of that ends.
    damaged_bytes: u64,
    damaged_until: u64,
}

impl Log {
    /// A log of these segments, of which the last one is being written.
    pub(super) fn new(
        folder: Folder,
        id: u64,
        segments: BTreeMap<u64, u64>,
        cursors: Vec<Arc<Cursor>>,
    ) -> Self {
        let tail = segments.last_key_value().map_or(0, |(_, &end)| end);
        let bytes = segments.iter().map(|(start, end)| end - start).sum();
        Self {
            folder,
            id,
            cursors,
            state: Mutex::new(State {
                segments,
                bytes,
                damaged_bytes: 0,
                damaged_until: 0,
            }),
            tail: watch::Sender::new(tail),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The length of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Tells where what is flushed ends.
    pub(super) fn tail(&self) -> watch::Receiver<u64> {
        self.tail.subscribe()
    }

    /// Whether there is but one segment.
    pub(super) fn has_one_segment(&self) -> bool {
        self.state().segments.len() == 1
    }

    /// The segment with what is at a position; or, if nothing is there, the next one.
    pub(super) fn segment_at(&self, position: u64) -> Option<Segment> {
        let state = self.state();
        let before = state.segments.range(..=position).next_back();
        before
            .filter(|&(_, &end)| end > position)
            .or_else(|| state.segments.range(position.saturating_add(1)..).next())
            .map(|(&start, &end)| Segment { start, end })
    }

    /// The segments that have something after a position.
    pub(super) fn segments_after(&self, position: u64) -> Vec<u64> {
        let state = self.state();
        let after = state.segments.iter().filter(|&(_, &end)| end > position);
        after.map(|(&start, _)| start).collect()
    }

    /// How much there is after a position.
    pub(super) fn bytes_after(&self, position: u64) -> u64 {
        let state = self.state();
        let after = state.segments.iter();
        after
            .map(|(&start, &end)| end.saturating_sub(start.max(position)))
            .sum()
    }

    /// A segment has begun.
    pub(super) fn begin(&self, start: u64) {
        self.state().segments.insert(start, start);
    }

    /// The segment being written has grown.
    pub(super) fn grow(&self, count: u64) {
        let mut state = self.state();
        let Some(mut last) = state.segments.last_entry() else {
            return;
        };
        *last.get_mut() += count;
        let tail = *last.get();
        state.bytes += count;
        drop(state);
        self.tail.send_replace(tail);
    }

    /// How many bytes readers passed over since they are damaged.
    pub(super) fn damaged_bytes(&self) -> u64 {
        self.state().damaged_bytes
    }

    /// A reader passes over this part of a segment. It is counted for the first one only, and told in the log once for
    /// the whole segment.
    pub(super) fn pass_over(&self, segment: Segment, start: u64, end: u64, reason: Flaw) {
        let mut state = self.state();
        let count = end.saturating_sub(start.max(state.damaged_until));
        let is_first = count > 0 && state.damaged_until <= segment.start;
        state.damaged_bytes += count;
        state.damaged_until = state.damaged_until.max(end);
        drop(state);
        if is_first {
            let path = self.folder.segment(segment.start);
            error!(path = %path.display(), position = start, lost_bytes = count, reason, "the spool is damaged");
        }
    }

    /// Writes the cursors whose files lag.
    pub(super) fn write_cursors(&self) -> io::Result<()> {
        self.cursors.iter().try_for_each(|cursor| cursor.write())
    }

    /// Deletes the segments that all readers are past, but for the one being written.
    pub(super) fn free(&self) {
        let positions = self.cursors.iter().map(|cursor| cursor.position());
        let done = positions.min().unwrap_or(u64::MAX);
        loop {
            // The lock is not held while the file system is at it.
            let mut state = self.state();
            if state.segments.len() < 2 {
                return;
            }
            let Some(first) = state.segments.first_entry().filter(|it| *it.get() <= done) else {
                return;
            };
            let (start, end) = first.remove_entry();
            state.bytes -= end - start;
            drop(state);
            let path = self.folder.segment(start);
            if let Err(error) = remove_if_there(&path) {
                warn!(path = %path.display(), %error, "cannot delete what was told from the spool");
                let mut state = self.state();
                state.segments.insert(start, end);
                state.bytes += end - start;
                return;
            }
        }
    }
}
