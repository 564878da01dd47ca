//! What stands between a store and its files: it kills the server at a chosen call, and tells what was done.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use popbox_test_support::Random;

use crate::shim::Shim;

/// Words of the control, as `tap.c` has them.
const COUNTDOWN: u64 = 0;
const KINDS: u64 = 1;
const FILES: u64 = 2;
const MOMENT: u64 = 3;
const BYTES: u64 = 4;
const IS_KILLED: u64 = 6;
const CONTROL_WORDS: usize = 7;

/// A kind of call; its number is that of `tap.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Write,
    Sync,
    Truncate,
    Rename,
    Unlink,
    Create,
}

impl Call {
    pub(super) const ALL: [Self; 6] = [
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Rename,
        Self::Unlink,
        Self::Create,
    ];
}

/// Of the files of a store, the journal, the tables, the folder itself, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Journal,
    Tables,
    Folder,
    Other,
}

impl Kept {
    pub(super) const ALL: [Self; 4] = [Self::Journal, Self::Tables, Self::Folder, Self::Other];
}

/// When in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    /// A part of a write is done; a sync has worked, and nobody has been told.
    Middle,
    After,
}

/// Where the server is to be killed.
#[derive(Clone, Debug)]
pub(super) struct Wound {
    pub(super) calls: Vec<Call>,
    pub(super) files: Vec<Kept>,
    /// In which of these calls, from 1.
    pub(super) number: usize,
    pub(super) moment: Moment,
    /// Of a write, modulo its length.
    bytes_until_middle: usize,
}

impl Wound {
    /// At one of the first calls of these kinds, anywhere in it.
    pub(super) fn within(
        random: &mut Random,
        first: usize,
        calls: &[Call],
        files: &[Kept],
    ) -> Self {
        let moments = [Moment::Before, Moment::Middle, Moment::After];
        Self {
            calls: calls.to_vec(),
            files: files.to_vec(),
            number: 1 + random.below(first),
            moment: moments[random.below(moments.len())],
            bytes_until_middle: random.below(1 << 20),
        }
    }
}

/// The tap of one store.
pub(super) struct Tap {
    shim: Shim,
    control_path: PathBuf,
    control: File,
    calls_path: PathBuf,
    store: PathBuf,
}

impl Tap {
    /// On a store that need not be there yet. The tap's own files are in another folder.
    pub(super) fn on(store: &Path, folder: &Path) -> Self {
        let control_path = folder.join("tap-control");
        fs::write(&control_path, [0; 8 * CONTROL_WORDS]).unwrap();
        // The shim compares with what the kernel calls it.
        let parent = store.parent().unwrap().canonicalize().unwrap();
        Self {
            shim: Shim::compile(folder, "tap", include_str!("tap.c")),
            control: File::options()
                .read(true)
                .write(true)
                .open(&control_path)
                .unwrap(),
            control_path,
            calls_path: folder.join("tap-calls"),
            store: parent.join(store.file_name().unwrap()),
        }
    }

    /// The variables that put it between the store and its files.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            self.shim.environment(),
            ("STORE_TAP_CONTROL", self.control_path.display().to_string()),
            ("STORE_TAP_CALLS", self.calls_path.display().to_string()),
            ("STORE_TAP_FOLDER", self.store.display().to_string()),
        ]
    }

    /// Has the server killed there, counted from now.
    pub(super) fn arm(&self, wound: &Wound) {
        let mask = |bits: &mut dyn Iterator<Item = u32>| bits.fold(0, |mask, bit| mask | 1 << bit);
        self.set(
            KINDS,
            mask(&mut wound.calls.iter().map(|&call| call as u32)),
        );
        self.set(
            FILES,
            mask(&mut wound.files.iter().map(|&file| file as u32)),
        );
        self.set(MOMENT, wound.moment as u64);
        self.set(BYTES, wound.bytes_until_middle as u64);
        self.set(IS_KILLED, 0);
        self.set(COUNTDOWN, wound.number as u64);
    }

    pub(super) fn disarm(&self) {
        self.set(COUNTDOWN, 0);
    }

    /// Whether it has killed since it was armed.
    pub(super) fn has_killed(&self) -> bool {
        let mut word = [0; 8];
        self.control
            .read_exact_at(&mut word, IS_KILLED * 8)
            .unwrap();
        u64::from_ne_bytes(word) != 0
    }

    /// All that was done to the files, whichever server it was.
    pub(super) fn calls(&self) -> Vec<u8> {
        fs::read(&self.calls_path).unwrap()
    }

    fn set(&self, word: u64, value: u64) {
        self.control
            .write_all_at(&value.to_ne_bytes(), word * 8)
            .unwrap();
    }
}
