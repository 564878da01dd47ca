//! Stores that are damaged, foreign, or in use.

use super::super::OpenError;
use super::*;

/// A store with a batch in the tables and three in the journal, as a killed process leaves it.
fn killed() -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    let mut model = Model::new();
    for number in 0..4 {
        let writes = vec![
            put(Table::Transactions, &[number], b"header"),
            put(Table::Records, &[number], &[number; 20]),
            remove(Table::Transactions, &[number.wrapping_sub(1)]),
        ];
        apply(&mut model, &writes);
        ledger.append(writes, true).unwrap();
        if number == 0 {
            ledger.checkpoint();
        }
    }
    (copy(folder.path()), model)
}

fn refusal(folder: &Path) -> OpenError {
    let opened = patiently(|| Ledger::open(&settings(folder, Durability::Sync)));
    let error = opened.err().expect("it is refused");
    println!("{error}");
    error
}

fn is_damage(error: &OpenError, file: &str) -> bool {
    matches!(error, OpenError::Damaged { path, .. } if path.ends_with(file))
}

#[test]
fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let error = refusal(folder.path());
    assert!(matches!(&error, OpenError::InUse { path } if path == folder.path()));
    drop(ledger);
    // The lock of the tables alone does as well.
    let tables = redb::Database::open(folder.path().join("tables.redb")).unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::InUse { .. }));
    drop(tables);
    open(folder.path());
}

#[test]
fn a_torn_batch_is_wholly_absent() {
    let (folder, model) = killed();
    let bytes = fs::read(segment(folder.path())).unwrap();
    // The three are equally long.
    let last = bytes.len() / 3 * 2;
    for length in last..bytes.len() {
        let copied = copy(folder.path());
        fs::write(segment(copied.path()), &bytes[..length]).unwrap();
        let mut ledger = open(copied.path());
        let mut expected = model.clone();
        expected.remove(&(Table::Records.code(), vec![3]));
        expected.remove(&(Table::Transactions.code(), vec![3]));
        expected.insert((Table::Transactions.code(), vec![2]), b"header".into());
        assert_eq!(contents(&ledger), expected);
        let writes = vec![put(Table::Groups, b"later", b"x")];
        apply(&mut expected, &writes);
        ledger.append(writes, true).unwrap();
        drop(ledger);
        assert_holds(&open(copied.path()), &expected);
    }
}

#[test]
fn missing_files_are_not_made_again() {
    let (folder, model) = killed();
    let without = |name: &str| {
        let copied = copy(folder.path());
        fs::remove_file(copied.path().join(name)).unwrap();
        let error = refusal(copied.path());
        assert!(is_damage(&error, name));
        assert!(!copied.path().join(name).exists());
    };
    without("tables.redb");
    without("FORMAT");
    without(
        segment(folder.path())
            .file_name()
            .unwrap()
            .to_str()
            .unwrap(),
    );
    assert_holds(&open(folder.path()), &model);
    // Nor when all is in the tables and the journal is empty.
    open(folder.path()).close().unwrap();
    let name = segment(folder.path());
    let copied = copy(folder.path());
    fs::remove_file(copied.path().join(name.file_name().unwrap())).unwrap();
    assert!(is_damage(
        &refusal(copied.path()),
        name.file_name().unwrap().to_str().unwrap()
    ));
}

#[test]
fn damaged_tables_are_refused() {
    let (folder, _) = killed();
    let path = folder.path().join("tables.redb");
    let whole = fs::read(&path).unwrap();
    for damaged in [
        Vec::new(),
        b"something else".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        vec![0; whole.len()],
    ] {
        fs::write(&path, damaged).unwrap();
        assert!(is_damage(&refusal(folder.path()), "tables.redb"));
    }
    // A foreign file of redb.
    fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    assert!(is_damage(&refusal(folder.path()), "tables.redb"));
}

/// Whatever is damaged, opening panics never, and never are entries others than those written.
#[test]
fn flipped_bits_in_the_tables_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    let mut model = Model::new();
    // In one batch, so that the tables are written once: earlier versions of their pages would take flips for nothing.
    let writes: Vec<_> = (0..100)
        .map(|number| put(Table::Records, &[number], &[number; 500]))
        .collect();
    apply(&mut model, &writes);
    ledger.append(writes, false).unwrap();
    ledger.close().unwrap();
    let path = folder.path().join("tables.redb");
    let whole = fs::read(&path).unwrap();
    let mut lots = Lots(7);
    let mut refused = 0;
    for _ in 0..150 {
        let mut bytes = whole.clone();
        // Drawn from all places: some bytes are random, and one that is zero must not move the draws behind it.
        let place = loop {
            let place = lots.below(whole.len());
            if whole[place] != 0 {
                break place;
            }
        };
        bytes[place] ^= 1 << lots.below(8);
        fs::write(&path, bytes).unwrap();
        match patiently(|| Ledger::open(&settings(folder.path(), Durability::Sync))) {
            Ok(ledger) => assert_eq!(contents(&ledger), model),
            Err(OpenError::Damaged { .. } | OpenError::Unusable { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{refused} of 150 were refused");
    assert!(refused > 75);
}

#[test]
fn an_unknown_format_is_refused() {
    let (folder, _) = killed();
    let path = folder.path().join("FORMAT");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "popbox embedded store, format 2\n");
    fs::write(&path, text.replace('2', "3")).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(
        error,
        OpenError::UnknownFormat {
            found: 3,
            known: 2,
            ..
        }
    ));
    fs::write(&path, "").unwrap();
    assert!(is_damage(&refusal(folder.path()), "FORMAT"));
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    assert!(matches!(refusal(&path), OpenError::Unusable { path: named, .. } if named == path));
    let below = path.join("store");
    assert!(matches!(refusal(&below), OpenError::Unusable { path: named, .. } if named == below));
    // One of these does for every user, root included.
    let unwritable = Path::new("/proc/popbox");
    assert!(matches!(refusal(unwritable), OpenError::Unusable { .. }));
}

#[test]
fn too_large_a_value_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    let mut large = put(Table::Records, b"large", b"");
    large.value = Some(Bytes::from(vec![0; (1 << 30) + 1]));
    let writes = vec![put(Table::Records, b"small", b""), large];
    let error = ledger.append(writes, true).unwrap_err();
    assert!(matches!(error, super::super::WriteError::TooLarge(_)));
    ledger
        .append(vec![put(Table::Records, b"next", b"x")], true)
        .unwrap();
    drop(ledger);
    assert_eq!(contents(&open(folder.path())).len(), 1);
}
