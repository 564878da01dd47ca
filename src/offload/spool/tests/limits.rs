//! How large a log and its entries may be.

use super::super::ENTRY_BYTES_MAX;
use super::*;

const SIX: Limits = Limits {
    bytes_max: 120,
    segment_bytes: 40,
};

/// An entry that takes 20 bytes.
const ENTRY: &[u8] = &[7; 12];

fn assert_full(writer: &mut Writer) {
    let error = writer.append(ENTRY).unwrap_err();
    assert!(matches!(error, AppendError::Full), "{error}");
}

#[test]
fn a_full_log_takes_entries_again_when_the_slowest_reader_is_past_a_segment() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut fast, mut slow]) = open(folder.path(), SIX, ["fast", "slow"]);
    for _ in 0..6 {
        writer.append(ENTRY).unwrap();
    }
    assert_full(&mut writer);
    writer.flush().unwrap();
    assert_eq!(writer.size(), 120);
    assert_eq!(read_all(&mut fast).len(), 6);
    done_all(&mut fast);
    assert_full(&mut writer);
    let entries = read(&mut slow, 40);
    done(&mut slow, entries[0].end);
    assert_full(&mut writer);
    done(&mut slow, entries[1].end);
    assert_eq!(writer.size(), 80);
    writer.append(ENTRY).unwrap();
    writer.append(ENTRY).unwrap();
    assert_full(&mut writer);
    writer.flush().unwrap();
    assert_eq!(read_all(&mut slow).len(), 6);
    assert_eq!(read_all(&mut fast).len(), 2);
}

#[test]
fn a_log_of_one_segment_is_not_full_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 1000,
        ..SIX
    };
    let (mut writer, [mut reader]) = open(folder.path(), limits, ["one"]);
    for _ in 0..3 {
        for _ in 0..6 {
            writer.append(ENTRY).unwrap();
        }
        assert_full(&mut writer);
        writer.flush().unwrap();
        assert_eq!(read_all(&mut reader).len(), 6);
        done_all(&mut reader);
    }
}

#[test]
fn an_entry_may_be_longer_than_a_segment_and_than_what_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment_bytes: 40,
        ..AMPLE
    };
    let (mut writer, [mut reader]) = open(folder.path(), limits, ["one"]);
    let long = vec![1; ENTRY_BYTES_MAX];
    let entries = [ENTRY.to_vec(), long, Vec::new(), ENTRY.to_vec()];
    write(&mut writer, &entries);
    assert_eq!(read_all(&mut reader), entries);
    drop((writer, reader));
    let (_writer, [mut reader]) = open(folder.path(), limits, ["one"]);
    assert_eq!(read_all(&mut reader), entries);
}

#[test]
fn an_entry_that_could_never_be_taken_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, readers) = open(folder.path(), AMPLE, ["one"]);
    let error = writer.append(&vec![0; ENTRY_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge(_)), "{error}");
    drop((writer, readers));
    let (mut writer, _) = open(folder.path(), SIX, ["one"]);
    let error = writer.append(&[0; 113]).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge(113)), "{error}");
    writer.append(&[0; 112]).unwrap();
}
