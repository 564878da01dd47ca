//! What can go wrong with the log, in words for an operator.

use std::io;
use std::path::PathBuf;

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another popbox uses the spool {}: stop it, or give each a folder of its own", .path.display())]
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
    /// It was written by another version, or its `FORMAT` is not what was written.
    #[error(
        "the spool {} is damaged or of another version ({reason}): move the folder away, and a new one is made; \
         what it holds is not told then",
        .path.display()
    )]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// The log is as large as it may be, until the readers are done with some of it.
    #[error("the spool is full: its readers are too slow, or `offload.spool_max` is too low")]
    Full,
    /// The entry is too long.
    #[error("an event of {0} bytes is too large for the spool")]
    TooLarge(usize),
    /// The entry was not taken because those before it could not be written, or a segment not be begun.
    #[error(transparent)]
    Io(#[from] FlushError),
}

/// Why entries could not be handed to the kernel. They are lost, and those that come are tried anew.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the spool: {source}")]
pub(crate) struct FlushError {
    /// How many entries that [`super::Writer::append`] had taken are not in the log.
    pub lost: u64,
    /// Why.
    pub source: io::Error,
}

/// Why entries could not be read. They still can be when the trouble is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// A segment cannot be read.
    #[error(
        "cannot read {}: {source}; should this last, move the file away: what it holds is not told then",
        .path.display()
    )]
    Io {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The blocking threads are ending, or failed.
    #[error("the spool is not read: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl OpenError {
    pub(super) fn unusable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unusable { path, source }
    }
}
