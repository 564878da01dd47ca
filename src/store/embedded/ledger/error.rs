//! What can go wrong with a ledger, in words for an operator.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tables::Failure;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Somebody has it open.
    #[error("another popbox uses the store {}", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or a file of it cannot be used.
    #[error("cannot use {}: {source}", .path.display())]
    Unusable {
        /// What cannot be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was written by another version.
    #[error(
        "the store {} has format {found}; this popbox knows format {known} only",
        .path.display()
    )]
    UnknownFormat {
        /// The folder.
        path: PathBuf,
        /// The format of the store.
        found: u64,
        /// The format of this version.
        known: u64,
    },
    /// Something that was on the disk is no longer there, or is not what it was.
    #[error("the store is damaged: {}: {reason}", .path.display())]
    Damaged {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The disk is full, or a quota or size limit is reached. Nothing of the batch is kept; the ledger goes on.
    #[error("no space for the journal: {0}")]
    Full(io::Error),
    /// The journal could not be written. Nothing of the batch is kept; the ledger goes on.
    #[error("cannot write the journal: {0}")]
    Io(io::Error),
    /// A key or a value is larger than the ledger takes. Nothing of the batch is kept; the ledger goes on.
    #[error("a key or value of {0} bytes is too large to be stored")]
    TooLarge(usize),
    /// What is on the disk is no longer known: the process is to end, and the next one to read what is there.
    #[error("the store can no longer be written: {0}")]
    Broken(Arc<str>),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// `tables.redb` is closed because it could not be written or read, and will be tried again.
    #[error("the tables of the store are out of reach until their disk has recovered")]
    Unavailable,
    /// The disk failed.
    #[error("cannot read the tables of the store: {0}")]
    Io(io::Error),
    /// `tables.redb` does not hold what was written.
    #[error("the tables of the store are damaged: {0}")]
    Damaged(String),
    /// See [`WriteError::Broken`].
    #[error("the store can no longer be written: {0}")]
    Broken(Arc<str>),
}

/// Why a ledger could not be closed well. What was acknowledged is in the journal all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseError {
    /// The journal could not be brought to the disk.
    #[error("cannot bring the journal to the disk: {0}")]
    Journal(io::Error),
    /// The last changes could not be taken from the journal into the tables.
    #[error("cannot write the tables of the store: {0}")]
    Tables(String),
    /// See [`WriteError::Broken`].
    #[error("the store can no longer be written: {0}")]
    Broken(Arc<str>),
}

impl OpenError {
    pub(super) fn unusable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unusable { path, source }
    }

    pub(super) fn damaged(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// What a failure of `tables.redb` says of the store in `directory`.
    pub(super) fn of_tables(directory: &Path, tables: PathBuf, failure: Failure) -> Self {
        match failure {
            Failure::InUse => Self::InUse {
                path: directory.into(),
            },
            Failure::Io(source) => Self::Unusable {
                path: tables,
                source,
            },
            Failure::Closed => Self::Unusable {
                path: tables,
                source: io::Error::other("it was closed after a failure of its disk"),
            },
            Failure::Damaged(reason) => Self::Damaged {
                path: tables,
                reason,
            },
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full(error),
            _ => Self::Io(error),
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InUse | Failure::Closed => Self::Unavailable,
            Failure::Io(error) => Self::Io(error),
            Failure::Damaged(reason) => Self::Damaged(reason),
        }
    }
}
