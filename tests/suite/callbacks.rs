//! Callbacks: who delivers what, and what the producer is told of it.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    Call, Client, Queue, Receiver, Reply, Server, Settings, delete, eventually, post, put, unique,
};

/// Callbacks to this machine, tried again at once.
fn calling() -> Settings {
    Settings::new()
        .set("callbacks.allow_private", true)
        .set("callbacks.backoff", "10ms")
}

/// The same, in the order of the deliveries: who is called last knows that there is nothing more to come.
fn calling_in_order() -> Settings {
    calling()
        .set("server.workers", 1)
        .set("callbacks.per_host", 1)
}

fn with_callback(url: &str) -> Value {
    json!({"callback": url})
}

/// Pushes a message and takes it; the transaction's id.
#[track_caller]
fn deliver(client: &mut Client, queue: &Queue, url: &str) -> String {
    let id = client.push_with(queue, "p", with_callback(url));
    assert_eq!(client.pop(queue, &json!({})).transactions, [id.as_str()]);
    id
}

/// All calls, once one is among them for a delivery that is made now.
#[track_caller]
fn calls_by_now(client: &mut Client, receiver: &Receiver) -> Vec<Call> {
    let last = deliver(client, &Queue::fresh(), &receiver.url("/last"));
    let is_last = |call: &Call| call.transaction() == last;
    let mut calls = receiver.await_until("the last call", |calls| calls.iter().any(is_last));
    assert!(calls.pop().is_some_and(|call| is_last(&call)), "{calls:?}");
    calls
}

#[track_caller]
fn await_counts(client: &mut Client, counts: &[(&str, u64)]) {
    eventually(&format!("{counts:?}"), || {
        let callbacks = &client.offload()["callbacks"];
        counts
            .iter()
            .all(|(name, count)| callbacks[name] == json!(count))
    });
}

/// A call is all that is documented of it, and nothing else.
#[track_caller]
fn assert_tells(call: &Call, (transaction, queue): (&str, &Queue), url: &str) {
    let timestamp = call.text("timestamp");
    assert_eq!(
        call.body,
        format!(
            "{{\"transaction\":\"{transaction}\",\"queue\":\"{}\",\"state\":\"Delivered\",\
             \"callback\":\"{url}\",\"timestamp\":\"{timestamp}\"}}",
            queue.id
        )
    );
    let form: String = timestamp
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z");
}

#[test]
fn each_kind_of_delivery_is_told_once() {
    let server = calling_in_order().start();
    let receiver = Receiver::start();
    let (mut client, mut stream) = (server.client(), server.client());
    let url = receiver.url("/told?by=popbox");
    let (popped, lent) = (Queue::fresh(), Queue::fresh());
    let mut told = vec![(deliver(&mut client, &popped, &url), popped)];

    let id = client.push_with(&lent, "lent", with_callback(&url));
    client.poprel(&lent, &json!({"timeoutACK": 100}));
    assert_eq!(calls_by_now(&mut client, &receiver).len(), 1, "not yet");
    for _ in 0..2 {
        client.ack(&lent, &[&id, "unknown", &id]);
    }
    told.push((id, lent));

    for route in ["subscribe", "subscriberel"] {
        let q = Queue::fresh();
        stream.subscribe(&q, route, &json!({"timeoutACK": 100}));
        let id = client.push_with(&q, "streamed", with_callback(&url));
        assert_eq!(stream.next_message().1, id);
        if route == "subscriberel" {
            client.ack(&q, &[&id]);
        }
        // It is told once it is written, of which this connection knows nothing.
        client.await_state(&id, &q, "Delivered");
        receiver.await_until("it is told", |calls| {
            calls.iter().any(|call| call.transaction() == id)
        });
        told.push((id, q));
        stream = server.client();
    }

    let q = Queue::fresh();
    let ids = [(); 3].map(|()| client.push_with(&q, "one of three", with_callback(&url)));
    client.pop(&q, &json!({}));
    told.extend(ids.map(|id| (id, q.clone())));

    let mut calls = calls_by_now(&mut client, &receiver);
    calls.retain(|call| call.target() != "/last");
    assert_eq!(calls.len(), told.len(), "{calls:?}");
    let mut time = String::new();
    for (call, (id, queue)) in calls.iter().zip(&told) {
        assert_tells(call, (id, queue), &url);
        assert!(call.text("timestamp") >= time, "{calls:?}");
        time = call.text("timestamp");
        assert!(
            call.head.starts_with("POST /told?by=popbox HTTP/1.1\r\n"),
            "{call:?}"
        );
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.header("user-agent"), Some("popbox"));
        let host = receiver.address().to_string();
        assert_eq!(call.header("host"), Some(host.as_str()));
        assert_eq!(call.header("x-popbox-signature"), None);
    }
    assert_eq!(client.offload()["dropped"], json!(0));
}

