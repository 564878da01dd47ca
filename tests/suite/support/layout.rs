//! Everything a test knows about the store under the server. Another store is one more variant here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Once};

use tempfile::TempDir;

use super::Disk;

/// How an acknowledged write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Sync,
    Interval,
}

/// Where a small disk is mounted in the scratch folder of its layout.
const DISK: &str = "disk";

/// One store, which outlives the servers that are started on it.
pub(crate) struct Layout {
    kind: Kind,
    /// What its files lie on, if that is not the disk of the target directory. Unmounted before the folder goes.
    disk: Option<Disk>,
    /// Removed with the layout; also a place for a test's own files.
    dir: TempDir,
}

enum Kind {
    Embedded,
}

impl Layout {
    /// A new, empty store of the kind that `POPBOX_TEST_LAYOUT` names.
    pub(crate) fn fresh() -> Arc<Self> {
        let kind = env::var("POPBOX_TEST_LAYOUT").unwrap_or_else(|_| "embedded".to_owned());
        Arc::new(match kind.as_str() {
            "embedded" => Self::embedded(scratch()),
            other => panic!("POPBOX_TEST_LAYOUT={other} is not known: embedded"),
        })
    }

    /// A new, empty embedded store on a small disk of its own; none where this process may not mount one.
    pub(crate) fn on_small_disk(mebibytes: usize) -> Option<Arc<Self>> {
        let dir = scratch();
        let disk = Disk::mount(&dir.path().join(DISK), mebibytes)?;
        Some(Arc::new(Self {
            disk: Some(disk),
            ..Self::embedded(dir)
        }))
    }

    fn embedded(dir: TempDir) -> Self {
        Self {
            kind: Kind::Embedded,
            disk: None,
            dir,
        }
    }

    /// The settings that make a server use this store.
    pub(crate) fn settings(&self, durability: Durability) -> Vec<(String, String)> {
        match self.kind {
            Kind::Embedded => vec![
                ("store.path".to_owned(), self.name()),
                (
                    "store.durability".to_owned(),
                    match durability {
                        Durability::Sync => "sync",
                        Durability::Interval => "interval",
                    }
                    .to_owned(),
                ),
            ],
        }
    }

    /// Whether this is the embedded store: one process, files of its own.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.kind, Kind::Embedded)
    }

    /// What an error about this store has to name.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Embedded => self.store_dir().display().to_string(),
        }
    }

    /// A directory for files of the test itself.
    pub(crate) fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Overwrites every byte of every file of the store.
    pub(crate) fn ruin(&self) {
        let files = files_under(&self.store_dir());
        assert!(
            !files.is_empty(),
            "the store has no files in {}",
            self.name()
        );
        for file in files {
            let length = fs::metadata(&file).unwrap().len();
            fs::write(&file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
        }
    }

    /// Flips one bit inside every stored copy of `text`; says how many there were.
    pub(crate) fn flip_a_bit_in(&self, text: &str) -> usize {
        let mut flipped = 0;
        for file in files_under(&self.store_dir()) {
            let mut bytes = fs::read(&file).unwrap();
            let places: Vec<usize> = memchr::memmem::find_iter(&bytes, text.as_bytes()).collect();
            for place in &places {
                bytes[place + text.len() / 2] ^= 1;
            }
            if !places.is_empty() {
                fs::write(&file, bytes).unwrap();
                flipped += places.len();
            }
        }
        flipped
    }

    /// The small disk that it lies on.
    pub(crate) fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a store on a small disk")
    }

    pub(crate) fn store_dir(&self) -> PathBuf {
        let folder = self.disk.as_ref().map_or(self.dir.path(), Disk::path);
        folder.join("store")
    }
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// A directory below the target directory, which carries the number of this process: the shared server's one cannot be
/// removed by the process that uses it, so the next run removes what dead ones left.
fn scratch() -> TempDir {
    static SWEEP: Once = Once::new();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    SWEEP.call_once(|| sweep(root));
    tempfile::Builder::new()
        .prefix(&format!("suite-{}-", process::id()))
        .tempdir_in(root)
        .unwrap()
}

fn sweep(root: &Path) {
    for entry in fs::read_dir(root).unwrap().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix("suite-"))
            .and_then(|name| name.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            Disk::unmount(&entry.path().join(DISK));
            // Another run may sweep at the same time: whoever is first has removed it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
