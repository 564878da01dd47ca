//! The folder of a store: its lock and its files.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use super::error::OpenError;

/// The folder of a store, locked for this process.
///
/// Besides redb's lock on its file there is one on the folder: it is taken before anything is looked at, holds while
/// the tables are closed to be opened again, and guards a store that has no tables yet.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: Arc<File>,
}

impl Directory {
    /// Makes the folder if there is none, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        create_folders(path).map_err(OpenError::unusable(path))?;
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)
            .map_err(OpenError::unusable(path))?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.into() }),
            // Some network file systems lock no folders; there redb's lock must do.
            Err(TryLockError::Error(error)) => {
                debug!(path = %path.display(), %error, "cannot lock");
            }
        }
        Ok(Self {
            path: path.into(),
            handle: Arc::new(handle),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of it is.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the segment is that begins with this batch.
    pub(super) fn segment(&self, start: u64) -> PathBuf {
        self.path.join(format!("journal-{start:020}.log"))
    }

    /// The segments there are, in order. A file with any other name is nobody's business here.
    pub(super) fn segments(&self) -> Result<Vec<u64>, OpenError> {
        let mut starts = Vec::new();
        let entries = fs::read_dir(&self.path).map_err(OpenError::unusable(&self.path))?;
        for entry in entries {
            let name = entry.map_err(OpenError::unusable(&self.path))?.file_name();
            let digits = name
                .to_str()
                .and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".log"));
            let start = digits.and_then(|digits| digits.parse().ok());
            starts.extend(start.filter(|&start| self.segment(start).ends_with(&name)));
        }
        starts.sort_unstable();
        Ok(starts)
    }

    /// Makes a file that is not there yet, readable by its owner only.
    pub(super) fn create_file(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        options.open(path)
    }

    /// Brings to the disk which files there are.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// Makes a folder and those it is in, each on the disk when this returns.
fn create_folders(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    if missing.is_empty() {
        return Ok(()); // Something is there; whether it is a folder shows when it is opened.
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path)?;
    for folder in missing {
        let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
