//! Clients that send slowly, never finish, or do not read: each has its time, and costs no message.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Broken, Client, Queue, Settings, post, shared, soon};

/// Sends one byte of `bytes` at a time until the server has had enough; `None` if it never has.
fn dribble(client: &mut Client, bytes: &[u8]) -> Option<Duration> {
    let started = Instant::now();
    for byte in bytes {
        if client.try_send_raw(&[*byte]).is_err()
            || !client.is_silent_for(Duration::from_millis(50))
        {
            return Some(started.elapsed());
        }
    }
    None
}

#[track_caller]
fn assert_told_408_and_closed(client: &mut Client) {
    let response = client.receive();
    assert_eq!(response.status, 408, "{response:?}");
    client.assert_closed();
}

#[test]
fn a_head_that_never_ends_is_given_up() {
    let server = Settings::new().set("limits.head_timeout", "500ms").start();
    let mut client = server.client();
    let started = Instant::now();
    client.send_raw(b"GET / HTTP/1.1\r\nHost:");
    assert_told_408_and_closed(&mut client);
    soon(started);
    server.client().assert_alive();
}

#[test]
fn a_head_that_comes_byte_by_byte_has_its_time_all_the_same() {
    let server = Settings::new().set("limits.head_timeout", "500ms").start();
    let mut client = server.client();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX-Filler: {}",
        "x".repeat(1000)
    );
    assert!(
        dribble(&mut client, head.as_bytes()).is_some(),
        "every byte was waited for"
    );
    server.client().assert_alive();
}

#[test]
fn a_second_request_has_the_same_time_for_its_head() {
    let server = Settings::new().set("limits.head_timeout", "500ms").start();
    let mut client = server.client();
    client.assert_alive();
    client.send_raw(b"POST /tra");
    assert_told_408_and_closed(&mut client);
}

#[test]
fn a_body_that_never_comes_is_given_up() {
    let server = Settings::new().set("limits.body_timeout", "500ms").start();
    for body in [
        "Content-Length: 100\r\n\r\n",
        "Content-Length: 100\r\n\r\n{\"payload\":",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let mut client = server.client();
        let started = Instant::now();
        client.send_raw(
            format!("POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{body}")
                .as_bytes(),
        );
        if body.contains("Expect") {
            assert_eq!(client.receive_head().status, 100);
        }
        assert_told_408_and_closed(&mut client);
        soon(started);
    }
    server.client().assert_alive();
}

#[test]
fn a_body_that_comes_byte_by_byte_has_its_time_all_the_same() {
    let server = Settings::new().set("limits.body_timeout", "500ms").start();
    let mut client = server.client();
    client.send_raw(
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
    );
    assert!(
        dribble(&mut client, &[b' '; 999]).is_some(),
        "every byte was waited for"
    );
    server.client().assert_alive();
}

#[test]
fn slow_clients_do_not_hold_up_the_others() {
    let server = Settings::new().set("server.workers", 1).start();
    let mut slow = server.clients(200);
    for client in &mut slow {
        client.send_raw(b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Le");
    }
    let started = Instant::now();
    for _ in 0..20 {
        server.client().assert_alive();
    }
    soon(started);
}

/// Fifteen messages of a megabyte: more than the buffers between server and client hold.
fn push_much(client: &mut Client, queue: &Queue) -> Vec<String> {
    let payloads: Vec<String> = ('a'..='o')
        .map(|letter| letter.to_string().repeat(1_000_000))
        .collect();
    for payload in &payloads {
        client.push(queue, payload);
    }
    payloads
}

#[test]
fn a_client_that_does_not_read_its_answer_costs_no_message() {
    let server = Settings::new().set("limits.write_timeout", "500ms").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads = push_much(&mut client, &q);
    let mut deaf = Client::connect_narrow(server.addr);
    deaf.send(&post(q.route("pop"), &json!({})));
    client.await_size(&q, 0);
    // It gives up writing, and all are back in their order, while the client is still there.
    let again = client.pop(&q, &json!({"timeout": 60}));
    assert!(again.data == payloads, "{:?}", again.transactions);
    drop(deaf);
}

#[test]
fn a_client_that_goes_away_while_its_answer_is_written_costs_no_message() {
    let shared = shared();
    let mut client = shared.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let payloads = push_much(&mut client, &q);
        let mut going = Client::connect_narrow(shared.addr);
        going.send(&post(q.route("pop"), &json!({})));
        client.await_size(&q, 0);
        going.leave(reset);
        let again = client.pop(&q, &json!({"timeout": 60}));
        assert!(again.data == payloads, "{:?}", again.transactions);
    }
}

