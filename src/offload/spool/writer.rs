//! Appending to the log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::error::{AppendError, FlushError};
use super::log::Log;
use super::{ENTRY_BYTES_MAX, Limits, entry};

/// More than this is not held back from the kernel, but for a single entry.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Appends to the log. What was not flushed when it is dropped is lost: nobody would hear of a failure.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<Log>,
    limits: Limits,
    /// The segment being written, and where it begins.
    file: File,
    start: u64,
    /// Where what is flushed ends.
    flushed: u64,
    /// What is not, and how many entries that is.
    buffer: Vec<u8>,
    buffered: u64,
    /// Whether the file may have something after what is flushed.
    is_torn: bool,
    /// Where what is synced ends.
    synced: u64,
    /// Whether a segment was made whose name is not synced.
    is_name_unsynced: bool,
}

impl Writer {
    /// Writes into an empty segment.
    pub(super) fn new(log: Arc<Log>, limits: Limits, file: File, start: u64) -> Self {
        Self {
            log,
            limits,
            file,
            start,
            flushed: start,
            buffer: Vec::new(),
            buffered: 0,
            is_torn: false,
            // The one before us may have synced nothing.
            synced: 0,
            is_name_unsynced: false,
        }
    }

    /// Takes an entry, to be told to the readers with the next flush at the latest. When this says that the log is
    /// full, a flush lets readers get on with what was taken.
    pub(crate) fn append(&mut self, entry: &[u8]) -> Result<(), AppendError> {
        let size = entry::size(entry) as u64;
        if entry.len() > ENTRY_BYTES_MAX || size > self.limits.bytes_max {
            return Err(AppendError::TooLarge(entry.len()));
        }
        let length = self.length();
        if !self.has_room(size) {
            // The segment being written is never deleted: were it the only one, the log would be full for ever.
            if length > 0 && self.log.has_one_segment() {
                self.begin_segment()?;
            }
            if !self.has_room(size) {
                return Err(AppendError::Full);
            }
        } else if length > 0 && length + size > self.limits.segment_bytes {
            self.begin_segment()?;
        } else if self.buffer.len() as u64 + size > BUFFER_BYTES_MAX as u64 {
            self.flush()?;
        }
        entry::encode(&mut self.buffer, entry);
        self.buffered += 1;
        Ok(())
    }

    /// Length of the segment being written, with what is buffered.
    fn length(&self) -> u64 {
        self.flushed - self.start + self.buffer.len() as u64
    }

    fn has_room(&self, size: u64) -> bool {
        self.log.bytes() + self.buffer.len() as u64 + size <= self.limits.bytes_max
    }

    fn begin_segment(&mut self) -> Result<(), FlushError> {
        self.flush()?;
        let created = self.log.folder.create_segment(self.flushed);
        self.file = created.map_err(|source| FlushError { lost: 0, source })?;
        self.start = self.flushed;
        self.is_name_unsynced = true;
        self.log.begin(self.start);
        self.log.free();
        Ok(())
    }

    /// Hands what is buffered to the kernel, then tells the readers. If that fails, what was buffered is lost.
    pub(crate) fn flush(&mut self) -> Result<(), FlushError> {
        if self.buffer.is_empty() && !self.is_torn {
            return Ok(());
        }
        let written = self.write();
        let count = self.buffer.len() as u64;
        let lost = std::mem::take(&mut self.buffered);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        if let Err(source) = written {
            // If this fails too, it is tried again before anything else is written.
            let _ = self.cut();
            return Err(FlushError { lost, source });
        }
        self.flushed += count;
        self.log.grow(count);
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.cut()?;
        }
        self.is_torn = true;
        self.file
            .write_all_at(&self.buffer, self.flushed - self.start)?;
        self.is_torn = false;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.flushed - self.start)?;
        self.is_torn = false;
        Ok(())
    }

    /// Brings to the disk what is flushed and is not there yet, and into their files the cursors that could not be
    /// written before.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        for start in self.log.segments_after(self.synced) {
            if start == self.start {
                self.file.sync_data()?;
                continue;
            }
            match File::open(self.log.folder.segment(start)) {
                Ok(file) => file.sync_data()?,
                // The readers are done with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_name_unsynced {
            self.log.folder.sync()?;
            self.is_name_unsynced = false;
        }
        self.synced = self.flushed;
        self.log.write_cursors()
    }

    /// How many bytes readers passed over since they are damaged.
    pub(crate) fn damaged_bytes(&self) -> u64 {
        self.log.damaged_bytes()
    }

    /// How many bytes are on disk.
    pub(crate) fn size(&self) -> u64 {
        self.log.bytes()
    }
}
