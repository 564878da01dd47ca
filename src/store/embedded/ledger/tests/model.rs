//! Random use against a plain map.

use super::*;

/// Random use against a plain map.
#[test]
fn does_what_a_map_does() {
    for durability in BOTH {
        for seed in 0..6 {
            println!("seed {seed}, {durability:?}");
            play(durability, &mut Lots(seed));
        }
    }
}

fn play(durability: Durability, lots: &mut Lots) {
    let mut folder = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        checkpoint_bytes: 20_000,
        congested_bytes: 80_000,
        sync_interval: std::time::Duration::ZERO,
        ..idle()
    };
    let open = |path: &Path| {
        patiently(|| Ledger::open_within(&settings(path, durability), bounds)).unwrap()
    };
    let mut ledger = open(folder.path());
    let mut model = Model::new();
    for _ in 0..600 {
        match lots.below(100) {
            0..60 => {
                let writes: Vec<Write> = (0..lots.below(12)).map(|_| write(lots)).collect();
                apply(&mut model, &writes);
                ledger.append(writes, lots.is_one_in(4)).unwrap();
            }
            60..75 => {
                let Write { table, key, .. } = write(lots);
                let expected = model.get(&(table.code(), key.as_slice().to_vec()));
                let found = ledger.get(table, key.as_slice()).unwrap();
                assert_eq!(found.as_deref(), expected.map(Vec::as_slice));
            }
            75..92 => {
                ledger.tick();
                assert!(ledger.frozen.is_some() || !ledger.is_congested());
            }
            92..95 => assert_eq!(contents(&ledger), model),
            95 => ledger.await_checkpoint(),
            96 => {
                ledger.close().unwrap();
                assert_eq!(fs::metadata(segment(folder.path())).unwrap().len(), 0);
                ledger = open(folder.path());
            }
            97 => {
                drop(ledger);
                ledger = open(folder.path());
            }
            98 => {
                // The tables as they are while in use.
                ledger.await_checkpoint();
                let copied = copy(folder.path());
                drop(ledger);
                folder = copied;
                ledger = open(folder.path());
            }
            _ => ledger.checkpoint(),
        }
    }
    assert_holds(&ledger, &model);
    ledger.close().unwrap();
    assert_holds(&open(folder.path()), &model);
}

fn write(lots: &mut Lots) -> Write {
    let table = Table::ALL[lots.below(Table::COUNT)];
    let mut key = vec![b'k'; if lots.is_one_in(5) { 30 } else { 1 }];
    key.push(u8::try_from(lots.below(40)).unwrap());
    if lots.is_one_in(3) {
        return remove(table, &key);
    }
    let length = if lots.is_one_in(10) { 5000 } else { 40 };
    let value = vec![u8::try_from(lots.below(256)).unwrap(); lots.below(length)];
    put(table, &key, &value)
}
