//! How long the embedded store takes, from asking to the reply, on files in the temporary folder (`TMPDIR`).

use std::{path::Path, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use popbox::config::{Config, Durability};
use popbox_bench_pieces::store::Worker;

/// A worker of a store that is new.
fn worker(folder: &Path, durability: Durability) -> Worker {
    let mut config = Config::default();
    config.store.path = folder.join("store");
    config.store.durability = durability;
    Worker::new(&config)
}

fn round_trip(criterion: &mut Criterion) {
    for (name, durability) in [
        ("sync", Durability::Sync),
        ("interval", Durability::Interval),
    ] {
        let mut group = criterion.benchmark_group(format!("embedded, {name}"));
        group
            .sample_size(20)
            .measurement_time(Duration::from_secs(3));
        for at_once in [1, 32] {
            group.throughput(Throughput::Elements(at_once as u64));
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut pushing = worker(&folder.path().join("pushes"), durability);
            group.bench_function(format!("push, {at_once} at once"), |bencher| {
                bencher.iter(|| pushing.push(at_once));
            });
            drop(pushing);
            let mut pairing = worker(&folder.path().join("pairs"), durability);
            group.bench_function(format!("push, pop, settle, {at_once} at once"), |bencher| {
                bencher.iter(|| pairing.push_pop_settle(at_once));
            });
        }
    }
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
