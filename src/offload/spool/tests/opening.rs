//! What a folder holds when it is opened again.

use super::*;

fn numbered(range: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    range.map(|number| vec![number; 10]).collect()
}

#[test]
fn a_log_in_use_is_refused_until_writer_and_readers_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, readers) = open(folder.path(), AMPLE, ["one"]);
    let assert_in_use = || {
        let error = super::super::open(folder.path(), AMPLE, &["one"]).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    };
    assert_in_use();
    drop(writer);
    assert_in_use();
    drop(readers);
    open(folder.path(), AMPLE, ["one"]);
}

#[test]
fn what_was_flushed_outlives_a_kill_and_what_was_not_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
    write(&mut writer, &numbered(0..3));
    writer.append(b"buffered").unwrap();
    assert_eq!(read_all(&mut reader), numbered(0..3));
    drop((writer, reader));
    let (_writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
    assert_eq!(read_all(&mut reader), numbered(0..3));
    assert!(reader.is_at_end());
}

#[test]
fn a_reader_waits_until_something_is_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
    assert!(reader.is_at_end());
    writer.append(b"entry").unwrap();
    assert!(reader.is_at_end());
    let task = RUNTIME.spawn(async move {
        reader.wait().await;
        reader.read(1).await.unwrap()
    });
    writer.flush().unwrap();
    let entries = RUNTIME.block_on(task).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].bytes, b"entry"[..]);
}

#[test]
fn a_reader_not_named_is_forgotten_and_begins_at_the_end_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut one, two]) = open(folder.path(), AMPLE, ["one", "two"]);
    write(&mut writer, &numbered(0..3));
    read_all(&mut one);
    done_all(&mut one);
    drop((writer, one, two));
    let (mut writer, [one]) = open(folder.path(), AMPLE, ["one"]);
    assert_eq!(writer.size(), 0, "nobody else holds the log");
    write(&mut writer, &numbered(3..5));
    drop((writer, one));
    let (mut writer, [mut one, two]) = open(folder.path(), AMPLE, ["one", "two"]);
    assert_eq!(read_all(&mut one), numbered(3..5));
    assert!(two.is_at_end());
    write(&mut writer, &numbered(5..6));
    drop((writer, one, two));
    // Though it never was done with anything, it is no longer new.
    let (_writer, [mut one, mut two]) = open(folder.path(), AMPLE, ["one", "two"]);
    assert_eq!(read_all(&mut one), numbered(3..6));
    assert_eq!(read_all(&mut two), numbered(5..6));
}

#[test]
fn without_readers_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, []) = open(folder.path(), AMPLE, []);
    write(&mut writer, &numbered(0..3));
    drop(writer);
    let (writer, []) = open(folder.path(), AMPLE, []);
    assert_eq!(writer.size(), 0);
}

#[test]
fn a_log_that_lost_what_was_told_goes_on_with_new_positions() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut one, mut two]) = open(folder.path(), AMPLE, ["one", "two"]);
    write(&mut writer, &numbered(0..3));
    let told = read(&mut one, 1000).pop().unwrap();
    done(&mut one, told.end);
    read_all(&mut two);
    drop((writer, one, two));
    for path in segments(folder.path()) {
        fs::remove_file(path).unwrap();
    }
    let (mut writer, [mut one, mut two]) = open(folder.path(), AMPLE, ["one", "two"]);
    assert!(one.is_at_end());
    write(&mut writer, &numbered(3..4));
    let entries = read(&mut one, 1000);
    assert!(entries[0].position >= told.end);
    assert_eq!(entries, read(&mut two, 1000));
    assert_eq!(entries[0].bytes, numbered(3..4)[0]);
}

#[test]
fn many_openings_leave_no_files_behind() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        open(folder.path(), AMPLE, ["one"]);
    }
    // LOCK, FORMAT, a cursor, a segment.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn a_folder_of_another_version_is_refused_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, readers) = open(folder.path(), AMPLE, ["one"]);
    write(&mut writer, &numbered(0..1));
    drop((writer, readers));
    let path = folder.path().join("FORMAT");
    fs::write(&path, "popbox spool, format 2, log 0000000000000001\n").unwrap();
    let error = super::super::open(folder.path(), AMPLE, &["one"]).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    fs::remove_file(&path).unwrap();
    let error = super::super::open(folder.path(), AMPLE, &["one"]).unwrap_err();
    assert!(error.to_string().contains("no file FORMAT"), "{error}");
}
