//! `POST /queue/:id/subscribe` and `subscriberel`: a stream that never ends by itself.

use std::time::Duration;

use serde_json::json;

use crate::support::{Broken, Popped, Queue, READ_TIMEOUT, Settings, pause, post, shared};

#[test]
fn the_head_comes_at_once_even_from_an_empty_queue() {
    let shared = shared();
    for route in ["subscribe", "subscriberel"] {
        shared
            .client()
            .subscribe(&Queue::fresh(), route, &json!({}));
    }
}

#[test]
fn a_chunk_is_one_message_and_nothing_else() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscribe", &json!({}));
    let id = client.push(&q, "p");
    let chunk = stream.receive_chunk().unwrap();
    assert_eq!(
        String::from_utf8(chunk).unwrap(),
        format!(r#"{{"ok":true,"data":["p"],"transactions":["{id}"]}}"#)
    );
}

#[test]
fn what_was_there_comes_first_and_never_two_in_a_chunk() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    for (priority, payload) in [("L", "l1"), ("H", "h1"), ("L", "l2"), ("H", "h2")] {
        client.push_with(&q, payload, json!({"priority": priority}));
    }
    stream.subscribe(&q, "subscribe", &json!({}));
    for expected in ["h1", "h2", "l1", "l2"] {
        assert_eq!(stream.next_message().0, expected);
    }
    let payloads: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let ids = client.push_many(&q, &payloads);
    for (payload, id) in payloads.into_iter().zip(ids) {
        assert_eq!(stream.next_message(), (payload, id));
    }
}

#[test]
fn a_streamed_message_is_delivered() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscribe", &json!({}));
    let id = client.push(&q, "p");
    stream.next_message();
    client.await_state(&id, &q, "Delivered");
    assert!(client.peek(&q).is_empty());
}

#[test]
fn a_stream_never_ends_by_itself() {
    let server = Settings::new()
        .set("limits.pop_timeout", "1s")
        .set("limits.max_pop_timeout", "1s")
        .set("limits.keep_alive", "1s")
        .set("limits.head_timeout", "1s")
        .set("limits.body_timeout", "1s")
        .set("limits.write_timeout", "1s")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let mut streams = server.clients(2);
    streams[0].subscribe(&q, "subscribe", &json!({"timeout": 1}));
    let reliable = Queue::fresh();
    streams[1].subscribe(&reliable, "subscriberel", &json!({"timeout": 1}));
    for stream in &mut streams {
        assert!(stream.is_silent_for(Duration::from_millis(1700)));
    }
    // The keep-alive of this connection has passed, too.
    client = if client.is_closed_within(Duration::from_millis(10)) {
        server.client()
    } else {
        client
    };
    client.push(&q, "p");
    client.push(&reliable, "r");
    assert_eq!(streams[0].next_message().0, "p");
    assert_eq!(streams[1].next_message().0, "r");
}

#[test]
fn a_subscriber_counts_as_a_live_waiter() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let mut stream = shared.client();
    stream.subscribe(&q, "subscribe", &json!({}));
    client.await_blocked(&q, true);
    client.push(&q, "p");
    stream.next_message();
    client.await_blocked(&q, true);
    drop(stream);
    client.await_blocked(&q, false);
}

#[test]
fn a_subscriber_that_goes_away_costs_no_message() {
    let shared = shared();
    let mut client = shared.client();
    for reset in [false, true] {
        for route in ["subscribe", "subscriberel"] {
            let q = Queue::fresh();
            let mut stream = shared.client();
            stream.subscribe(&q, route, &json!({"timeoutACK": 1}));
            client.await_blocked(&q, true);
            stream.leave(reset);
            client.push(&q, "a");
            client.push(&q, "b");
            client.await_pending(&q, &["a", "b"]);
        }
    }
}

#[test]
fn two_subscribers_share_the_messages() {
    let shared = shared();
    let q = Queue::fresh();
    let mut streams = shared.clients(2);
    for stream in &mut streams {
        stream.subscribe(&q, "subscribe", &json!({}));
    }
    let mut client = shared.client();
    client.await_blocked(&q, true);
    let payloads: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    let mut seen: Vec<String> = Vec::new();
    for stream in &mut streams {
        let mut last = None;
        // Until a moment passes with nothing: the two share in whatever way.
        while let Ok(Some(chunk)) = stream.try_receive_chunk(Duration::from_millis(500)) {
            let chunk: serde_json::Value = serde_json::from_slice(&chunk).unwrap();
            let payload = chunk["data"][0].as_str().unwrap().to_owned();
            let number: u32 = payload.parse().unwrap();
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
            seen.push(payload);
        }
    }
    seen.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    assert_eq!(seen, payloads);
}

