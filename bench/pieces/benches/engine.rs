//! How long operations of the engine take, by how many messages it has.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use popbox_bench_pieces::engine::Asked;

/// So many operations are prepared, done and undone together. Preparing and undoing do not count.
const AT_ONCE: u64 = 100;

/// The same of operations that touch a thousand queues each.
const WIDE_AT_ONCE: u64 = 10;

/// Measures `work` on what `prepare` gives, for as many operations as criterion asks for.
fn timed<T>(
    asked: &mut Asked,
    operations: u64,
    at_once: u64,
    prepare: fn(&mut Asked, usize) -> T,
    work: fn(&mut Asked, T),
    undo: fn(&mut Asked),
) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = operations;
    while left > 0 {
        let count = left.min(at_once);
        let ops = prepare(asked, usize::try_from(count).expect("a small number"));
        let started = Instant::now();
        work(asked, ops);
        total += started.elapsed();
        undo(asked);
        left -= count;
    }
    total
}

fn engine(criterion: &mut Criterion) {
    for messages in [1, 100_000] {
        let mut asked = Asked::with_messages(messages);
        let mut group = criterion.benchmark_group(format!("engine of {messages}"));
        group.bench_function("push to an idle queue", |bencher| {
            bencher.iter_custom(|count| {
                let (prepare, work) = (Asked::pushes, Asked::apply);
                timed(&mut asked, count, AT_ONCE, prepare, work, Asked::undo)
            });
        });
        group.bench_function("push to a waiting pop", |bencher| {
            bencher.iter_custom(|count| {
                let (prepare, work) = (Asked::pushes_to_waiting, Asked::apply);
                timed(&mut asked, count, AT_ONCE, prepare, work, Asked::undo)
            });
        });
        group.bench_function("push to 1,000 queues", |bencher| {
            bencher.iter_custom(|count| {
                let (prepare, work) = (Asked::pushes_to_all, Asked::apply);
                timed(&mut asked, count, WIDE_AT_ONCE, prepare, work, Asked::undo)
            });
        });
        group.bench_function("push, pop, settle", |bencher| {
            bencher.iter_custom(|count| {
                let (prepare, work) = (Asked::pairs, Asked::apply_pairs);
                timed(&mut asked, count, AT_ONCE, prepare, work, Asked::undo_pairs)
            });
        });
    }
}

criterion_group!(benches, engine);
criterion_main!(benches);
