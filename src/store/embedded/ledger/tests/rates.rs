//! How fast it is. `cargo test --release --lib ledger::tests::rates -- --ignored --nocapture`

use std::io::Write as _;
use std::time::{Duration, Instant};

use redb::ReadableDatabase;

use super::*;

const VALUE_BYTES: usize = 1024;
const TIME: Duration = Duration::from_secs(3);

fn batch(first: u64, size: u64) -> Vec<Write> {
    let value = vec![7; VALUE_BYTES];
    let key = |number: u64| number.to_be_bytes();
    (first..first + size)
        .map(|number| put(Table::Records, &key(number), &value))
        .collect()
}

#[test]
#[ignore = "a measurement"]
fn of_appends() {
    for size in [1, 32, 1000] {
        let plain = plain_file(size);
        println!("{size} a batch: file {plain:.0} writes/s");
        for durability in BOTH {
            let folder = tempfile::tempdir().unwrap();
            let mut ledger = Ledger::open(&settings(folder.path(), durability)).unwrap();
            let (mut number, mut slowest, mut in_tick) = (0, Duration::ZERO, Duration::ZERO);
            let start = Instant::now();
            let mut refused = 0;
            while start.elapsed() < TIME {
                let begin = Instant::now();
                ledger.append(batch(number, size), true).unwrap();
                slowest = slowest.max(begin.elapsed());
                let begin = Instant::now();
                ledger.tick();
                in_tick = in_tick.max(begin.elapsed());
                number += size;
                while ledger.is_congested() {
                    refused += 1;
                    ledger.await_report();
                    ledger.tick();
                }
            }
            let rate = rate(number, start.elapsed());
            println!(
                "{size} a batch: {durability:?} {rate:.0} writes/s, {:.0} % of file, slowest {slowest:?}, tick {in_tick:?}, congested {refused} times",
                rate / plain * 100.0
            );
            let begin = Instant::now();
            drop(ledger);
            print!("drop {:?}, ", begin.elapsed());
            let begin = Instant::now();
            let mut unchecked = settings(folder.path(), durability);
            unchecked.check_on_open = false;
            let ledger = Ledger::open(&unchecked).unwrap();
            print!("open {:?}, ", begin.elapsed());
            let begin = Instant::now();
            ledger.close().unwrap();
            println!("close {:?}", begin.elapsed());
        }
    }
}

/// The same bytes to a file, synced batch by batch.
fn plain_file(size: u64) -> f64 {
    let mut file = tempfile::tempfile().unwrap();
    let bytes = vec![7; usize::try_from(size).unwrap() * (VALUE_BYTES + 17) + 36];
    let mut number = 0;
    let start = Instant::now();
    while start.elapsed() < TIME {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        number += size;
    }
    rate(number, start.elapsed())
}

fn rate(writes: u64, time: Duration) -> f64 {
    f64::from(u32::try_from(writes).unwrap()) / time.as_secs_f64()
}

#[test]
#[ignore = "a measurement"]
fn of_checkpoints_and_gets() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = settings(folder.path(), Durability::Interval);
    options.cache_bytes = 64 << 20;
    options.check_on_open = false;
    let mut ledger = Ledger::open_within(&options, idle()).unwrap();
    let mut times = Vec::new();
    let live = 200_u64;
    for round in 0..300_u64 {
        for part in 0..8 {
            ledger
                .append(batch(round * 8000 + part * 1000, 1000), false)
                .unwrap();
        }
        if let Some(old) = round.checked_sub(live) {
            let keys = (old * 8000..(old + 1) * 8000).map(u64::to_be_bytes);
            let writes = keys.map(|key| remove(Table::Records, &key)).collect();
            ledger.append(writes, false).unwrap();
        }
        let begin = Instant::now();
        ledger.checkpoint();
        times.push(begin.elapsed());
        if round % 50 == 49 {
            let length = fs::metadata(folder.path().join("tables.redb"))
                .unwrap()
                .len();
            println!(
                "round {round}: file {} MiB, checkpoint {:?}",
                length >> 20,
                times[times.len() - 1]
            );
        }
    }
    times.sort_unstable();
    println!(
        "checkpoint of 8 MiB: median {:?}, slowest {:?}",
        times[150], times[299]
    );
    let mut lots = Lots(3);
    let begin = Instant::now();
    for _ in 0..200_000 {
        let key = 800_000 + lots.next() % 1_600_000;
        assert!(
            ledger
                .get(Table::Records, &key.to_be_bytes())
                .unwrap()
                .is_some()
        );
    }
    println!("get, anywhere: {:?}", begin.elapsed() / 200_000);
    let begin = Instant::now();
    for _ in 0..200_000 {
        let key = 2_399_000 + lots.next() % 1000;
        assert!(
            ledger
                .get(Table::Records, &key.to_be_bytes())
                .unwrap()
                .is_some()
        );
    }
    println!("get, of the last 1000: {:?}", begin.elapsed() / 200_000);
    let copied = copy(folder.path());
    drop(ledger);
    // What the copy has left to be written is not to be waited for.
    std::process::Command::new("sync").status().unwrap();
    let begin = Instant::now();
    options.directory = copied.path().into();
    let ledger = Ledger::open(&options).unwrap();
    println!("open after a kill: {:?}", begin.elapsed());
    drop(ledger);
    let path = copied.path().join("tables.redb");
    let tables = redb::Database::builder()
        .set_cache_size(64 << 20)
        .open(path)
        .unwrap();
    let definition = redb::TableDefinition::<&[u8], &[u8]>::new("records");
    let begin = Instant::now();
    for _ in 0..200_000 {
        let key = 2_399_000 + lots.next() % 1000;
        let table = tables.begin_read().unwrap().open_table(definition).unwrap();
        assert!(table.get(&key.to_be_bytes()[..]).unwrap().is_some());
    }
    println!(
        "get, of the last 1000, a transaction each: {:?}",
        begin.elapsed() / 200_000
    );
}