#[test]
fn a_reliable_stream_blocks_each_message_until_it_is_acked() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 100}));
    for payload in ["a", "b"] {
        let id = client.push(&q, payload);
        assert_eq!(stream.next_message(), (payload.to_owned(), id.clone()));
        client.await_state(&id, &q, "Blocked");
        assert_eq!(client.ack(&q, &[&id]), json!([{"err": null, "data": id}]));
        assert_eq!(client.state(&id), json!({&q.id: "Delivered"}));
    }
}

#[test]
fn a_lapse_returns_the_message_and_ends_the_reliable_stream() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 1}));
    let id = client.push(&q, "p");
    assert_eq!(
        String::from_utf8(stream.receive_chunk().unwrap()).unwrap(),
        format!(r#"{{"ok":true,"data":["p"],"transactions":["{id}"],"deliveries":[1]}}"#)
    );
    match stream.try_receive_chunk(READ_TIMEOUT) {
        Ok(None) | Err(Broken::Closed { .. }) => {}
        other => panic!("expected the end of the stream, got {other:?}"),
    }
    client.await_pending(&q, &["p"]);
    assert_eq!(client.poprel(&q, &json!({})).deliveries, [2]);
}

#[test]
fn an_acked_message_does_not_end_the_reliable_stream() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 1}));
    let id = client.push(&q, "a");
    stream.next_message();
    client.ack(&q, &[&id]);
    assert!(stream.is_silent_for(Duration::from_millis(1700)));
    client.push(&q, "b");
    assert_eq!(stream.next_message().0, "b");
}

#[test]
fn a_stream_and_a_pop_get_each_message_once() {
    let shared = shared();
    let (mut stream, mut popping, mut client) = (shared.client(), shared.client(), shared.client());
    let q = Queue::fresh();
    stream.subscribe(&q, "subscribe", &json!({}));
    client.await_blocked(&q, true);
    popping.start_pop(&q);
    pause();
    client.push(&q, "a");
    assert_eq!(stream.next_message().0, "a");
    // The stream waits again, now behind the pop.
    client.push(&q, "b");
    assert_eq!(
        crate::support::Popped::parse(&popping.receive()).data,
        ["b"]
    );
}

#[test]
fn a_head_of_subscribe_has_the_type_of_json() {
    let shared = shared();
    let mut stream = shared.client();
    stream.send(&post(Queue::fresh().route("subscribe"), &json!({})));
    let head = stream.receive_head();
    assert_eq!(head.header("content-length"), None, "{head:?}");
    assert!(
        head.header("content-type")
            .unwrap()
            .starts_with("application/json")
    );
}

#[test]
fn what_was_popped_before_on_the_connection_is_no_business_of_the_stream() {
    let shared = shared();
    let (mut stream, mut client) = (shared.client(), shared.client());
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let pop = post(q.route("poprel"), &json!({"timeoutACK": 60}));
    let subscription = post(q.route("subscriberel"), &json!({"timeoutACK": 1}));
    let both = [pop.bytes("h"), subscription.bytes("h")].concat();
    stream.send_raw(&both);
    assert_eq!(Popped::parse(&stream.receive()).transactions, [id.as_str()]);
    assert_eq!(stream.receive_head().status, 200);
    assert!(stream.is_silent_for(Duration::from_secs(2)));
    client.await_state(&id, &q, "Blocked");
}

#[test]
fn a_subscriber_that_goes_away_is_noticed_with_no_pipelining_at_all() {
    let server = Settings::new().set("limits.max_pipelined", 1).start();
    let mut client = server.client();
    for route in ["subscribe", "pop"] {
        let q = Queue::fresh();
        let mut stream = server.client();
        stream.send(&post(q.route(route), &json!({"timeout": 60})));
        client.await_blocked(&q, true);
        drop(stream);
        client.await_blocked(&q, false);
    }
}

#[test]
fn requests_behind_a_stream_are_not_listened_to_for_ever() {
    let shared = shared();
    let mut stream = shared.client();
    let q = Queue::fresh();
    stream.subscribe(&q, "subscribe", &json!({}));
    let request = crate::support::get("/").bytes("h");
    let started = std::time::Instant::now();
    while stream.try_send_raw(&request.repeat(20)).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
        crate::support::soon(started);
    }
    shared.client().await_blocked(&q, false);
}
