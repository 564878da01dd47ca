//! How many instructions the pieces take that neither wait nor ask the system: figures that the machine's other work
//! does not touch. Each does its work [`REPEATS`] times.

#![allow(missing_docs, reason = "the macros make items without documentation")]

use bytes::BytesMut;
use gungraun::{library_benchmark, library_benchmark_group, main};
use popbox::{
    api::{Action, Answer, Settings},
    http::Request,
    mailbox::{Op, QueueName, Reply},
};
use popbox_bench_pieces::{REPEATS, api, engine::Asked, http, resp};
use redis_protocol::resp3::types::BytesFrame;

fn copies<T: Clone>(input: T) -> Vec<T> {
    vec![input; REPEATS]
}

#[library_benchmark]
#[bench::get(copies(http::get()))]
#[bench::push(copies(http::push(1)))]
#[bench::pipelined_16(copies(http::pipelined()))]
#[bench::chunked(copies(http::chunked()))]
fn http_decode(inputs: Vec<BytesMut>) -> usize {
    inputs.into_iter().map(http::decode).sum()
}

fn request(input: BytesMut) -> (Settings, Request) {
    (api::settings(), http::request(input))
}

#[library_benchmark]
#[bench::pop(request(http::pop()))]
#[bench::push(request(http::push(1)))]
#[bench::push_to_1000(request(http::push(1000)))]
#[bench::ack_10(request(http::ack(10)))]
fn api_handle((settings, request): (Settings, Request)) -> Vec<Action> {
    (0..REPEATS)
        .map(|_| api::handle(&settings, &request))
        .collect()
}

fn answers() -> (Vec<Answer>, Vec<u8>) {
    let (settings, request) = request(http::push(1));
    let answers = (0..REPEATS).map(|_| api::answer(&settings, &request));
    (answers.collect(), api::out())
}

fn handouts(messages: u64) -> (Vec<Reply>, Vec<u8>) {
    (copies(api::handout(messages)), api::out())
}

#[library_benchmark]
#[bench::push(answers())]
fn api_answer_pushed((answers, mut out): (Vec<Answer>, Vec<u8>)) -> Vec<u8> {
    for answer in answers {
        api::write_pushed(answer, &mut out);
    }
    out
}

#[library_benchmark]
#[bench::of_1(handouts(1))]
#[bench::of_1000(handouts(1000))]
fn api_answer_pop((replies, mut out): (Vec<Reply>, Vec<u8>)) -> Vec<u8> {
    for reply in replies {
        api::write_messages(reply, &mut out);
    }
    out
}

#[library_benchmark]
#[bench::full(api::out())]
fn api_answer_refusal(mut out: Vec<u8>) -> Vec<u8> {
    for _ in 0..REPEATS {
        api::write_refusal(&mut out);
    }
    out
}

fn asked<T>(messages: usize, prepare: fn(&mut Asked, usize) -> T) -> (Asked, T) {
    let mut asked = Asked::with_messages(messages);
    let ops = prepare(&mut asked, REPEATS);
    (asked, ops)
}

#[library_benchmark]
#[bench::idle_of_1(asked(1, Asked::pushes))]
#[bench::idle_of_100000(asked(100_000, Asked::pushes))]
#[bench::waiting_of_1(asked(1, Asked::pushes_to_waiting))]
#[bench::waiting_of_100000(asked(100_000, Asked::pushes_to_waiting))]
#[bench::to_1000_of_1(asked(1, Asked::pushes_to_all))]
#[bench::to_1000_of_100000(asked(100_000, Asked::pushes_to_all))]
fn engine_push((mut asked, pushes): (Asked, Vec<Op>)) -> Asked {
    asked.apply(pushes);
    asked
}

#[library_benchmark]
#[bench::of_1(asked(1, Asked::pairs))]
#[bench::of_100000(asked(100_000, Asked::pairs))]
fn engine_push_pop_settle((mut asked, pairs): (Asked, Vec<(Op, QueueName)>)) -> Asked {
    asked.apply_pairs(pairs);
    asked
}

#[library_benchmark]
#[bench::outcome_of_1(copies(resp::outcomes(1)))]
#[bench::outcomes_of_32(copies(resp::outcomes(32)))]
#[bench::payloads_100(copies(resp::payloads(100)))]
#[bench::published(copies(resp::published()))]
fn resp_decode(inputs: Vec<BytesMut>) -> Vec<BytesFrame> {
    inputs.into_iter().map(resp::decode).collect()
}

library_benchmark_group!(
    name = pieces,
    benchmarks = [
        http_decode,
        api_handle,
        api_answer_pushed,
        api_answer_pop,
        api_answer_refusal,
        engine_push,
        engine_push_pop_settle,
        resp_decode
    ]
);
main!(library_benchmark_groups = pieces);
