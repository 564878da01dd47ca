//! How far a reader is done, kept in a small file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::folder::replace;

/// Length of the file.
const FILE_BYTES: usize = 20;

/// The cursor of a reader.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    log_id: u64,
    /// Where it is.
    position: AtomicU64,
    /// Held while the file is written.
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// What is in the file.
    position: Option<u64>,
    /// The file, once it was made here.
    file: Option<File>,
}

/// What is known of a cursor when a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Where it was.
    At(u64),
    /// There was none.
    Missing,
    /// The file is not what was written for this log.
    Damaged,
}

impl Kept {
    /// Reads a cursor's file.
    pub(super) fn read(path: &Path, log_id: u64) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(position(&bytes, log_id).map_or(Self::Damaged, Self::At)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) => Err(error),
        }
    }
}

impl Cursor {
    /// A cursor at a position, of which the file has `written`.
    pub(super) fn new(path: PathBuf, log_id: u64, position: u64, written: Option<u64>) -> Self {
        let written = Written {
            position: written,
            file: None,
        };
        Self {
            path,
            log_id,
            position: AtomicU64::new(position),
            written: Mutex::new(written),
        }
    }

    /// Where it is.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Moves it, never back. The file has it with the next [`Cursor::write`] that succeeds.
    pub(super) fn advance(&self, position: u64) {
        self.position.fetch_max(position, Ordering::AcqRel);
    }

    /// Brings it into the file, if it is not there. If the machine dies the file may have what it had before, or be
    /// damaged. It is made anew once, which needs room on the disk, and then written in place, which needs none.
    pub(super) fn write(&self) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.position();
        if written.position == Some(position) {
            return Ok(());
        }
        let contents = contents(self.log_id, position);
        match &written.file {
            Some(file) => file.write_all_at(&contents, 0)?,
            None => written.file = Some(replace(&self.path, &contents)?),
        }
        written.position = Some(position);
        Ok(())
    }
}

fn contents(log_id: u64, position: u64) -> Vec<u8> {
    let mut bytes = [log_id.to_le_bytes(), position.to_le_bytes()].concat();
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn position(bytes: &[u8], log_id: u64) -> Option<u64> {
    let bytes: &[u8; FILE_BYTES] = bytes.try_into().ok()?;
    let position = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    (contents(log_id, position) == bytes).then_some(position)
}
