//! How long it takes to read what Redis answers.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use popbox_bench_pieces::resp;

fn decode(criterion: &mut Criterion) {
    let inputs = [
        ("outcome of 1", resp::outcomes(1)),
        ("outcomes of 32", resp::outcomes(32)),
        ("100 payloads", resp::payloads(100)),
        ("published message", resp::published()),
    ];
    let mut group = criterion.benchmark_group("resp: decode");
    for (name, input) in inputs {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| input.clone(), resp::decode, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
