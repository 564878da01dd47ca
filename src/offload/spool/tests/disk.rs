//! A disk without space: a limit on the size of files stands in for it.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const LIMITED: &str = "POPBOX_TEST_SPOOL_LIMITED";

fn limit_files(current: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

fn appends_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |number: u8| vec![number; 992];
    let (mut writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
    write(&mut writer, &[entry(0), entry(1)]);

    limit_files(Some(4500));
    for number in 2..6 {
        writer.append(&entry(number)).unwrap();
    }
    let error = writer.flush().unwrap_err();
    println!("{error}");
    assert_eq!(error.lost, 4);
    assert_eq!(writer.size(), 2000);
    assert_eq!(bytes_of_segments(folder.path()), 2000);

    // An append that has to write what is buffered loses that, and is not taken itself.
    let mut count = 0;
    let error = loop {
        match writer.append(&entry(7)) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, AppendError::Io(error) if error.lost == count),
        "{count}: {error}"
    );
    write(&mut writer, &[entry(8), entry(9)]);

    limit_files(None);
    write(&mut writer, &[entry(10)]);
    let expected = [0, 1, 8, 9, 10].map(entry);
    assert_eq!(read_all(&mut reader), expected);
    drop((writer, reader));
    let (_writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
    assert_eq!(read_all(&mut reader), expected);
}

fn what_is_done_is_freed() {
    const LIMITS: Limits = Limits {
        bytes_max: 1 << 20,
        segment_bytes: 1000,
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut one]) = open(folder.path(), LIMITS, ["one"]);
    write(&mut writer, &[vec![0; 992], vec![1; 992], vec![2; 992]]);
    read_all(&mut one);

    limit_files(Some(0));
    RUNTIME.block_on(one.done(Position(u64::MAX))).unwrap_err();
    assert_eq!(segments(folder.path()).len(), 1);
    assert_eq!(one.behind(), 0);
    writer.sync().unwrap_err();
    let done = one.cursor();
    limit_files(None);
    RUNTIME.block_on(one.done(done)).unwrap();
    drop((writer, one));

    limit_files(Some(0));
    let (mut writer, [one, two]) = open(folder.path(), LIMITS, ["one", "two"]);
    assert!(one.is_at_end() && two.is_at_end(), "the cursor was written");
    limit_files(None);
    writer.sync().unwrap();
    write(&mut writer, &[vec![3; 992]]);
    drop((writer, one, two));
    let (_writer, [_, mut two]) = open(folder.path(), LIMITS, ["one", "two"]);
    assert_eq!(read_all(&mut two), [vec![3; 992]], "it is no longer new");
}

#[test]
fn a_full_disk_loses_what_was_buffered_and_appends_go_on() {
    limited(
        "a_full_disk_loses_what_was_buffered_and_appends_go_on",
        appends_go_on,
    );
}

#[test]
fn on_a_full_disk_what_is_done_is_freed_and_cursors_are_written_when_there_is_room() {
    limited(
        "on_a_full_disk_what_is_done_is_freed_and_cursors_are_written_when_there_is_room",
        what_is_done_is_freed,
    );
}

/// Plays a test in a process of its own: the limit is that of a process, and so is what happens to the signal.
fn limited(test: &str, play: fn()) {
    if std::env::var_os(LIMITED).is_some() {
        play();
        return;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(format!("{module}::{test}"))
        .env(LIMITED, "1")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
