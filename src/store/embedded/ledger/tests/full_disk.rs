//! A disk without space: a small file system of its own (needs root), and a limit on the size of files (needs none).

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::WriteError;
use super::*;

/// A place that can run out of space.
trait Place {
    fn path(&self) -> &Path;
    /// From now on there is (nearly) none.
    fn fill(&self);
    /// There is again.
    fn free(&self);
}

/// A file system in memory.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "popbox-test"]);
        let is_mounted = rustix::process::geteuid().is_root()
            && mount
                .arg(folder.path())
                .status()
                .is_ok_and(|status| status.success());
        is_mounted.then_some(Self(folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().unwrap();
    }
}

impl Place for Tmpfs {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let error = fs::write(self.path().join("filler"), vec![1; 24 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

/// No file of this process can grow past a limit. The signal that comes with it must be ignored.
struct Limited(tempfile::TempDir);

impl Limited {
    fn set(current: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
    }
}

impl Place for Limited {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        // Where the journal is about to be; the tables are longer already.
        let length = fs::metadata(segment(self.path())).unwrap().len();
        Self::set(Some(length + 5000));
    }

    fn free(&self) {
        Self::set(None);
    }
}

fn value(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(256)
}

fn one(number: u32) -> Vec<Write> {
    vec![put(Table::Records, &number.to_be_bytes(), &value(number))]
}

/// Appends until there is no space; gives the next number.
fn append_until_full(ledger: &mut Ledger, model: &mut Model, mut number: u32) -> u32 {
    loop {
        let writes = one(number);
        match ledger.append(writes.clone(), number.is_multiple_of(2)) {
            Ok(()) => apply(model, &writes),
            Err(WriteError::Full(error)) => {
                println!("{error}");
                return number + 1;
            }
            Err(error) => panic!("{error}"),
        }
        number += 1;
    }
}

fn appends_go_on(place: &dyn Place, durability: Durability) {
    let open = || patiently(|| Ledger::open_within(&settings(place.path(), durability), idle()));
    let mut ledger = open().unwrap();
    let mut model = Model::new();
    for number in 0..10 {
        apply(&mut model, &one(number));
        ledger.append(one(number), true).unwrap();
    }
    place.fill();
    let number = append_until_full(&mut ledger, &mut model, 10);
    let number = append_until_full(&mut ledger, &mut model, number);
    assert_holds(&ledger, &model);
    place.free();
    apply(&mut model, &one(number));
    ledger.append(one(number), true).unwrap();
    assert_holds(&ledger, &model);
    drop(ledger);

    // Killed while there is no space, and started again.
    let mut ledger = open().unwrap();
    assert_holds(&ledger, &model);
    place.fill();
    append_until_full(&mut ledger, &mut model, number + 1);
    drop(ledger);
    match open() {
        Ok(ledger) => assert_holds(&ledger, &model),
        Err(error) => {
            println!("with no space: {error}");
            assert!(matches!(error, super::super::OpenError::Unusable { .. }));
        }
    }
    place.free();
    let ledger = open().unwrap();
    assert_holds(&ledger, &model);
    ledger.close().unwrap();
    let mut ledger = open().unwrap();
    assert_holds(&ledger, &model);
    let writes = model.keys().map(|(_, key)| remove(Table::Records, key));
    ledger.append(writes.collect(), true).unwrap();
    ledger.close().unwrap();
}

fn checkpoints_go_on(place: &dyn Place, durability: Durability) {
    let open =
        || patiently(|| Ledger::open_within(&settings(place.path(), durability), idle())).unwrap();
    let mut ledger = open();
    let mut model = Model::new();
    for number in 0..10 {
        apply(&mut model, &one(number));
        ledger.append(one(number), true).unwrap();
    }
    ledger.checkpoint();
    for number in 10..5000 {
        apply(&mut model, &one(number));
        ledger.append(one(number), false).unwrap();
    }
    let before = ledger.journal.start();
    place.fill();
    ledger.bounds.checkpoint_bytes = 1;
    ledger.bounds.congested_bytes = 1;
    ledger.tick();
    if ledger.frozen.is_some() {
        while !ledger.await_report() {}
        for number in 10..5000_u32 {
            let found = ledger.get(Table::Records, &number.to_be_bytes()).unwrap();
            assert_eq!(found.as_deref(), Some(&value(number)[..]));
        }
        // What is in the tables only can be had or not, but is never wrong.
        match ledger.get(Table::Records, &3_u32.to_be_bytes()) {
            Ok(found) => assert_eq!(found.as_deref(), Some(&value(3)[..])),
            Err(error) => println!("with no space: {error}"),
        }
        assert!(ledger.directory.segment(before).exists());
    } else {
        println!("not even a segment could be begun");
        assert!(ledger.is_congested());
    }
    place.free();
    ledger.tick();
    ledger.await_checkpoint();
    assert!(!ledger.directory.segment(before).exists());
    assert!(!ledger.is_congested());
    assert_holds(&ledger, &model);
    apply(&mut model, &one(5000));
    ledger.append(one(5000), true).unwrap();
    ledger.close().unwrap();
    assert_holds(&open(), &model);
}

#[test]
fn a_full_disk_refuses_and_goes_on() {
    for durability in BOTH {
        let Some(place) = Tmpfs::mount() else {
            println!("skipped: no file system can be mounted");
            return;
        };
        appends_go_on(&place, durability);
        drop(place);
        let Some(place) = Tmpfs::mount() else {
            return;
        };
        checkpoints_go_on(&place, durability);
    }
}

const LIMITED: &str = "POPBOX_TEST_LEDGER_LIMITED";

#[test]
fn a_limit_on_files_refuses_and_goes_on() {
    if std::env::var_os(LIMITED).is_some() {
        for durability in BOTH {
            appends_go_on(&Limited(tempfile::tempdir().unwrap()), durability);
            checkpoints_go_on(&Limited(tempfile::tempdir().unwrap()), durability);
        }
        return;
    }
    // The limit is that of a process, and so is what happens to the signal.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(
            concat!(module_path!(), "::a_limit_on_files_refuses_and_goes_on")
                .split_once("::")
                .unwrap()
                .1,
        )
        .env(LIMITED, "1")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
