//! The journal without the tables: what replaying finds after damage and after power cuts.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::super::OpenError;
use super::super::batch::{HEADER_BYTES, Magic};
use super::super::directory::Directory;
use super::super::journal::{Journal, Resumption};
use super::super::replay::replay;
use super::*;

const MAGIC: Magic = *b"in tests";

/// Batch number n gives its number to the key of its number, and to a key of all batches.
fn batch(number: u64) -> Vec<Write> {
    let number = number.to_be_bytes();
    vec![
        put(Table::Records, &number, &number),
        put(Table::Groups, b"last", &number),
    ]
}

fn start(folder: &Path) -> Journal {
    let directory = Directory::open(folder).unwrap();
    Directory::create_file(&directory.segment(1)).unwrap();
    resume(directory, 1, 0, 1)
}

fn resume(directory: Directory, start: u64, length: u64, next: u64) -> Journal {
    let older = Vec::new();
    let resumption = Resumption {
        start,
        length,
        next,
        older,
    };
    Journal::resume(directory, MAGIC, resumption).unwrap()
}

/// The number of the last batch that a replay finds, after making sure that those before it are there as well.
fn replayed(folder: &Path, checkpointed: u64) -> Result<u64, OpenError> {
    let directory = Directory::open(folder).unwrap();
    let (overlay, resumption) = replay(&directory, MAGIC, checkpointed)?;
    let last = resumption.next - 1;
    let found: Vec<u64> = overlay
        .entries(Table::Records)
        .keys()
        .map(|key| u64::from_be_bytes(key.as_slice().try_into().unwrap()))
        .collect();
    assert_eq!(found, (checkpointed + 1..=last).collect::<Vec<_>>());
    if last > checkpointed {
        let value = overlay.get(Table::Groups, b"last").unwrap();
        assert_eq!(value.as_deref(), Some(&last.to_be_bytes()[..]));
    }
    // Whatever was cut off: what is left is whole, and goes on.
    let (start, length) = (resumption.start, resumption.length);
    let mut journal = resume(directory.clone(), start, length, last + 1);
    assert!(journal.append(&batch(last + 1)).is_ok());
    let (_, again) = replay(&directory, MAGIC, checkpointed).unwrap();
    assert_eq!(again.next, last + 2);
    Ok(last)
}

/// Nine batches in three segments; what is synced when is up to the caller.
fn three_segments(folder: &Path, is_synced: bool) -> Vec<PathBuf> {
    let mut journal = start(folder);
    for number in 1..=9 {
        assert!(journal.append(&batch(number)).is_ok());
        if is_synced {
            journal.sync().unwrap();
        }
        if number % 3 == 0 && number < 9 {
            journal.rotate().unwrap();
        }
    }
    let directory = || Directory::open(folder).unwrap();
    drop(journal);
    [1, 4, 7].map(|start| directory().segment(start)).into()
}

