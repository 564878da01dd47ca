//! Answers that nobody takes: they have a limit together, and cost no message.

use serde_json::json;

use crate::support::{Client, Queue, Settings, get, post};

/// More than the buffers on the way of a narrow connection hold.
const PAYLOADS: usize = 12;

fn payloads() -> Vec<String> {
    (0..PAYLOADS)
        .map(|number| format!("{number:02}{}", "x".repeat(1_000_000)))
        .collect()
}

#[test]
fn answers_that_find_no_room_are_refused_and_their_messages_stay() {
    let server = Settings::new()
        .set("limits.max_answer", "16MiB")
        .set("limits.max_answer_memory", "16MiB")
        .start();
    let mut client = server.client();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    for queue in [&q, &other] {
        for payload in payloads() {
            client.push(queue, &payload);
        }
    }
    let mut deaf = Client::connect_narrow(server.addr);
    deaf.send(&get(q.route("peek")));
    // Its answer has begun, and more of it than the buffers on the way hold is still to be written.
    assert_eq!(deaf.receive_head().status, 200);
    let refused = client.call(&get(other.route("peek")));
    refused.assert_errors(503, &["no room: limits.max_answer_memory is reached"]);
    assert!(refused.header("Retry-After").is_some());
    let refused = client.call(&post(other.route("pop"), &json!({})));
    refused.assert_errors(503, &["no room: limits.max_answer_memory is reached"]);
    client.await_size(&other, PAYLOADS);
    // What is small enough, and what has no contents, goes on.
    client.assert_alive();
    // The room comes back with the client that took it.
    drop(deaf);
    let popped = loop {
        let response = client.call(&post(other.route("pop"), &json!({})));
        if response.status == 200 {
            break response;
        }
    };
    let data = popped.json()["data"].clone();
    assert!(data == json!(payloads()), "all of them, in their order");
}

#[test]
fn one_connection_has_one_large_answer_at_a_time() {
    let server = Settings::new().start();
    let mut client = server.client();
    let q = Queue::fresh();
    for payload in payloads() {
        client.push(&q, &payload);
    }
    let before = server.memory();
    let mut deaf: Vec<Client> = (0..4)
        .map(|_| Client::connect_narrow(server.addr))
        .collect();
    for deaf in &mut deaf {
        let request = get(q.route("peek")).bytes("h");
        deaf.send_raw(&request.repeat(30));
    }
    // Each of them is answered before the one that comes last.
    for _ in 0..20 {
        client.peek(&q);
    }
    let grown = server.memory().saturating_sub(before);
    let each = PAYLOADS as u64 * 1_000_000;
    assert!(
        grown < 4 * 6 * each,
        "{grown} bytes for 4 answers of {each}"
    );
    // And the answers are all there for one that reads.
    if let Some(patient) = deaf.first_mut() {
        for _ in 0..30 {
            let response = patient.receive();
            assert_eq!(response.status, 200);
            assert!(response.json()["data"] == json!(payloads()));
        }
    }
}