#[test]
fn each_queue_of_a_transaction_is_told_in_the_order_of_deliveries() {
    let server = calling().set("server.workers", 1).start();
    let receiver = Receiver::start();
    let mut client = server.client();
    let queues: Vec<Queue> = (0..5).map(|_| Queue::fresh()).collect();
    let group = json!({"name": unique("g"), "queues": [queues[3].id, queues[4].id]});
    client.call(&post("/group", &group)).assert_json_head(200);
    let ids: Vec<Value> = queues[..4].iter().map(|q| json!({"id": q.id})).collect();
    let url = receiver.url("/");
    let id = client.push_body(&json!({
        "payload": "p", "priority": "L", "queue": ids, "groups": [group["name"]], "callback": url,
    }));
    // Those behind the first wait until it is taken.
    receiver.answer([500, 503].map(Reply::Status), Reply::Status(200));
    let order = [2, 0, 4, 1, 3];
    for place in order {
        assert_eq!(
            client.pop(&queues[place], &json!({})).transactions,
            [id.as_str()]
        );
    }
    let calls = receiver.await_calls(7);
    let expected = [2, 2].iter().chain(&order);
    for (call, place) in calls.iter().zip(expected) {
        assert_tells(call, (&id, &queues[*place]), &url);
    }
    await_counts(
        &mut client,
        &[("sent", 5), ("retried", 2), ("failed", 0), ("waiting", 0)],
    );
}

#[test]
fn what_is_no_delivery_is_not_told() {
    let server = calling_in_order().set("limits.max_deliveries", 2).start();
    let receiver = Receiver::start();
    let mut client = server.client();
    let url = receiver.url("/");
    let short = json!({"timeoutACK": 0.05});

    let silent = Queue::fresh();
    client.push(&silent, "without a callback");
    client.push_with(&silent, "with something else", json!({"callback": [url]}));
    assert_eq!(client.pop(&silent, &json!({})).data.len(), 2);

    let (lapsed, dead, removed) = (Queue::fresh(), Queue::fresh(), Queue::fresh());
    client.push_with(&lapsed, "lapsed", with_callback(&url));
    client.poprel(&lapsed, &short);
    client.await_pending(&lapsed, &["lapsed"]);
    let id = client.push_with(&dead, "dead", with_callback(&url));
    client.poprel(&dead, &short);
    client.await_pending(&dead, &["dead"]);
    client.poprel(&dead, &short);
    client.await_state(&id, &dead, "Dead");
    let expiring = json!({"callback": url, "expirationDelay": 1});
    let expired = client.push_with(&Queue::fresh(), "expired", expiring);
    eventually("it expires", || client.transaction(&expired) == json!({}));
    let id = client.push_with(&removed, "deleted", with_callback(&url));
    client.poprel(&removed, &json!({"timeoutACK": 100}));
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    client.ack(&removed, &[&id]);

    assert!(calls_by_now(&mut client, &receiver).is_empty());
    assert_eq!(client.offload()["spooled"], json!(1), "the last one alone");
}

#[test]
fn the_callback_at_the_time_of_the_delivery_counts() {
    let server = calling_in_order().start();
    let receiver = Receiver::start();
    let mut client = server.client();
    let (old, new) = (receiver.url("/old"), receiver.url("/new"));
    let change = |client: &mut Client, id: &str, callback: &Value| {
        let change = put(format!("/trans/{id}"), &json!({"callback": callback}));
        client.call(&change).assert_says(200, &json!({"ok": true}));
    };
    let mut expected = Vec::new();
    for (before, after) in [
        (json!({}), json!(new)),
        (with_callback(&old), json!(new)),
        (with_callback(&old), json!("")),
        (with_callback(&old), json!(null)),
    ] {
        let q = Queue::fresh();
        let id = client.push_with(&q, "p", before);
        change(&mut client, &id, &after);
        client.pop(&q, &json!({}));
        if after == json!(new) {
            expected.push((id, "/new"));
        }
    }
    let (first, second) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&first, &second], "p");
    for (q, url, target) in [(first, old, "/old"), (second, new, "/new")] {
        change(&mut client, &id, &json!(url));
        client.pop(&q, &json!({}));
        expected.push((id.clone(), target));
        receiver.await_calls(expected.len());
    }
    let calls = calls_by_now(&mut client, &receiver);
    let calls: Vec<_> = calls
        .iter()
        .map(|call| (call.transaction(), call.target()))
        .collect();
    assert_eq!(calls, expected);
}

