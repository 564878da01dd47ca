//! SIGTERM: waiting clients are answered, work under way is finished, and the process ends well.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Broken, Durability, Queue, READ_TIMEOUT, Server, Settings, get, post, soon};

const EMPTY: &str = r#"{"ok":true,"data":[],"transactions":[]}"#;

#[track_caller]
fn assert_ends_well(server: &Server) {
    let status = server.exit_within(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn waiting_pops_are_answered_at_once_with_empty_lists() {
    const ROUTES: [(&str, &str); 2] = [
        ("pop", EMPTY),
        (
            "poprel",
            r#"{"ok":true,"data":[],"transactions":[],"deliveries":[]}"#,
        ),
    ];
    let server = Settings::new().set("server.workers", 2).start();
    let mut waiting = server.clients(10);
    let mut client = server.client();
    for (place, waiter) in waiting.iter_mut().enumerate() {
        let q = Queue::fresh();
        let route = ROUTES[place % 2].0;
        waiter.send(&post(q.route(route), &json!({"timeout": 60})));
        client.await_blocked(&q, true);
    }
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    for (place, waiter) in waiting.iter_mut().enumerate() {
        let response = waiter.receive();
        response.assert_is(200, ROUTES[place % 2].1);
        assert!(response.closes(), "{response:?}");
        waiter.assert_closed();
    }
    assert_ends_well(&server);
    soon(started);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let server = Settings::new().set("server.drain", "60s").start();
    let mut idle = server.clients(5);
    for client in &mut idle[..3] {
        client.call(&get("/")).assert_json_head(200);
    }
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    assert_ends_well(&server);
    soon(started);
    for client in &mut idle {
        client.assert_closed();
    }
}

#[test]
fn streams_do_not_hold_up_the_end() {
    let server = Settings::new().set("server.drain", "60s").start();
    let mut streams = server.clients(2);
    for (stream, route) in streams.iter_mut().zip(["subscribe", "subscriberel"]) {
        let q = Queue::fresh();
        stream.subscribe(&q, route, &json!({}));
        server.client().await_blocked(&q, true);
    }
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    for stream in &mut streams {
        match stream.try_receive_chunk(READ_TIMEOUT) {
            Ok(None) | Err(Broken::Closed { midway: false }) => {}
            other => panic!("expected the end of the stream: {other:?}"),
        }
    }
    assert_ends_well(&server);
    soon(started);
}

#[test]
fn a_request_under_way_is_answered_or_has_done_nothing() {
    let server = Settings::new().durability(Durability::Sync).start();
    let layout = server.layout.clone();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let mut client = server.client();
    let bytes = post("/trans", &push).bytes("h");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    client.send_raw(first);
    crate::support::pause();
    server.signal(libc::SIGTERM);
    let _ = client.try_send_raw(rest);
    let answer = client.try_receive(READ_TIMEOUT);
    assert_ends_well(&server);
    drop(server);
    let server = Settings::on(&layout).start();
    let kept = server.client().peek(&q).data;
    match answer {
        // Whether it says that it closes depends on which came first, the signal or the rest of the request.
        Ok(response) if response.status == 200 => assert_eq!(kept, ["p"]),
        Ok(response) => assert!(
            response.status >= 400 && kept.is_empty(),
            "{response:?}, {kept:?}"
        ),
        // Without an answer, either is right.
        Err(Broken::Closed { .. }) => assert!(kept.len() <= 1),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_drain_has_its_time() {
    let server = Settings::new()
        .set("server.drain", "500ms")
        .set("limits.body_timeout", "60s")
        .start();
    let mut client = server.client();
    client.send_raw(b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    crate::support::pause();
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    server.exit_within(Duration::from_secs(10));
    soon(started);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Settings::new()
        .set("server.drain", "60s")
        .set("limits.body_timeout", "60s")
        .start();
    let mut client = server.client();
    client.send_raw(b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    crate::support::pause();
    server.signal(libc::SIGTERM);
    crate::support::pause();
    let started = Instant::now();
    if server.is_running() {
        server.signal(libc::SIGTERM);
    }
    let status = server.exit_within(Duration::from_secs(10));
    soon(started);
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(server.stderr().contains("a second signal"));
}

#[test]
fn sigint_ends_it_as_sigterm_does() {
    let server = Settings::new().start();
    let mut waiting = server.client();
    let q = Queue::fresh();
    waiting.start_pop(&q);
    server.client().await_blocked(&q, true);
    server.signal(libc::SIGINT);
    waiting.receive().assert_is(200, EMPTY);
    assert_ends_well(&server);
}

#[test]
fn what_is_pushed_as_it_drains_is_refused_or_kept() {
    let server = Settings::new().durability(Durability::Sync).start();
    let layout = server.layout.clone();
    let q = Queue::fresh();
    let mut client = server.client();
    let mut acknowledged = Vec::new();
    server.signal(libc::SIGTERM);
    for number in 0..1000 {
        let payload = number.to_string();
        let push = json!({"payload": payload, "priority": "H", "queue": [{"id": q.id}]});
        let bytes = post("/trans", &push).bytes("h");
        if client.try_send_raw(&bytes).is_err() {
            break;
        }
        match client.try_receive(READ_TIMEOUT) {
            Ok(response) if response.status == 200 => {
                acknowledged.push(payload);
                if response.closes() {
                    break;
                }
            }
            Ok(_) | Err(Broken::Closed { .. }) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_ends_well(&server);
    drop(server);
    let server = Settings::on(&layout).start();
    let kept = server.client().peek(&q).data;
    assert_eq!(kept[..acknowledged.len()], acknowledged);
}

#[test]
fn a_stream_that_begins_as_it_drains_ends_at_once() {
    let server = Settings::new().set("server.drain", "60s").start();
    let mut stream = server.client();
    let q = Queue::fresh();
    let bytes = post(q.route("subscribe"), &json!({})).bytes("h");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    stream.send_raw(first);
    crate::support::pause();
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    crate::support::pause();
    stream.send_raw(rest);
    assert_eq!(stream.receive_head().status, 200);
    assert_eq!(stream.receive_chunk(), None);
    assert_ends_well(&server);
    soon(started);
}

#[test]
fn what_was_sent_before_the_end_is_answered() {
    let server = Settings::new().set("server.workers", 1).start();
    let mut known = server.clients(100);
    for client in &mut known {
        client.call(&get("/")).assert_json_head(200);
    }
    // It finds the signal and all of these at once.
    server.signal(libc::SIGSTOP);
    let mut clients = server.clients(300);
    clients.append(&mut known);
    for client in &mut clients {
        client.send(&get("/"));
    }
    server.signal(libc::SIGTERM);
    server.signal(libc::SIGCONT);
    for client in &mut clients {
        client.receive().assert_json_head(200);
    }
    assert_ends_well(&server);
}

#[test]
fn pipelined_requests_are_all_answered_as_it_drains() {
    let server = Settings::new().set("server.workers", 1).start();
    let q = Queue::fresh();
    let mut client = server.client();
    client.start_pop(&q);
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": Queue::fresh().id}]});
    for _ in 0..5 {
        client.send(&post("/trans", &push));
    }
    server.client().await_blocked(&q, true);
    crate::support::pause();
    server.signal(libc::SIGTERM);
    client.receive().assert_is(200, EMPTY);
    for place in 1..=5 {
        let response = client.receive();
        response.assert_json_head(200);
        assert_eq!(response.closes(), place == 5, "{response:?}");
    }
    assert_ends_well(&server);
}
