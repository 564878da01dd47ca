//! Failures after which there is no going on.

use std::fs::File;

use super::super::checkpoint::Job;
use super::super::error::CloseError;
use super::super::{Reach, WriteError};
use super::*;

fn assert_broken(mut ledger: Ledger, folder: &Path) {
    let writes = || vec![put(Table::Records, b"second", b"2")];
    let error = ledger.append(writes(), true).unwrap_err();
    assert!(matches!(error, WriteError::Broken(_)), "{error}");
    println!("{error}");
    let again = ledger.append(writes(), false).unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    let read = ledger.get(Table::Records, b"first").unwrap_err();
    assert!(matches!(read, ReadError::Broken(_)));
    ledger.tick();
    assert!(matches!(ledger.close().unwrap_err(), CloseError::Broken(_)));
    let found = contents(&open(folder));
    assert_eq!(found.into_values().collect::<Vec<_>>(), [b"1"]);
}

fn with_first(folder: &Path) -> Ledger {
    let mut ledger = open(folder);
    ledger
        .append(vec![put(Table::Records, b"first", b"1")], true)
        .unwrap();
    ledger
}

#[test]
fn a_failed_sync_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = with_first(folder.path());
    // It takes what is written, and cannot be synced.
    let file = File::options().write(true).open("/dev/null").unwrap();
    ledger.journal.redirect(file);
    assert_broken(ledger, folder.path());
}

#[test]
fn a_sync_that_fails_on_the_other_thread_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = with_first(folder.path());
    ledger.bounds.sync_interval = std::time::Duration::ZERO;
    let file = File::options().write(true).open("/dev/null").unwrap();
    ledger.journal.redirect(file);
    ledger
        .append(vec![put(Table::Records, b"lost", b"")], false)
        .unwrap();
    ledger.tick();
    let report = ledger.checkpointer.await_report();
    ledger.note(report);
    assert_broken(ledger, folder.path());
}

#[test]
fn a_batch_that_cannot_be_cut_off_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = with_first(folder.path());
    // It can be neither written nor cut.
    ledger.journal.redirect(File::open("/dev/null").unwrap());
    assert_broken(ledger, folder.path());
}

#[test]
fn tables_that_are_damaged_meanwhile_stay_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = with_first(folder.path());
    ledger.checkpoint();
    ledger
        .append(vec![put(Table::Records, b"second", b"2")], true)
        .unwrap();
    let path = folder.path().join("tables.redb");
    File::create(&path).unwrap();
    ledger.checkpointer.ask(Job::Reopen);
    while !matches!(ledger.tables, Reach::Damaged(_)) {
        ledger.await_report();
    }
    let error = ledger.get(Table::Records, b"first").unwrap_err();
    assert!(matches!(&error, ReadError::Damaged(_)), "{error}");
    println!("{error}");
    let second = ledger.get(Table::Records, b"second").unwrap();
    assert_eq!(second.as_deref(), Some(&b"2"[..]));
    // The journal goes on.
    ledger
        .append(vec![put(Table::Records, b"third", b"3")], true)
        .unwrap();
    assert!(matches!(ledger.close().unwrap_err(), CloseError::Tables(_)));
    let opened = Ledger::open(&settings(folder.path(), Durability::Sync));
    assert!(matches!(
        opened.err(),
        Some(super::super::OpenError::Damaged { .. })
    ));
    assert_eq!(
        fs::metadata(segment(folder.path()))
            .map(|file| file.len() > 0)
            .ok(),
        Some(true)
    );
}

#[test]
fn tables_are_reopened_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = with_first(folder.path());
    ledger.checkpoint();
    ledger.checkpointer.ask(Job::Reopen);
    ledger.await_report();
    let error = ledger.get(Table::Records, b"first").unwrap_err();
    assert!(matches!(error, ReadError::Unavailable));
    ledger.await_report();
    assert!(ledger.get(Table::Records, b"first").unwrap().is_some());
    ledger.close().unwrap();
}
