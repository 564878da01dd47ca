//! The first moments of a store: which files are made in which order, and when a store counts as made.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::directory::Directory;
use super::error::OpenError;
use super::tables::Tables;

/// The format this version writes and reads.
const FORMAT: u64 = 2;

/// The file that names the format.
pub(super) const FORMAT_FILE: &str = "FORMAT";

/// The file that is to become it.
const FORMAT_DRAFT: &str = "FORMAT.new";

/// What stands before the number in it.
const FORMAT_TEXT: &str = "popbox embedded store, format ";

/// The file of the tables.
pub(super) const TABLES_FILE: &str = "tables.redb";

/// The file that is to become it.
const TABLES_DRAFT: &str = "tables.redb.new";

/// Opens the tables of a store, which is made if there is none.
pub(super) fn open(
    directory: &Directory,
    cache_bytes: usize,
    check: bool,
) -> Result<Tables, OpenError> {
    let path = directory.file(TABLES_FILE);
    let is_made = is_made(directory)?;
    if is_made {
        if !exists(&path)? {
            return Err(OpenError::damaged(path, "the file is missing"));
        }
    } else {
        make_tables(directory, cache_bytes)?;
    }
    let failed = |failure| OpenError::of_tables(directory.path(), path.clone(), failure);
    let tables = Tables::open(&path, cache_bytes, check).map_err(failed)?;
    if !is_made {
        if tables.checkpointed() != 0 {
            return Err(format_is_missing(directory));
        }
        finish(directory).map_err(OpenError::unusable(directory.path()))?;
    }
    Ok(tables)
}

fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(OpenError::unusable(path))
}

/// Whether the store has been made, once; it is never made again then.
fn is_made(directory: &Directory) -> Result<bool, OpenError> {
    let path = directory.file(FORMAT_FILE);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(OpenError::unusable(path)(error)),
    };
    let number = text.trim_end().strip_prefix(FORMAT_TEXT);
    match number.and_then(|number| number.parse().ok()) {
        Some(FORMAT) => Ok(true),
        Some(found) => Err(OpenError::UnknownFormat {
            path: directory.path().into(),
            found,
            known: FORMAT,
        }),
        None => Err(OpenError::damaged(path, "the file does not name a format")),
    }
}

/// Makes the tables, unless they are there and the store only lacks its last touch. They get their name when they
/// are whole: half a file could not be told from a damaged one.
fn make_tables(directory: &Directory, cache_bytes: usize) -> Result<(), OpenError> {
    for start in directory.segments()? {
        let path = directory.segment(start);
        let length = fs::metadata(&path).map_err(OpenError::unusable(&path))?;
        if start != 1 || length.len() > 0 {
            return Err(format_is_missing(directory));
        }
    }
    let path = directory.file(TABLES_FILE);
    if exists(&path)? {
        return Ok(());
    }
    let draft = directory.file(TABLES_DRAFT);
    remove_if_there(&draft)
        .and_then(|()| Directory::create_file(&draft))
        .map_err(OpenError::unusable(&draft))?;
    Tables::create(&draft, cache_bytes)
        .map_err(|failure| OpenError::of_tables(directory.path(), draft.clone(), failure))?;
    fs::rename(&draft, &path).map_err(OpenError::unusable(path))
}

/// Makes the first segment, and the mark that the store is made when all else is on the disk.
fn finish(directory: &Directory) -> io::Result<()> {
    remove_if_there(&directory.segment(1))?;
    Directory::create_file(&directory.segment(1))?;
    directory.sync()?;
    let draft = directory.file(FORMAT_DRAFT);
    remove_if_there(&draft)?;
    let mut file = Directory::create_file(&draft)?;
    file.write_all(format!("{FORMAT_TEXT}{FORMAT}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, directory.file(FORMAT_FILE))?;
    directory.sync()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn format_is_missing(directory: &Directory) -> OpenError {
    OpenError::damaged(
        directory.file(FORMAT_FILE),
        "the file is missing, yet the store has been used",
    )
}