#[test]
fn queues_of_tenants_and_secured_ones_are_told_by_their_ids() {
    let server = calling().with_tls().start();
    let receiver = Receiver::start();
    let (mut client, mut secured) = (server.client(), server.secured_client());
    let name = unique("q");
    let (plain, of_tenant) = (Queue::named(&name), Queue::of("tenant", &name));
    secured.secure(&plain, "alice", "open-sesame");
    let mut secured = secured.login("alice", "open-sesame");
    let url = receiver.url("/");
    let ids = [
        deliver(&mut client, &plain, &url),
        deliver(&mut client, &of_tenant, &url),
        deliver(&mut secured, &plain, &url),
    ];
    let calls = receiver.await_calls(ids.len());
    for id in &ids {
        let call = calls.iter().find(|call| call.transaction() == *id);
        assert_tells(call.unwrap(), (id, &plain), &url);
    }
}

#[test]
fn a_receiver_is_called_over_tls_if_its_certificate_is_trusted() {
    // What it does when it is called is seen: it pops.
    let called = Settings::new().with_tls().start();
    let mut seen = called.secured_client();
    let q = Queue::fresh();
    seen.secure(&q, "alice", "open-sesame");
    let mut seen = seen.login("alice", "open-sesame");
    let message = seen.push(&q, "untouched");
    let address = called.secured_addr.unwrap();
    let url = format!("https://alice:open-sesame@{address}{}", q.route("pop"));

    let wary = calling().set("callbacks.attempts", 2).start();
    let mut client = wary.client();
    deliver(&mut client, &Queue::fresh(), &url);
    await_counts(&mut client, &[("sent", 0), ("retried", 1), ("failed", 1)]);
    let log = wary.stderr();
    assert!(log.contains("certificate"), "{log}");
    assert!(!log.contains("sesame"), "{log}");
    assert_eq!(seen.state(&message)[&q.id], json!("Pending"));

    let certificate = called.layout.scratch().join("server.crt");
    let trusting = calling().env("SSL_CERT_FILE", certificate.to_str().unwrap());
    let trusting = trusting.start();
    let mut client = trusting.client();
    deliver(&mut client, &Queue::fresh(), &url);
    await_counts(&mut client, &[("sent", 1), ("retried", 0), ("failed", 0)]);
    assert_eq!(seen.state(&message)[&q.id], json!("Delivered"));
}

#[test]
fn a_secret_signs_every_call() {
    let secret = "a secret of 23 bytes 🔑";
    let server = calling().set("callbacks.secret", secret).start();
    let receiver = Receiver::start();
    receiver.answer([Reply::Status(500)], Reply::Status(200));
    deliver(
        &mut server.client(),
        &Queue::named(unique("schlüssel")),
        &receiver.url("/"),
    );
    for call in receiver.await_calls(2) {
        let mut digest = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        digest.update(call.body.as_bytes());
        let expected = format!("sha256={:x}", digest.finalize().into_bytes());
        assert_eq!(call.header("x-popbox-signature"), Some(expected.as_str()));
        assert!(!call.head.contains(secret) && !call.body.contains(secret));
    }
}

#[test]
fn a_callback_that_is_no_url_is_refused_with_all_other_errors() {
    let server = crate::support::shared();
    let mut client = server.client();
    let id = client.push(&Queue::fresh(), "p");
    for callback in [
        "c",
        "/path",
        "example.com/path",
        "http://",
        "http://[::1",
        " ",
    ] {
        let push = json!({"payload": "p", "priority": "H", "queue": [], "callback": callback});
        let response = client.call(&post("/trans", &push));
        response.assert_errors(400, &["invalid callback"]);
        for id in [id.as_str(), "unknown"] {
            let update = put(format!("/trans/{id}"), &json!({"callback": callback}));
            client
                .call(&update)
                .assert_errors(400, &["invalid callback"]);
        }
    }
    let wrong = json!({
        "callback": "c", "expirationDate": -1, "payload": "", "queue": 5, "priority": "X",
    });
    let push = post("/trans?delay=x", &wrong).header("Idempotency-Key", "");
    client.call(&push).assert_errors(
        400,
        &[
            "invalid priority",
            "invalid queue type",
            "undefined payload",
            "expirationDate out of range",
            "invalid delay",
            "invalid callback",
            "invalid idempotency-key",
        ],
    );
    client
        .call(&put(format!("/trans/{id}"), &wrong))
        .assert_errors(
            400,
            &[
                "undefined payload",
                "expirationDate out of range",
                "invalid callback",
            ],
        );
    assert_eq!(client.transaction(&id).get("callback"), None);
}

/// Whose log is not to name more of a URL than its host.
#[track_caller]
fn assert_given_up(server: &Server, ids: &[String]) {
    let log = server.stderr();
    for id in ids {
        let mut lines = log.lines().filter(|line| line.contains("given up"));
        assert!(lines.any(|line| line.contains(id)), "{id} in {log}");
    }
    assert!(!log.contains("path") && !log.contains("pass"), "{log}");
}

