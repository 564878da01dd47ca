//! How far a reader is done, kept in a small file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::folder::{Durable, replace};

/// Length of the file.
const FILE_BYTES: usize = 20;

/// The cursor of a reader.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    log_id: u64,
    /// What is in the file.
    position: AtomicU64,
    /// Held while the file is written.
    writing: Mutex<()>,
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
    /// The cursor that is in the file.
    pub(super) fn kept(path: PathBuf, log_id: u64, position: u64) -> Self {
        Self {
            path,
            log_id,
            position: AtomicU64::new(position),
            writing: Mutex::new(()),
        }
    }

    /// A cursor that is brought to the disk here: a reader without one would be taken for a new one.
    pub(super) fn begin(path: PathBuf, log_id: u64, position: u64) -> io::Result<Self> {
        replace(&path, &contents(log_id, position), Durable::Yes)?;
        Ok(Self::kept(path, log_id, position))
    }

    /// Where it is.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Moves it, never back. If the machine dies it may be where it was before, or damaged.
    pub(super) fn advance(&self, position: u64) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if position > self.position() {
            let contents = contents(self.log_id, position);
            replace(&self.path, &contents, Durable::Later)?;
            self.position.store(position, Ordering::Release);
        }
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
