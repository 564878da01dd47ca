//! Where the system refuses `io_uring` the server runs on epoll, says so, and behaves the same.

use std::time::Instant;

use serde_json::json;

use crate::support::{
    Broken, Popped, Queue, READ_TIMEOUT, Server, Settings, eventually, get, post, soon,
};

/// A server that was told to do without `io_uring`, with more than one worker.
fn on_epoll() -> Server {
    Settings::new()
        .env("MONOIO_FORCE_LEGACY_DRIVER", "1")
        .set("server.workers", 2)
        .start()
}

#[test]
fn it_says_so() {
    let server = on_epoll();
    assert!(
        server.ready_line.ends_with("(2 workers, epoll)"),
        "{}",
        server.ready_line
    );
    eventually("one line of the log says so", || {
        let log = server.stderr();
        let lines = log.lines().filter(|line| line.contains("io_uring"));
        let lines: Vec<&str> = lines.collect();
        lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("epoll")
    });
}

#[test]
fn a_push_wakes_pops_of_every_worker_from_every_worker() {
    let server = on_epoll();
    let mut waiting = server.clients(8);
    let mut pushers = server.clients(8);
    for round in 0..8 {
        let queues: Vec<Queue> = (0..8).map(|_| Queue::fresh()).collect();
        for (client, q) in waiting.iter_mut().zip(&queues) {
            client.start_pop(q);
        }
        let started = Instant::now();
        for (place, q) in queues.iter().enumerate() {
            let pusher = &mut pushers[(place + round) % 8];
            pusher.await_blocked(q, true);
            pusher.push(q, "woken");
        }
        for client in &mut waiting {
            assert_eq!(Popped::parse(&client.receive()).data, ["woken"]);
        }
        soon(started);
    }
}

#[test]
fn a_wait_ends_in_time() {
    let server = on_epoll();
    let started = Instant::now();
    let popped = server.client().pop(&Queue::fresh(), &json!({"timeout": 1}));
    assert!(popped.is_empty());
    crate::support::at_least(started, std::time::Duration::from_secs(1));
    soon(started);
}

#[test]
fn a_close_is_noticed_while_a_pop_waits() {
    let server = on_epoll();
    let mut client = server.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let mut waiting = server.client();
        waiting.start_pop(&q);
        client.await_blocked(&q, true);
        waiting.leave(reset);
        client.await_blocked(&q, false);
        client.push(&q, "kept");
        assert_eq!(client.pop(&q, &json!({})).data, ["kept"]);
    }
}

#[test]
fn a_stream_brings_every_message_and_its_close_is_noticed() {
    let server = on_epoll();
    let (mut stream, mut client) = (server.client(), server.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscribe", &json!({}));
    for number in 0..20 {
        let payload = number.to_string();
        let id = client.push(&q, &payload);
        assert_eq!(stream.next_message(), (payload, id));
    }
    drop(stream);
    client.await_blocked(&q, false);
    client.push(&q, "kept");
    client.await_pending(&q, &["kept"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = on_epoll();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    let mut bytes = Vec::new();
    for _ in &payloads {
        bytes.extend(post(q.route("pop"), &json!({"max": 1})).bytes("h"));
    }
    // More than the server keeps under way at once.
    client.send_raw(&bytes);
    for payload in &payloads {
        assert_eq!(Popped::parse(&client.receive()).data, [payload.as_str()]);
    }
}

#[test]
fn large_bodies_and_large_answers_pass() {
    let server = on_epoll();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = ["a", "b", "c", "d"]
        .map(|letter| letter.repeat(1_000_000))
        .into();
    for payload in &payloads {
        client.push(&q, payload);
    }
    let mut narrow = crate::support::Client::connect_narrow(server.addr);
    narrow.send(&post(q.route("pop"), &json!({})));
    // All of them are on their way before the first byte is read.
    client.await_size(&q, 0);
    assert!(Popped::parse(&narrow.receive()).data == payloads);
}

#[test]
fn it_drains() {
    let server = on_epoll();
    let mut waiting = server.clients(6);
    let mut idle = server.client();
    idle.call(&get("/")).assert_json_head(200);
    let (mut stream, mut client) = (server.client(), server.client());
    for waiter in &mut waiting {
        let q = Queue::fresh();
        waiter.start_pop(&q);
        client.await_blocked(&q, true);
    }
    stream.subscribe(&Queue::fresh(), "subscribe", &json!({}));
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    for waiter in &mut waiting {
        assert!(Popped::parse(&waiter.receive()).is_empty());
        waiter.assert_closed();
    }
    match stream.try_receive_chunk(READ_TIMEOUT) {
        Ok(None) | Err(Broken::Closed { midway: false }) => {}
        other => panic!("expected the end of the stream: {other:?}"),
    }
    idle.assert_closed();
    let status = server.exit_within(READ_TIMEOUT);
    assert_eq!(status.code(), Some(0), "{status}");
    soon(started);
}