#[test]
fn a_url_that_may_not_be_called_is_taken_and_given_up_at_the_delivery() {
    let server = Settings::new().set("log.level", "debug").start();
    let receiver = Receiver::start();
    let mut client = server.client();
    let port = receiver.address().port();
    let ids = [
        format!("http://user:pass@127.0.0.1:{port}/path"),
        format!("https://localhost:{port}/path"),
        format!("ftp://127.0.0.1:{port}/path"),
        "mailto:pass@path".to_owned(),
        format!("http://127.0.0.1:{port}/path{}", "x".repeat(100_000)),
    ]
    .map(|url| deliver(&mut client, &Queue::fresh(), &url));
    await_counts(
        &mut client,
        &[("sent", 0), ("retried", 0), ("failed", 5), ("waiting", 0)],
    );
    assert_given_up(&server, &ids);
    assert!(receiver.calls().is_empty());
}

#[test]
fn a_receiver_that_will_not_take_it_is_given_up() {
    let server = calling()
        .set("callbacks.attempts", 3)
        .set("log.level", "debug")
        .start();
    let receiver = Receiver::start();
    receiver.answer([], Reply::Status(404));
    let mut client = server.client();
    let url = receiver.url("/path").replace("//", "//user:pass@");
    let id = deliver(&mut client, &Queue::fresh(), &url);
    await_counts(
        &mut client,
        &[("sent", 0), ("retried", 2), ("failed", 1), ("waiting", 0)],
    );
    assert_given_up(&server, &[id]);
    assert_eq!(receiver.calls().len(), 3);
}

#[test]
fn however_many_are_given_up_the_log_has_few_lines_that_tell_of_all_of_them() {
    const COUNT: u64 = 50;
    let server = Settings::new().start();
    let mut client = server.client();
    let queue = Queue::fresh();
    for _ in 0..COUNT {
        deliver(&mut client, &queue, "http://user:pass@127.0.0.1/path");
    }
    await_counts(&mut client, &[("failed", COUNT), ("waiting", 0)]);
    drop(client);
    server.signal(libc::SIGTERM);
    assert!(server.exit_within(Duration::from_secs(20)).success());
    let log = server.stderr();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("given up"))
        .collect();
    let counts = lines.iter().map(|line| {
        let (_, rest) = line.split_once("count=").expect(line);
        let (count, _) = rest.split_once(' ').expect(line);
        count.parse::<u64>().expect(line)
    });
    assert_eq!(counts.sum::<u64>(), COUNT, "{log}");
    assert!(lines.len() < 10, "{log}");
    assert!(lines.iter().all(|line| line.contains("127.0.0.1:80")));
    assert!(!log.contains("path") && !log.contains("pass"), "{log}");
}

#[test]
fn a_callback_is_tried_again_until_it_is_taken() {
    let server = calling().set("callbacks.timeout", "500ms").start();
    let (receiver, elsewhere) = (Receiver::start(), Receiver::start());
    let failures = [
        Reply::Status(500),
        Reply::Reset,
        Reply::Silence,
        Reply::Redirect(elsewhere.url("/")),
    ];
    let count = failures.len();
    receiver.answer(failures, Reply::Endless);
    let mut client = server.client();
    deliver(&mut client, &Queue::fresh(), &receiver.url("/"));
    let calls = receiver.await_calls(count + 1);
    assert!(
        calls.iter().all(|call| call.body == calls[0].body),
        "{calls:?}"
    );
    await_counts(
        &mut client,
        &[("sent", 1), ("retried", 4), ("failed", 0), ("waiting", 0)],
    );
    assert!(elsewhere.calls().is_empty());
}

#[test]
fn nobody_is_called_where_callbacks_are_off() {
    let settings = calling().set("callbacks.enabled", false);
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let server = settings.set("offload.spool", spool.display()).start();
    let receiver = Receiver::start();
    let mut client = server.client();
    deliver(&mut client, &Queue::fresh(), &receiver.url("/"));
    assert_eq!(client.offload(), Value::Null);
    server.stop();
    assert!(receiver.calls().is_empty());
    assert!(!spool.exists(), "there is nothing to keep");
}

/// A callback may be as long as a body, and a pop takes up to ten thousand messages.
#[test]
fn many_long_callbacks_of_one_delivery_are_all_dealt_with() {
    const COUNT: usize = 200;
    let server = calling().start();
    let mut client = server.client();
    let q = Queue::fresh();
    let url = format!("http://127.0.0.1:1/{}", "x".repeat(100_000));
    for _ in 0..COUNT {
        client.push_with(&q, "p", with_callback(&url));
    }
    assert_eq!(client.pop(&q, &json!({})).data.len(), COUNT);
    await_counts(&mut client, &[("failed", COUNT as u64)]);
    assert_eq!(client.offload()["dropped"], json!(0));
}
