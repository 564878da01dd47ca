//! What a ledger is to hold, whatever happens to it.

mod creation;
mod failure;
mod full_disk;
mod journal;
mod kill;
mod model;
mod opening;
mod rates;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::bounds::Bounds;
use super::checkpoint::Report;
use super::{Key, Ledger, OpenError, ReadError, Settings, Table, Write};
use crate::config::Durability;

/// All entries, as they should be.
type Model = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

const BOTH: [Durability; 2] = [Durability::Sync, Durability::Interval];

fn settings(directory: &Path, durability: Durability) -> Settings {
    Settings {
        directory: directory.into(),
        durability,
        cache_bytes: 4 << 20,
        check_on_open: true,
    }
}

/// Nothing happens by itself.
fn idle() -> Bounds {
    Bounds {
        checkpoint_bytes: usize::MAX,
        checkpoint_age: Duration::MAX,
        congested_bytes: usize::MAX,
        sync_interval: Duration::MAX,
    }
}

fn open(directory: &Path) -> Ledger {
    patiently(|| Ledger::open_within(&settings(directory, Durability::Sync), idle())).unwrap()
}

/// Opens a ledger that was open a moment ago: a process that another test is starting has all our files until it is
/// another program.
fn patiently(open: impl Fn() -> Result<Ledger, OpenError>) -> Result<Ledger, OpenError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match open() {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Write {
    Write {
        table,
        key: Key::from(key),
        value: Some(Bytes::copy_from_slice(value)),
    }
}

fn remove(table: Table, key: &[u8]) -> Write {
    Write {
        table,
        key: Key::from(key),
        value: None,
    }
}

/// What a batch does to the model.
fn apply(model: &mut Model, writes: &[Write]) {
    for write in writes {
        let place = (write.table.code(), write.key.as_slice().to_vec());
        match &write.value {
            Some(value) => model.insert(place, value.to_vec()),
            None => model.remove(&place),
        };
    }
}

/// What scans find.
fn contents(ledger: &Ledger) -> Model {
    let mut found = Model::new();
    for table in Table::ALL {
        let mut last = None;
        ledger
            .scan::<ReadError>(table, &mut |key, value| {
                assert!(last.as_deref() < Some(key), "in ascending order, each once");
                last = Some(key.to_vec());
                found.insert((table.code(), key.to_vec()), value.to_vec());
                Ok(())
            })
            .unwrap();
    }
    found
}

fn assert_holds(ledger: &Ledger, model: &Model) {
    assert_eq!(contents(ledger), *model);
    for ((code, key), value) in model {
        let table = Table::of_code(*code).unwrap();
        assert_eq!(ledger.get(table, key).unwrap().as_deref(), Some(&value[..]));
    }
}

impl Ledger {
    /// Takes all fresh writes into the tables, and waits for it.
    fn checkpoint(&mut self) {
        self.await_checkpoint();
        if !self.fresh.is_empty() {
            self.freeze().unwrap();
        }
        self.await_checkpoint();
    }

    fn await_checkpoint(&mut self) {
        while self.frozen.is_some() {
            self.await_report();
        }
    }

    /// Waits for the thread to tell something; whether a checkpoint has failed.
    fn await_report(&mut self) -> bool {
        let report = self.checkpointer.await_report();
        let is_delayed = matches!(report, Ok(Report::Delayed(_)));
        self.note(report);
        assert!(self.broken.is_none(), "{:?}", self.broken);
        is_delayed
    }
}

/// A copy of the files as a killed process would leave them.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// The one segment of a store.
fn segment(directory: &Path) -> std::path::PathBuf {
    let mut found = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_segment =
        |path: &std::path::PathBuf| path.extension().is_some_and(|suffix| suffix == "log");
    let segment = found.find(is_segment).unwrap();
    assert!(!found.any(|path| is_segment(&path)));
    segment
}

/// Numbers that follow from a seed.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn is_one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}
