//! A process that is killed while it appends.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "POPBOX_TEST_LEDGER_FOLDER";
const DURABILITY: &str = "POPBOX_TEST_LEDGER_DURABILITY";

/// Values are large enough for a checkpoint every few batches.
const VALUE_BYTES: usize = 1000;

fn batch(number: u64) -> Vec<Write> {
    let value = [number.to_be_bytes().as_slice(), &[0; VALUE_BYTES]].concat();
    let mut writes = vec![
        put(Table::Records, &number.to_be_bytes(), &value),
        put(Table::Marks, &number.to_be_bytes(), &value[..8]),
        put(Table::Groups, b"last", &number.to_be_bytes()),
    ];
    if let Some(old) = number.checked_sub(50) {
        writes.push(remove(Table::Records, &old.to_be_bytes()));
    }
    writes
}

fn expected(last: u64) -> Model {
    let mut model = Model::new();
    for number in 1..=last {
        apply(&mut model, &batch(number));
    }
    model
}

/// Not a test of its own: what the other one kills.
#[test]
fn appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let is_sync = std::env::var_os(DURABILITY).is_some_and(|value| value == "Sync");
    let durability = BOTH[usize::from(!is_sync)];
    let bounds = Bounds {
        checkpoint_bytes: 10_000,
        sync_interval: std::time::Duration::from_millis(3),
        ..idle()
    };
    let settings = settings(Path::new(&folder), durability);
    let mut ledger = Ledger::open_within(&settings, bounds).unwrap();
    let last = ledger.get(Table::Groups, b"last").unwrap();
    let last = last.map_or(0, |last| u64::from_be_bytes(last[..].try_into().unwrap()));
    let mut output = std::io::stdout().lock();
    for number in last + 1.. {
        ledger.append(batch(number), number % 3 > 0).unwrap();
        writeln!(output, "\nappended {number}").unwrap();
        output.flush().unwrap();
        ledger.tick();
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    for durability in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let mut lots = Lots(11);
        let mut last = 0;
        for round in 0..12 {
            let appended = run(folder.path(), durability, 1 + lots.below(400)).unwrap_or(last);
            let ledger = patiently(|| Ledger::open(&settings(folder.path(), durability))).unwrap();
            let found = ledger.get(Table::Groups, b"last").unwrap().unwrap();
            let found = u64::from_be_bytes(found[..].try_into().unwrap());
            println!("{durability:?} round {round}: appended {appended}, found {found}");
            // The one that was under way may be there or not.
            assert!((appended..=appended + 1).contains(&found));
            assert_eq!(contents(&ledger), expected(found));
            last = found;
            if round % 4 == 3 {
                ledger.close().unwrap();
            }
        }
    }
}

/// Has a process append and kills it after so many batches; the last one that it told of.
fn run(folder: &Path, durability: Durability, batches: usize) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(
            concat!(module_path!(), "::appends_until_it_is_killed")
                .split_once("::")
                .unwrap()
                .1,
        )
        .env(FOLDER, folder)
        .env(DURABILITY, format!("{durability:?}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = std::iter::from_fn(move || lines.next()).filter_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("appended ")?.parse::<u64>().unwrap())
    });
    let mut last = numbers.by_ref().take(batches).last();
    child.kill().unwrap();
    child.wait().unwrap();
    last = numbers.last().or(last);
    last
}
