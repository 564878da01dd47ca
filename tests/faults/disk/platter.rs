//! What a disk may hold after a power cut: all that was synced, and of the rest whatever chance leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use popbox_test_support::Random;

use super::tap::Call;

/// What a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

/// The tables' first page says which of two states of them is the valid one. It is a matter of the disk that the
/// sector with that word is the old one or the new one.
const TABLES: &str = "tables.redb";
const HEAD_BYTES: usize = 4096;

/// A change of a file that may not be on the disk.
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// A change of the folder that may not be on the disk.
#[derive(Clone)]
enum Listing {
    Add { name: String, file: usize },
    Move { from: String, to: String },
    Remove(String),
}

/// What is on the disk of a file, and what was done to it since, by the number of the call.
#[derive(Default)]
struct Contents {
    synced: Vec<u8>,
    since: Vec<(usize, Change)>,
}

/// The disk under one folder, which was empty at first.
#[derive(Default)]
pub(super) struct Platter {
    files: Vec<Contents>,
    /// The folder as processes see it, and as it is on the disk.
    seen: BTreeMap<String, usize>,
    listed: BTreeMap<String, usize>,
    listings: Vec<(usize, Listing)>,
}

impl Platter {
    /// The disk after these calls.
    pub(super) fn after(calls: &[u8]) -> Self {
        let mut platter = Self::default();
        let mut rest = calls;
        let mut number = 0;
        while !rest.is_empty() {
            // A server that is killed while it writes a call down has done it, and told nobody.
            let Some(record) = Record::take(&mut rest) else {
                break;
            };
            platter.take(number, record);
            number += 1;
        }
        platter
    }

    fn take(&mut self, number: usize, record: Record) {
        let name = record.name;
        match record.call {
            Call::Create => {
                let file = self.files.len();
                self.files.push(Contents::default());
                self.seen.insert(name.clone(), file);
                self.listings.push((number, Listing::Add { name, file }));
            }
            Call::Rename => {
                let to = String::from_utf8(record.bytes).unwrap();
                if let Some(file) = self.seen.remove(&name) {
                    self.seen.insert(to.clone(), file);
                }
                self.listings
                    .push((number, Listing::Move { from: name, to }));
            }
            Call::Unlink => {
                self.seen.remove(&name);
                self.listings.push((number, Listing::Remove(name)));
            }
            Call::Sync if name == "." => {
                let count = self.listings.partition_point(|&(it, _)| it < record.number);
                for (_, listing) in self.listings.drain(..count) {
                    list(&mut self.listed, listing);
                }
            }
            Call::Sync => {
                if let Some(file) = self.file(&name) {
                    let count = file.since.partition_point(|&(it, _)| it < record.number);
                    for (_, change) in file.since.drain(..count) {
                        apply(&mut file.synced, &change);
                    }
                }
            }
            Call::Write | Call::Truncate => {
                let change = if record.call == Call::Write {
                    Change::Write {
                        offset: record.number,
                        bytes: record.bytes,
                    }
                } else {
                    Change::Resize(record.number)
                };
                if let Some(file) = self.file(&name) {
                    file.since.push((number, change));
                }
            }
        }
    }

    fn file(&mut self, name: &str) -> Option<&mut Contents> {
        self.files.get_mut(*self.seen.get(name)?)
    }

    /// The folder holds just what was written down, so nothing goes past the tap.
    #[track_caller]
    pub(super) fn assert_is(&self, folder: &Path) {
        let mut files = 0;
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(&file) = self.seen.get(&name) else {
                panic!("{name} came about unseen");
            };
            let contents = &self.files[file];
            let mut seen = contents.synced.clone();
            for (_, change) in &contents.since {
                apply(&mut seen, change);
            }
            assert!(seen == fs::read(path).unwrap(), "{name} was written unseen");
            files += 1;
        }
        assert_eq!(files, self.seen.len(), "{:?}", self.seen);
    }

    /// Writes what a power cut may leave now into a folder.
    pub(super) fn cut_power(&self, random: &mut Random, folder: &Path) {
        fs::create_dir(folder).unwrap();
        let mut listed = self.listed.clone();
        // Either the folder's changes come to the disk in order, or not even that.
        let is_ordered = random.below(2) == 0;
        let kept = random.below(self.listings.len() + 1);
        for (place, (_, listing)) in self.listings.iter().enumerate() {
            if if is_ordered {
                place < kept
            } else {
                random.below(2) == 0
            } {
                list(&mut listed, listing.clone());
            }
        }
        for (name, &file) in &listed {
            let left = self.files[file].left(random, name.starts_with(TABLES));
            fs::write(folder.join(name), left).unwrap();
        }
    }
}

impl Contents {
    fn left(&self, random: &mut Random, is_tables: bool) -> Vec<u8> {
        let mut left = self.synced.clone();
        let fate = random.below(4);
        let kept = match fate {
            0 => 0,
            1 => random.below(self.since.len() + 1),
            _ => self.since.len(),
        };
        for (_, change) in &self.since[..kept] {
            match change {
                Change::Write { offset, bytes } if fate > 1 => {
                    scatter(&mut left, *offset, bytes, random, fate == 3, is_tables);
                }
                _ => apply(&mut left, change),
            }
        }
        if !is_tables && left.len() > self.synced.len() && random.below(2) == 0 {
            // Its length is written apart from its bytes.
            left.truncate(self.synced.len() + random.below(left.len() - self.synced.len()));
        }
        left
    }
}

/// Writes some of the sectors; garbled ones, if asked for, where a program can tell that.
fn scatter(
    left: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    random: &mut Random,
    is_garbled: bool,
    is_tables: bool,
) {
    let end = offset + bytes.len();
    if left.len() < end {
        left.resize(end, 0);
    }
    let mut at = offset;
    while at < end {
        let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        let is_head = is_tables && at < HEAD_BYTES;
        match random.below(3) {
            0 => {}
            1 if is_garbled && !is_head => {
                left[at..next].fill_with(|| random.word().to_le_bytes()[0]);
            }
            _ => left[at..next].copy_from_slice(&bytes[at - offset..next - offset]),
        }
        at = next;
    }
}

fn apply(contents: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[*offset..end].copy_from_slice(bytes);
        }
        Change::Resize(length) => contents.resize(*length, 0),
    }
}

fn list(listed: &mut BTreeMap<String, usize>, listing: Listing) {
    match listing {
        Listing::Add { name, file } => drop(listed.insert(name, file)),
        Listing::Move { from, to } => {
            if let Some(file) = listed.remove(&from) {
                listed.insert(to, file);
            }
        }
        Listing::Remove(name) => drop(listed.remove(&name)),
    }
}

/// A call as it was written down.
struct Record {
    call: Call,
    name: String,
    /// The place of a write, a new length, or the number of records when a sync began.
    number: usize,
    bytes: Vec<u8>,
}

impl Record {
    /// The next one; none if it is not whole.
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let mut words = [0; 4];
        for word in &mut words {
            let bytes = rest.split_off(..8)?;
            *word = usize::try_from(u64::from_ne_bytes(bytes.try_into().ok()?)).ok()?;
        }
        let [call, name_length, number, length] = words;
        let name = rest.split_off(..name_length)?;
        let bytes = rest.split_off(..length)?;
        Some(Self {
            call: *Call::ALL.get(call)?,
            name: String::from_utf8_lossy(name).into_owned(),
            number,
            bytes: bytes.to_vec(),
        })
    }
}
