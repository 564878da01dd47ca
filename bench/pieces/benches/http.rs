//! How long it takes to read a request.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use popbox_bench_pieces::http;

fn decode(criterion: &mut Criterion) {
    let inputs = [
        ("get", http::get()),
        ("push of 200 bytes", http::push(1)),
        ("16 pushes in one read", http::pipelined()),
        ("push in 4 chunks", http::chunked()),
    ];
    let mut group = criterion.benchmark_group("http: decode");
    for (name, input) in inputs {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| input.clone(), http::decode, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
