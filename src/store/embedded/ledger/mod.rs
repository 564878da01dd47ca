//! The ledger: tables of keys and values on the disk, under the embedded store.
//!
//! A batch of writes goes to the end of the *journal*, which is cheap, and into memory (the *fresh* overlay). When
//! enough has come together, the overlay is *frozen* and a thread takes it into the *tables*, a redb file, where
//! many changes at once are cheap and few are not. A read looks into the fresh overlay, the frozen one, the tables.
//!
//! | file                  | what                                                                          |
//! |-----------------------|-------------------------------------------------------------------------------|
//! | `FORMAT`              | the version of all this; it is there once the store has been made             |
//! | `tables.redb`         | the tables, the number of the last batch in them, the [magic](batch::Magic)   |
//! | `journal-<first>.log` | a segment of the journal: batches from this number on, without a gap          |
//!
//! # After a crash
//!
//! Batches are numbered from 1. The rules that recovery rests on, L being the number of the last batch in the tables:
//!
//! 1. Segment L + 1 exists. A checkpoint begins a segment, then brings the folder to the disk, then commits L to the
//!    tables, then deletes the segments before. So if segment L + 1 is missing, the store is damaged; those before it
//!    are leftovers, deleted unread.
//! 2. A batch says up to which batch all were on the disk when it was written. "On the disk" takes an `fdatasync` of
//!    the segment before (if batches of it were open), then of the segment, then an `fsync` of the folder (if the
//!    segment is new); a finished checkpoint counts as well.
//! 3. So where the journal does not go on (bytes that are no batch, a gap between segments) and any batch behind says
//!    that the one due there was on the disk, the store is damaged: it is refused and nothing is changed. If none says
//!    so, this is what a crash leaves of batches that nobody was promised, and the rest is cut off, the last segment
//!    first, so that a crash meanwhile leaves the same picture.
//! 4. What has been replayed is brought to the disk before anything is added, so a later batch can vouch for it.
//!
//! A kill (`-9`) at any point:
//!
//! - *in an append*: a part of a batch is at the end, and is cut off; *after it, before the reply*: the batch is there.
//! - *after the next segment is made, before or in the checkpoint*: L is the old one; both segments are replayed, the
//!   second may be empty. redb itself leaves the old state or the new one.
//! - *after the commit, before the deletion*: the segments before L + 1 are leftovers.
//! - *in the first creation*: the tables get their name when they are whole, the first segment is made next, `FORMAT`
//!   last and also by renaming. Without `FORMAT` everything but an empty journal and L = 0 is damage; that is made
//!   afresh or finished. With it nothing is ever made again.
//!
//! A power cut besides loses or garbles what was not synced, later batches perhaps less than earlier ones, and may
//! undo unsynced creations, renamings and deletions: rules 1 and 3 are about just that. A deleted segment that is
//! back is a leftover.
//!
//! What cannot be told from a crash: damage in the last batch of all, which no other one vouches for. With
//! [`Durability::Interval`] that goes for all batches since the last sync, a second ago, and in both for the removal
//! of the last segment while the one before is there. It is logged when batches are cut off.
//!
//! # When the disk fails
//!
//! An append without space is taken back and the ledger goes on. If it cannot be taken back, or a sync fails, nobody
//! knows what the disk holds, and everything from then on answers "broken"; the process is to end and read what is
//! there. A checkpoint that fails is tried again for ever, the journal and the overlays holding what it is about;
//! redb must be closed and opened again for that, and reads that need it fail meanwhile.

mod batch;
mod bounds;
mod checkpoint;
mod creation;
mod directory;
mod error;
mod journal;
mod key;
mod merge;
mod overlay;
mod replay;
mod table;
mod tables;
mod upkeep;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

pub(crate) use error::{OpenError, ReadError, WriteError};
pub(crate) use key::Key;
pub(crate) use merge::Visitor;
pub(crate) use table::Table;

use bounds::Bounds;
use checkpoint::{Checkpointer, Job};
use directory::Directory;
use journal::{AppendFailure, Journal};
use overlay::Overlay;
use tables::Readers;

use crate::config::Durability;

/// One change of one entry.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// The table of the entry.
    pub table: Table,
    /// Its key.
    pub key: Key,
    /// Its new value; none removes it.
    pub value: Option<Bytes>,
}

/// How a ledger is opened.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The folder; it is made if it does not exist.
    pub directory: PathBuf,
    /// When [`Ledger::append`] returns.
    pub durability: Durability,
    /// Memory for pages of the tables.
    pub cache_bytes: usize,
    /// Whether all of the tables are read, and their checksums compared, before they are used.
    pub check_on_open: bool,
}

/// Tables of keys and values, on the disk.
pub(crate) struct Ledger {
    durability: Durability,
    bounds: Bounds,
    directory: Directory,
    journal: Journal,
    /// Writes of the segment that takes the batches (after an opening, of all segments).
    fresh: Overlay,
    /// When it got the first of them.
    fresh_since: Option<Instant>,
    /// Writes that are being taken into the tables.
    frozen: Option<Arc<Overlay>>,
    tables: Reach,
    checkpointer: Checkpointer,
    /// When the journal was last asked to be brought to the disk, and whether that is still being done.
    sync_asked_at: Instant,
    is_syncing: bool,
    /// When the tables were last asked to be opened again because they could not be read.
    reopen_asked_at: Cell<Option<Instant>>,
    /// When it was last logged that no segment can be begun.
    freeze_logged_at: Option<Instant>,
    /// Why nothing can be relied on any more.
    broken: Option<Arc<str>>,
}

/// The tables, as the ledger can get at them.
enum Reach {
    Open(Readers),
    Closed,
    Damaged(String),
}

