//! The folder of a log: its lock, its identity and its files.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::error::OpenError;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";

/// What stands before the id in it.
const FORMAT_TEXT: &str = "popbox spool, format 1, log ";

const SEGMENT_SUFFIX: &str = ".log";
const CURSOR_SUFFIX: &str = ".cursor";
const DRAFT_SUFFIX: &str = ".new";

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Who the log is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// Its random id.
    pub id: u64,
    /// Whether it was made just now.
    pub is_new: bool,
}

impl Folder {
    /// Makes the folder if there is none, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(OpenError::unusable(path))?;
        let lock_path = path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options
            .open(&lock_path)
            .map_err(OpenError::unusable(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.into(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => Err(OpenError::unusable(lock_path)(source)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the segment is that begins there.
    pub(super) fn segment(&self, start: u64) -> PathBuf {
        self.path.join(format!("{start:020}{SEGMENT_SUFFIX}"))
    }

    /// Where the cursor of a reader is.
    pub(super) fn cursor(&self, reader: &str) -> PathBuf {
        self.path.join(format!("{reader}{CURSOR_SUFFIX}"))
    }

    /// Begins a segment.
    pub(super) fn create_segment(&self, start: u64) -> io::Result<File> {
        create(&self.segment(start))
    }

    /// The segments there are: where each begins and ends. A file with any other name is nobody's business here.
    pub(super) fn segments(&self) -> io::Result<BTreeMap<u64, u64>> {
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let start = name
                .to_str()
                .and_then(|name| name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok());
            if let Some(start) = start.filter(|&start| self.segment(start).ends_with(&name)) {
                segments.insert(start, start.saturating_add(entry.metadata()?.len()));
            }
        }
        Ok(segments)
    }

    /// Removes the cursors of all readers but these, and files that never got their name.
    pub(super) fn forget_cursors_but(&self, kept: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let forgotten = name
                .strip_suffix(CURSOR_SUFFIX)
                .is_some_and(|reader| !kept.contains(&reader));
            let is_draft = [FORMAT_FILE, CURSOR_SUFFIX]
                .iter()
                .any(|end| name.ends_with(&format!("{end}{DRAFT_SUFFIX}")));
            if forgotten || is_draft {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(())
    }

    /// Who the log is; a new one if there are no segments.
    pub(super) fn identity(&self, has_segments: bool) -> Result<Identity, OpenError> {
        let path = self.path.join(FORMAT_FILE);
        let unknown = |reason| OpenError::Unknown {
            path: self.path.clone(),
            reason,
        };
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !has_segments => {
                let (high, low) = Uuid::new_v4().as_u64_pair();
                let id = high ^ low; // Each half has bits that are no chance.
                replace(&path, format!("{FORMAT_TEXT}{id:016x}\n").as_bytes())
                    .map_err(OpenError::unusable(path))?;
                return Ok(Identity { id, is_new: true });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unknown(format!("there is no file {FORMAT_FILE}")));
            }
            Err(error) => return Err(OpenError::unusable(path)(error)),
        };
        let id = text.trim_end().strip_prefix(FORMAT_TEXT);
        match id.and_then(|id| u64::from_str_radix(id, 16).ok()) {
            Some(id) => Ok(Identity { id, is_new: false }),
            None => Err(unknown(format!("{FORMAT_FILE} says {text:?}"))),
        }
    }

    /// Brings to the disk which files there are.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Puts `contents` into a new file on the disk, whole or not at all, in the place of the one that is there.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<File> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT_SUFFIX);
    let draft = PathBuf::from(draft);
    remove_if_there(&draft)?;
    let mut file = create(&draft)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(file)
}

/// Removes a file that may be gone already.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)
}
