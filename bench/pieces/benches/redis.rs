//! How long the Redis store takes, from asking to the reply, with a redis-server that is started for it.

use std::{path::Path, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use popbox::config::{Config, StoreKind};
use popbox_bench_pieces::store::Worker;
use popbox_test_support::Redis;

/// A worker of a store that is new. The server is killed when it is dropped.
fn start(folder: &Path) -> (Worker, Redis) {
    let redis = Redis::start(folder, &[]);
    let mut config = Config::default();
    config.store.kind = StoreKind::Redis;
    config.redis.queues = vec![redis.url().parse().expect("an address")];
    (Worker::new(&config), redis)
}

fn round_trip(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("redis");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    for at_once in [1, 32] {
        group.throughput(Throughput::Elements(at_once as u64));
        let (mut pushing, server) = start(folder.path());
        group.bench_function(format!("push, {at_once} at once"), |bencher| {
            bencher.iter(|| pushing.push(at_once));
        });
        drop((pushing, server));
        let (mut pairing, _server) = start(folder.path());
        group.bench_function(format!("push, pop, settle, {at_once} at once"), |bencher| {
            bencher.iter(|| pairing.push_pop_settle(at_once));
        });
    }
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