impl Ledger {
    /// Opens the store of a folder, which is made if there is none.
    pub(crate) fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::open_within(settings, Bounds::default())
    }

    fn open_within(settings: &Settings, bounds: Bounds) -> Result<Self, OpenError> {
        let directory = Directory::open(&settings.directory)?;
        let path = directory.path();
        let tables = creation::open(&directory, settings.cache_bytes, settings.check_on_open)?;
        let magic = tables.magic();
        let (overlay, resumption) = replay::replay(&directory, magic, tables.checkpointed())?;
        let readers = tables.readers().map_err(|failure| {
            OpenError::of_tables(path, directory.file(creation::TABLES_FILE), failure)
        })?;
        let journal = Journal::resume(directory.clone(), magic, resumption)
            .map_err(OpenError::unusable(path))?;
        let checkpointer =
            Checkpointer::start(directory.clone(), tables).map_err(OpenError::unusable(path))?;
        Ok(Self {
            durability: settings.durability,
            bounds,
            journal,
            fresh_since: (!overlay.is_empty()).then(Instant::now),
            fresh: overlay,
            frozen: None,
            tables: Reach::Open(readers),
            checkpointer,
            sync_asked_at: Instant::now(),
            is_syncing: false,
            reopen_asked_at: Cell::new(None),
            freeze_logged_at: None,
            broken: None,
            directory,
        })
    }

    /// Writes one batch: after a crash all of it is there or none. It returns when the batch is as durable as
    /// configured: with [`Durability::Sync`] and `is_promised` it is on the disk, and so are all batches before
    /// it; otherwise the kernel has it, and it is on the disk about a second later.
    pub(crate) fn append(
        &mut self,
        writes: Vec<Write>,
        is_promised: bool,
    ) -> Result<(), WriteError> {
        self.note_reports();
        if let Some(reason) = &self.broken {
            return Err(WriteError::Broken(reason.clone()));
        }
        if !writes.is_empty() {
            let appended = self.journal.append(&writes);
            appended.map_err(|failure| match failure {
                AppendFailure::Refused(error) => error,
                AppendFailure::Unknown(unknown) => WriteError::Broken(self.break_off(&unknown)),
            })?;
        }
        if is_promised && self.durability == Durability::Sync {
            let synced = self.journal.sync();
            synced.map_err(|unknown| WriteError::Broken(self.break_off(&unknown)))?;
        }
        if self.fresh.is_empty() && !writes.is_empty() {
            self.fresh_since = Some(Instant::now());
        }
        for write in writes {
            self.fresh.insert(write);
        }
        Ok(())
    }

    /// The value of a key.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        self.read(table, key, Bytes::clone, Bytes::copy_from_slice)
    }

    /// What is made of the value of a key, which is not copied for it.
    pub(crate) fn look<T>(
        &self,
        table: Table,
        key: &[u8],
        make: impl Fn(&[u8]) -> T,
    ) -> Result<Option<T>, ReadError> {
        self.read(table, key, |value| make(value), &make)
    }

    /// What is made of the value of a key: one in memory, or one in a page of the tables.
    fn read<T>(
        &self,
        table: Table,
        key: &[u8],
        of_memory: impl FnOnce(&Bytes) -> T,
        of_page: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, ReadError> {
        let readers = self.readers();
        if let Err(error @ ReadError::Broken(_)) = readers {
            return Err(error);
        }
        let written = self.fresh.get(table, key);
        let frozen = self.frozen.as_ref();
        if let Some(value) = written.or_else(|| frozen?.get(table, key)) {
            return Ok(value.as_ref().map(of_memory));
        }
        let found = readers?.read(table, key, of_page);
        found.map_err(|failure| self.fail_read(failure))
    }

    /// Shows all entries of a table, in the order of their keys, until `visit` fails.
    pub(crate) fn scan<E: From<ReadError>>(
        &self,
        table: Table,
        visit: &mut Visitor<'_, E>,
    ) -> Result<(), E> {
        let readers = self.readers()?;
        let entries = readers.entries(table);
        let entries = entries.map_err(|failure| self.fail_read(failure))?;
        let frozen = self.frozen.as_ref().map(|overlay| overlay.entries(table));
        let mut merge = merge::Merge::new(self.fresh.entries(table), frozen, entries);
        while merge
            .advance(visit)
            .map_err(|stop| match stop {
                merge::Stop::Table(failure) => self.fail_read(failure).into(),
                merge::Stop::Visitor(error) => error,
            })?
            .is_continue()
        {}
        Ok(())
    }

    /// Starts a checkpoint when one is due, takes note of what has been done, and has the journal brought to the
    /// disk. To be called at least once a second, and after appends; it does not wait for any of it.
    pub(crate) fn tick(&mut self) {
        self.note_reports();
        if self.broken.is_some() {
            return;
        }
        let is_old = |since: Instant| since.elapsed() >= self.bounds.checkpoint_age;
        let is_due = self.pending_bytes() >= self.bounds.checkpoint_bytes
            || self.fresh_since.is_some_and(is_old);
        if is_due && self.frozen.is_none() {
            self.try_freeze();
        }
        if !self.is_syncing
            && self.sync_asked_at.elapsed() >= self.bounds.sync_interval
            && let Some(task) = self.journal.sync_task()
        {
            self.is_syncing = true;
            self.sync_asked_at = Instant::now();
            self.checkpointer.ask(Job::Sync(task));
        }
    }

    /// Whether so much waits for a checkpoint that nothing should be added that can be refused.
    pub(crate) fn is_congested(&self) -> bool {
        self.pending_bytes() >= self.bounds.congested_bytes
    }
}
