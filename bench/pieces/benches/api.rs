//! How long it takes from a request to its operation, and from a reply to the bytes of the answer.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use popbox_bench_pieces::{api, http};

fn handle(criterion: &mut Criterion) {
    let settings = api::settings();
    let requests = [
        ("pop", http::pop()),
        ("push to 1 queue", http::push(1)),
        ("push to 1,000 queues", http::push(1000)),
        ("ack of 10", http::ack(10)),
    ];
    let mut group = criterion.benchmark_group("api: handle");
    for (name, input) in requests {
        let request = http::request(input);
        group.bench_function(name, |bencher| {
            bencher.iter_with_large_drop(|| api::handle(&settings, &request));
        });
    }
}

fn answer(criterion: &mut Criterion) {
    let settings = api::settings();
    let push = http::request(http::push(1));
    let mut out = api::out();
    let mut group = criterion.benchmark_group("api: answer");
    group.bench_function("pushed", |bencher| {
        let prepare = || api::answer(&settings, &push);
        bencher.iter_batched(
            prepare,
            |answer| api::write_pushed(answer, &mut out),
            BatchSize::SmallInput,
        );
    });
    for (name, messages) in [("pop of 1", 1), ("pop of 1,000", 1000)] {
        let reply = api::handout(messages);
        group.bench_function(name, |bencher| {
            let prepare = || reply.clone();
            bencher.iter_batched(
                prepare,
                |reply| api::write_messages(reply, &mut out),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("refusal", |bencher| {
        bencher.iter(|| api::write_refusal(&mut out));
    });
}

criterion_group!(benches, handle, answer);
criterion_main!(benches);
