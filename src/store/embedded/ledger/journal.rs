//! The end of the journal, where batches are added.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Write;
use super::batch::{self, Magic};
use super::directory::Directory;
use super::error::WriteError;

/// The buffer for encoding is given back if a batch made it larger than this.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// The journal as it is written.
pub(super) struct Journal {
    directory: Directory,
    magic: Magic,
    /// The segment that takes the batches, and the number of its first one.
    segment: Arc<File>,
    start: u64,
    length: u64,
    /// Segments before it that are not yet deleted, by their first batches.
    older: Vec<u64>,
    /// The one right before it, while batches of it may not be on the disk.
    unsynced_older: Option<Arc<File>>,
    /// Whether a power cut leaves the segment in its folder.
    is_segment_listed: bool,
    /// The number of the next batch.
    next: u64,
    /// This batch and all before it are on the disk.
    synced: u64,
    buffer: Vec<u8>,
}

/// Where the journal goes on.
#[derive(Debug)]
pub(super) struct Resumption {
    /// The last segment, by its first batch.
    pub start: u64,
    /// Its length.
    pub length: u64,
    /// The number of the next batch; all before it are on the disk.
    pub next: u64,
    /// Segments before the last, by their first batches.
    pub older: Vec<u64>,
}

/// Why a batch that was written is not known to be on the disk, or may be there though it was refused.
#[derive(Debug, thiserror::Error)]
#[error("{action} failed: {source}")]
pub(super) struct Unknown {
    pub action: &'static str,
    pub source: io::Error,
}

/// How an append can fail.
#[derive(Debug)]
pub(super) enum AppendFailure {
    /// The journal is as if nothing had been tried.
    Refused(WriteError),
    /// It is not known what is on the disk.
    Unknown(Unknown),
}

impl Journal {
    /// Opens the last segment to add to it.
    pub(super) fn resume(
        directory: Directory,
        magic: Magic,
        resumption: Resumption,
    ) -> io::Result<Self> {
        let path = directory.segment(resumption.start);
        let segment = File::options().read(true).write(true).open(path)?;
        Ok(Self {
            directory,
            magic,
            segment: Arc::new(segment),
            start: resumption.start,
            length: resumption.length,
            older: resumption.older,
            unsynced_older: None,
            is_segment_listed: true,
            next: resumption.next,
            synced: resumption.next - 1,
            buffer: Vec::new(),
        })
    }

    /// Hands a batch to the kernel.
    pub(super) fn append(&mut self, writes: &[Write]) -> Result<(), AppendFailure> {
        self.buffer.clear();
        batch::encode(&mut self.buffer, self.magic, self.next, self.synced, writes)
            .map_err(AppendFailure::Refused)?;
        if let Err(error) = self.segment.write_all_at(&self.buffer, self.length) {
            // A part of it may have been written.
            return Err(match self.segment.set_len(self.length) {
                Ok(()) => AppendFailure::Refused(error.into()),
                Err(source) => AppendFailure::Unknown(Unknown {
                    action: "cutting off a batch that could not be written",
                    source,
                }),
            });
        }
        self.length += self.buffer.len() as u64;
        self.next += 1;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Brings all batches to the disk.
    pub(super) fn sync(&mut self) -> Result<(), Unknown> {
        if let Some(task) = self.sync_task() {
            task.run()?;
            self.note_synced(&task);
        }
        Ok(())
    }

    /// What it takes to bring all batches to the disk; none if they are.
    pub(super) fn sync_task(&self) -> Option<SyncTask> {
        (self.synced + 1 < self.next).then(|| SyncTask {
            older: self.unsynced_older.clone(),
            segment: self.segment.clone(),
            directory: (!self.is_segment_listed).then(|| self.directory.clone()),
            start: self.start,
            through: self.next - 1,
        })
    }

    /// Takes note that a task has been done.
    pub(super) fn note_synced(&mut self, task: &SyncTask) {
        self.synced = self.synced.max(task.through);
        if task.start == self.start {
            self.is_segment_listed = true;
        }
        if self.synced + 1 >= self.start {
            self.unsynced_older = None;
        }
    }

    /// Begins a new segment. Gives the older ones, which are to be deleted once the tables have all batches before
    /// [`start`](Self::start).
    pub(super) fn rotate(&mut self) -> io::Result<Vec<u64>> {
        // One that has not been written to goes on: there can be but one of its name.
        if self.next > self.start {
            let segment = Directory::create_file(&self.directory.segment(self.next))?;
            let full = std::mem::replace(&mut self.segment, Arc::new(segment));
            self.unsynced_older = (self.synced + 1 < self.next).then_some(full);
            self.older.push(self.start);
            self.start = self.next;
            self.length = 0;
            self.is_segment_listed = false;
        }
        Ok(self.older.clone())
    }

    /// Takes note that the tables have all batches up to `through`, that the older segments are deleted, and that
    /// the last one is listed in its folder, all on the disk.
    pub(super) fn note_checkpointed(&mut self, through: u64) {
        self.synced = self.synced.max(through);
        self.older.clear();
        self.unsynced_older = None;
        self.is_segment_listed = true;
    }

    /// The first batch of the segment that takes the batches.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Length of that segment.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Has the batches go to a file that fails.
    #[cfg(test)]
    pub(super) fn redirect(&mut self, file: File) {
        self.segment = Arc::new(file);
    }
}

/// What it takes to bring some batches to the disk. It can be done on any thread.
pub(super) struct SyncTask {
    older: Option<Arc<File>>,
    segment: Arc<File>,
    directory: Option<Directory>,
    start: u64,
    through: u64,
}

impl SyncTask {
    /// Does it.
    pub(super) fn run(&self) -> Result<(), Unknown> {
        let older = self.older.as_ref().map_or(Ok(()), |file| file.sync_data());
        older
            .and_then(|()| self.segment.sync_data())
            .and_then(|()| self.directory.as_ref().map_or(Ok(()), Directory::sync))
            .map_err(|source| Unknown {
                action: "bringing the journal to the disk",
                source,
            })
    }
}
