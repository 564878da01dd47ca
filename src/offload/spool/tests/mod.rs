//! What a log is to hold, whatever happens to it.

mod damage;
mod disk;
mod limits;
mod model;
mod opening;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use popbox_test_support::Random;
use tokio::runtime::Runtime;

use super::{AppendError, Entry, Limits, OpenError, Position, Reader, Writer};

/// Where reading is waited for.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

const AMPLE: Limits = Limits {
    bytes_max: 1 << 30,
    segment_bytes: 1 << 20,
};

/// Opens a log that was open a moment ago: a process that another test is starting has all our files until it is
/// another program, and what was left of a read may still have them.
fn open<const N: usize>(
    folder: &Path,
    limits: Limits,
    readers: [&str; N],
) -> (Writer, [Reader; N]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match super::open(folder, limits, &readers) {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => {
                let (writer, readers) = opened.unwrap();
                return (writer, readers.try_into().unwrap());
            }
        }
    }
}

fn read(reader: &mut Reader, bytes_max: usize) -> Vec<Entry> {
    RUNTIME.block_on(reader.read(bytes_max)).unwrap()
}

/// All there is.
fn read_all(reader: &mut Reader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !reader.is_at_end() {
        let entries = read(reader, 100);
        all.extend(entries.iter().map(|entry| entry.bytes.to_vec()));
    }
    all
}

fn done(reader: &mut Reader, until: Position) {
    RUNTIME.block_on(reader.done(until)).unwrap();
}

/// Done with all that was read.
fn done_all(reader: &mut Reader) {
    done(reader, Position(u64::MAX));
}

fn write(writer: &mut Writer, entries: &[Vec<u8>]) {
    for entry in entries {
        writer.append(entry).unwrap();
    }
    writer.flush().unwrap();
}

/// The segments of a folder, in order.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "log"));
    paths.sort();
    paths
}

fn bytes_of_segments(folder: &Path) -> u64 {
    let lengths = segments(folder).into_iter();
    lengths.map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// A copy of a folder that nobody has open.
fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}