#[test]
fn a_reader_that_is_slow_but_reads_gets_everything() {
    let server = Settings::new().set("limits.write_timeout", "2s").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads = push_much(&mut client, &q);
    let mut slow = Client::connect_narrow(server.addr);
    slow.send(&post(q.route("pop"), &json!({})));
    // Shorter than the server's patience: this is the slowness, not a wait for something.
    thread::sleep(Duration::from_millis(500));
    let response = slow
        .try_receive(Duration::from_mins(1))
        .expect("the whole answer");
    assert!(crate::support::Popped::parse(&response).data == payloads);
    client.await_blocked(&q, false);
    assert!(client.peek(&q).is_empty());
}

/// The answer fills what it may, and its reader takes a little at a time.
#[test]
fn an_answer_as_large_as_may_be_arrives_whole_at_a_slow_reader() {
    const MAX_ANSWER: usize = 16 << 20;
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    // As many as fit, with characters that take more room in JSON than in the account, and one more.
    let payload = |number: usize| format!("{number:02}{}", "\"\n\u{1}\u{e9}".repeat(200_000));
    let fitting = MAX_ANSWER / payload(0).len();
    let payloads: Vec<String> = (0..=fitting).map(payload).collect();
    for payload in &payloads {
        client.push(&q, payload);
    }
    let mut slow = Client::connect_narrow(shared.addr);
    slow.send(&post(q.route("pop"), &json!({})));
    let response = slow
        .receive_slowly(64 << 10, Duration::from_millis(3))
        .expect("the whole answer");
    assert!(response.body.len() > MAX_ANSWER);
    assert!(crate::support::Popped::parse(&response).data == payloads[..fitting]);
    // It was delivered once, and is settled.
    assert!(client.pop(&q, &json!({})).data == payloads[fitting..]);
    assert!(client.pop(&q, &json!({"timeout": 1})).is_empty());
    slow.assert_alive();
}

#[test]
fn a_subscriber_that_does_not_read_costs_no_message() {
    let server = Settings::new().set("limits.write_timeout", "500ms").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let mut deaf = Client::connect_narrow(server.addr);
    deaf.send(&post(q.route("subscriberel"), &json!({"timeoutACK": 1})));
    client.await_blocked(&q, true);
    let payloads = push_much(&mut client, &q);
    // Some were written into the buffers on the way and lapse; the others were never taken.
    let mut seen = Vec::new();
    let started = Instant::now();
    while seen.len() < payloads.len() {
        seen.extend(client.pop(&q, &json!({"timeout": 5})).data);
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{} came back",
            seen.len()
        );
    }
    seen.sort();
    assert!(seen == payloads);
    drop(deaf);
}

#[test]
fn a_client_that_sends_but_never_reads_is_held_to_its_limits() {
    let server = Settings::new().set("limits.write_timeout", "500ms").start();
    let before = server.memory();
    let mut deaf = Client::connect_narrow(server.addr);
    let q = Queue::fresh();
    server.client().push(&q, &"x".repeat(1_000_000));
    let request = crate::support::get(q.route("peek")).bytes("h");
    let started = Instant::now();
    // A hundred megabytes of answers, if it took them all.
    let burst: Vec<u8> = request.repeat(100);
    let _ = deaf.try_send_raw(&burst);
    server.client().assert_alive();
    loop {
        match deaf.try_send_raw(&request) {
            Err(_) => break,
            Ok(()) if started.elapsed() > Duration::from_secs(10) => panic!("still listened to"),
            Ok(()) => thread::sleep(Duration::from_millis(20)),
        }
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 150 * 1024 * 1024, "{grown} bytes more");
    match deaf.try_receive(Duration::from_secs(5)) {
        Ok(_) | Err(Broken::Closed { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}