#[test]
fn a_flipped_bit_costs_the_last_batch_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let segments = three_segments(folder.path(), true);
    let length = fs::metadata(&segments[2]).unwrap().len();
    let mut lots = Lots(1);
    for (index, segment) in segments.iter().enumerate() {
        for place in 0..length {
            let copied = copy(folder.path());
            let path = copied.path().join(segment.file_name().unwrap());
            let mut bytes = fs::read(&path).unwrap();
            bytes[usize::try_from(place).unwrap()] ^= 1 << lots.below(8);
            fs::write(&path, &bytes).unwrap();
            let before = files(copied.path());
            match replayed(copied.path(), 0) {
                Ok(last) => {
                    assert_eq!(last, 8);
                    assert!(index == 2 && place >= length / 3 * 2, "{index} {place}");
                }
                Err(OpenError::Damaged { path: blamed, .. }) => {
                    assert_eq!(blamed, path);
                    assert_eq!(files(copied.path()), before, "nothing is cut off");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_torn_end_is_cut_off_at_every_length() {
    for is_synced in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let segments = three_segments(folder.path(), is_synced);
        let length = fs::metadata(&segments[2]).unwrap().len();
        for kept in 0..=length {
            for fill in [None, Some(0), Some(0xa5)] {
                let copied = copy(folder.path());
                let path = copied.path().join(segments[2].file_name().unwrap());
                let mut bytes = fs::read(&path).unwrap();
                bytes.truncate(usize::try_from(kept).unwrap());
                if let Some(fill) = fill {
                    bytes.resize(usize::try_from(length).unwrap(), fill);
                }
                fs::write(&path, &bytes).unwrap();
                let found = replayed(copied.path(), 0).unwrap();
                // The byte that fills may be the one that was there.
                let whole = 6 + kept / (length / 3);
                assert!(found == whole || (fill.is_some() && found == whole + 1));
            }
        }
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let segments = three_segments(folder.path(), true);
    for missing in &segments[..2] {
        let copied = copy(folder.path());
        fs::remove_file(copied.path().join(missing.file_name().unwrap())).unwrap();
        let error = replayed(copied.path(), 0).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        println!("{error}");
    }
    // The tables have the first segment: it may be there or not, and hold anything.
    let copied = copy(folder.path());
    let first = copied.path().join(segments[0].file_name().unwrap());
    fs::write(&first, b"anything").unwrap();
    assert_eq!(replayed(copied.path(), 3).unwrap(), 9);
    assert!(!first.exists());
    // The tables have more than the journal.
    let copied = copy(folder.path());
    assert!(replayed(copied.path(), 9).is_err());
    assert!(replayed(copied.path(), 10).is_err());
}

#[test]
fn what_was_not_synced_may_be_lost_over_segments() {
    let folder = tempfile::tempdir().unwrap();
    let segments = three_segments(folder.path(), false);
    let length = fs::metadata(&segments[0]).unwrap().len();
    let file = File::options().write(true).open(&segments[0]).unwrap();
    file.set_len(length - 1).unwrap();
    assert_eq!(replayed(folder.path(), 0).unwrap(), 2);
    assert!(!segments[1].exists() && !segments[2].exists());
}

#[test]
fn contents_that_look_like_a_batch_are_contents() {
    let folder = tempfile::tempdir().unwrap();
    let mut forged = Vec::new();
    let magic = *b"TPopbox!";
    super::super::batch::encode(&mut forged, magic, 2, u64::MAX, &batch(2)).unwrap();
    let mut journal = start(folder.path());
    assert!(
        journal
            .append(&[put(Table::Records, b"forged", &forged)])
            .is_ok()
    );
    let end = journal.length();
    drop(journal);
    let directory = Directory::open(folder.path()).unwrap();
    let file = File::options()
        .write(true)
        .open(directory.segment(1))
        .unwrap();
    file.set_len(end - 1).unwrap();
    let (_, resumption) = replay(&directory, MAGIC, 0).unwrap();
    assert_eq!((resumption.next, resumption.length), (1, 0));
}

/// What a disk is known to hold, and what else the kernel has.
#[derive(Default)]
struct Disk {
    /// Synced length of each segment.
    synced: BTreeMap<u64, u64>,
    /// Segments whose names are on the disk.
    listed: Vec<u64>,
    /// Deleted ones, which a power cut may bring back.
    deleted: Vec<(u64, Vec<u8>)>,
}

/// Random appends, syncs, rotations and checkpoints, and then a power cut that leaves of everything unsynced what it
/// likes: every synced batch is found, and nothing is taken for damage.
#[test]
fn power_cuts_cost_nothing_that_was_synced() {
    for seed in 0..400 {
        cut_power(&mut Lots(seed), seed);
    }
}

fn cut_power(lots: &mut Lots, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = start(folder.path());
    let path = |start: u64| folder.path().join(format!("journal-{start:020}.log"));
    let mut disk = Disk {
        listed: vec![1],
        ..Disk::default()
    };
    let (mut written, mut synced, mut checkpointed) = (0, 0, 0);
    let mut waiting: Option<Vec<u64>> = None;
    for _ in 0..lots.below(40) {
        match lots.below(10) {
            0..6 => {
                written += 1;
                assert!(journal.append(&batch(written)).is_ok());
            }
            6..8 => {
                let Some(task) = journal.sync_task() else {
                    continue;
                };
                // A sync on the other thread may be slower than what comes meanwhile.
                let through = written;
                let lengths: Vec<_> = segments(folder.path());
                task.run().unwrap();
                disk.listed = lengths.iter().map(|&(start, _)| start).collect();
                disk.synced.extend(lengths);
                if lots.is_one_in(2) {
                    written += 1;
                    assert!(journal.append(&batch(written)).is_ok());
                }
                journal.note_synced(&task);
                synced = through;
            }
            8 if waiting.is_none() && journal.length() > 0 => {
                waiting = Some(journal.rotate().unwrap());
            }
            _ => {
                let Some(older) = waiting.take() else {
                    continue;
                };
                checkpointed = journal.start() - 1;
                synced = synced.max(checkpointed);
                disk.listed = segments(folder.path())
                    .iter()
                    .map(|&(start, _)| start)
                    .collect();
                for start in older {
                    disk.deleted.push((start, fs::read(path(start)).unwrap()));
                    fs::remove_file(path(start)).unwrap();
                }
                journal.note_checkpointed(checkpointed);
            }
        }
    }
    drop(journal);
    for (start, length) in segments(folder.path()) {
        let sure = disk.synced.get(&start).copied().unwrap_or(0);
        if !disk.listed.contains(&start) && lots.is_one_in(2) {
            fs::remove_file(path(start)).unwrap();
            continue;
        }
        let mut bytes = fs::read(path(start)).unwrap();
        let kept = sure + lots.next() % (length - sure + 1);
        bytes.truncate(usize::try_from(kept).unwrap());
        for byte in &mut bytes[usize::try_from(sure).unwrap()..] {
            if lots.is_one_in(200) {
                *byte = 0;
            }
        }
        fs::write(path(start), bytes).unwrap();
    }
    for (start, mut bytes) in disk.deleted {
        if lots.is_one_in(2) {
            bytes.truncate(lots.below(bytes.len() + 1));
            fs::write(path(start), bytes).unwrap();
        }
    }
    let found = replayed(folder.path(), checkpointed)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert!((synced..=written).contains(&found), "seed {seed}");
}

/// First batches and lengths of the segments.
fn segments(folder: &Path) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let start = name.strip_prefix("journal-")?.strip_suffix(".log")?;
            Some((start.parse().unwrap(), entry.metadata().unwrap().len()))
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn a_header_is_as_long_as_it_says() {
    let mut buffer = Vec::new();
    super::super::batch::encode(&mut buffer, MAGIC, 1, 0, &[]).unwrap();
    assert_eq!(buffer.len(), HEADER_BYTES);
}
