//! A store is made in steps; a crash between any two of them leaves something that the next start finishes.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Puts a file into a folder.
type Step<'a> = Box<dyn Fn(&Path) + 'a>;

#[test]
fn every_unfinished_creation_is_finished() {
    let made = tempfile::tempdir().unwrap();
    drop(open(made.path()));
    let first = segment(made.path());
    let first = first.file_name().unwrap();
    let tables = fs::read(made.path().join("tables.redb")).unwrap();
    let file = |name: &'static str, bytes: &'static [u8]| -> Step<'_> {
        Box::new(move |folder| fs::write(folder.join(name), bytes).unwrap())
    };
    let whole = || -> Step<'_> {
        Box::new(|folder| fs::write(folder.join("tables.redb"), &tables).unwrap())
    };
    let journal = || -> Step<'_> { Box::new(|folder| fs::write(folder.join(first), b"").unwrap()) };
    let states: Vec<Vec<Step<'_>>> = vec![
        vec![],
        vec![file("tables.redb.new", b"")],
        vec![file("tables.redb.new", b"half a fi")],
        vec![whole()],
        vec![whole(), journal()],
        // The names of files may get to the disk in any order.
        vec![journal()],
        vec![whole(), journal(), file("FORMAT.new", b"")],
        vec![whole(), journal(), file("FORMAT.new", b"popbox emb")],
        vec![file("lost+found", b"not ours")],
    ];
    for (index, steps) in states.iter().enumerate() {
        println!("state {index}");
        let folder = tempfile::tempdir().unwrap();
        for step in steps {
            step(folder.path());
        }
        let mut ledger = open(folder.path());
        assert_eq!(contents(&ledger), Model::new());
        ledger
            .append(vec![put(Table::Pops, b"queue", b"1")], true)
            .unwrap();
        drop(ledger);
        assert_eq!(contents(&open(folder.path())).len(), 1);
    }
}

#[test]
fn the_folder_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store");
    drop(open(&path));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
    }
}
