//! Bytes that two readers would read differently: no request, command or header is hidden in another.

use serde_json::json;

use crate::support::{
    Broken, Client, Popped, Queue, READ_TIMEOUT, Response, delete, escaped, get, post, put, shared,
    unique,
};

/// A queue with a message in it, which the request that is hidden would take.
struct Victim {
    queue: Queue,
    hidden: String,
}

impl Victim {
    fn new(client: &mut Client) -> Self {
        let queue = Queue::fresh();
        client.push(&queue, "guard");
        let hidden = format!(
            "POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
            queue.route("pop")
        );
        Self { queue, hidden }
    }

    #[track_caller]
    fn assert_untouched(&self, client: &mut Client, by: &str) {
        assert_eq!(client.peek(&self.queue).data, ["guard"], "{by:?}");
        let info = client.queue_info(&self.queue);
        assert!(info.get("lastPop").is_none(), "{by:?}: {info}");
    }
}

/// All answers to these bytes, to the end of the connection or until nothing is left to wait for.
#[track_caller]
fn answers(client: &mut Client, bytes: &[u8]) -> Vec<Response> {
    // It may have heard enough before the end.
    let _ = client.try_send_raw(bytes);
    client.finish_sending();
    let mut answers = Vec::new();
    loop {
        match client.try_receive(READ_TIMEOUT) {
            Ok(response) => answers.push(response),
            Err(Broken::Closed { midway: false }) => return answers,
            Err(other) => panic!("{other:?} after {answers:?}"),
        }
    }
}

/// Sends a push with these headers and what comes behind them; it must be refused, and all behind it thrown away.
#[track_caller]
fn assert_ends_connection(
    client: &mut Client,
    victim: &Victim,
    headers: &str,
    rest: &str,
    status: u16,
) {
    let request = format!(
        "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{headers}\r\n{rest}"
    );
    let answers = answers(&mut shared().client(), request.as_bytes());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [status], "{request:?}: {answers:?}");
    assert!(answers[0].closes(), "{request:?}: {answers:?}");
    victim.assert_untouched(client, &request);
}

/// In the hope that only one of two readers sees it.
#[test]
fn an_encoding_that_is_obfuscated_ends_the_connection() {
    let mut client = shared().client();
    let victim = Victim::new(&mut client);
    let rest = format!("0\r\n\r\n{}", victim.hidden);
    let length = victim.hidden.len();
    for header in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "transfer-encoding:chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: ",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding\0: chunked",
    ] {
        let headers = format!("Content-Length: {length}\r\n{header}\r\n");
        assert_ends_connection(&mut client, &victim, &headers, &rest, 400);
    }
    for (encodings, status) in [
        ("identity", 400),
        ("chunked, identity", 400),
        ("chunked, chunked", 400),
        ("\"chunked\"", 400),
        ("chunked\r\nTransfer-Encoding: identity", 400),
        ("gzip\r\nTransfer-Encoding: chunked", 400),
        ("gzip, chunked", 501),
    ] {
        let headers = format!("Transfer-Encoding: {encodings}\r\n");
        assert_ends_connection(&mut client, &victim, &headers, &rest, status);
    }
    // HTTP/1.0 knows no chunks.
    let request = format!("POST /trans HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let answers = answers(&mut shared().client(), request.as_bytes());
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].status, 400, "{answers:?}");
    victim.assert_untouched(&mut client, &request);
}

#[test]
fn a_length_that_leaves_a_choice_ends_the_connection() {
    let mut client = shared().client();
    let victim = Victim::new(&mut client);
    let length = victim.hidden.len();
    for headers in [
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        &format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        "Content-Length: 0, 0\r\n",
        "Content-Length: 00x\r\n",
        "Content-Length: 0;\r\n",
        "Content-Length: \"0\"\r\n",
        "Content-Length: ٠\r\n",
        "Content-Length : 0\r\n",
        &format!("Content-Length:\r\n {length}\r\n"),
        // A line that only some hold for ended.
        "Content-Length: 0\n",
        "Content-Length: 0\r",
        "Host: other\r\nContent-Length: 0\r\n",
    ] {
        assert_ends_connection(&mut client, &victim, headers, &victim.hidden, 400);
    }
    // That it would have been taken is no idle fear.
    client.send_raw(victim.hidden.as_bytes());
    assert_eq!(Popped::parse(&client.receive()).data, ["guard"]);
}

#[test]
fn a_chunk_that_leaves_a_choice_ends_the_connection() {
    let shared = shared();
    let mut client = shared.client();
    let victim = Victim::new(&mut client);
    let hidden = &victim.hidden;
    for chunks in [
        format!("0\n\r\n{hidden}"),
        format!("0\r\n\n{hidden}"),
        format!("0\r{hidden}"),
        format!("0;a\n\r\n{hidden}"),
        format!("0;a\r\r\n\r\n{hidden}"),
        // A quoted extension does not hold the end of its line.
        format!("2;a=\"\r\n\"\r\n{{}}\r\n0\r\n\r\n{hidden}"),
        format!("0x0\r\n\r\n{hidden}"),
        format!("+0\r\n\r\n{hidden}"),
        format!(" 0\r\n\r\n{hidden}"),
        format!("0_\r\n\r\n{hidden}"),
        format!("\r\n\r\n{hidden}"),
        format!(";\r\n\r\n{hidden}"),
        format!("10000000000000000\r\n\r\n{hidden}"),
        format!("２\r\n{{}}\r\n0\r\n\r\n{hidden}"),
        // More, and less, than was said.
        format!("2\r\n{{}}0\r\n\r\n{hidden}"),
        format!("2\r\n{{}}\n0\r\n\r\n{hidden}"),
        format!("1\r\n{{}}\r\n0\r\n\r\n{hidden}"),
        // Trailers are lines, too.
        format!("0\r\nX: y\n\r\n{hidden}"),
        format!("0\r\nX : y\r\n\r\n{hidden}"),
        format!("0\r\n X: y\r\n\r\n{hidden}"),
        format!("0\r\nno colon\r\n\r\n{hidden}"),
    ] {
        let headers = "Transfer-Encoding: chunked\r\n";
        assert_ends_connection(&mut client, &victim, headers, &chunks, 400);
    }
}

/// What is allowed has one meaning: the hidden request is a piece of a body, an extension or a trailer.
#[test]
fn what_looks_like_a_request_within_another_is_not_read_as_one() {
    let shared = shared();
    let mut client = shared.client();
    let victim = Victim::new(&mut client);
    let hidden = &victim.hidden;
    let length = hidden.len();
    let line = hidden.split("\r\n").next().unwrap();
    let q = Queue::fresh();
    let push = json!({"payload": hidden, "priority": "H", "queue": [{"id": q.id}]}).to_string();
    let pushed = push.len();
    for (request, status) in [
        (
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
            400,
        ),
        (
            format!("Transfer-Encoding:\t CHUNKED \r\n\r\n{length:X}\r\n{hidden}\r\n0\r\n\r\n"),
            400,
        ),
        (
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{pushed:x};{line}\r\n{push}\r\n0;{line}\r\n\r\n"
            ),
            200,
        ),
        (
            format!(
                "Transfer-Encoding: chunked\r\n\r\n00{pushed:x}\r\n{push}\r\n000\r\nContent-Length: {length}\r\n\
                 Transfer-Encoding: identity\r\n\r\n"
            ),
            200,
        ),
        (format!("Content-Length: {length}\r\n\r\n{hidden}"), 400),
        (
            format!("Content-Length:   00{pushed}\t \r\n\r\n{push}"),
            200,
        ),
        (
            format!(
                "Content_Length: 0\r\nTransfer_Encoding: chunked\r\nContent-Length: {pushed}\r\n\r\n{push}"
            ),
            200,
        ),
        (
            format!(
                "Connection: Content-Length, Transfer-Encoding\r\nContent-Length: {pushed}\r\n\r\n{push}"
            ),
            200,
        ),
        (
            format!(
                "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: {pushed}\r\n\r\n{push}"
            ),
            200,
        ),
    ] {
        let mut bytes = format!(
            "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{request}"
        )
        .into_bytes();
        bytes.extend(get("/trans/unknown").bytes("h"));
        let answers = answers(&mut shared.client(), &bytes);
        assert_eq!(answers.len(), 2, "{request:?}: {answers:?}");
        assert_eq!(answers[0].status, status, "{request:?}: {answers:?}");
        answers[1].assert_is(200, "{}");
        victim.assert_untouched(&mut client, &request);
    }
    // To byte: what was pushed is what comes out.
    let data = client.pop(&q, &json!({})).data;
    assert!(
        !data.is_empty() && data.iter().all(|it| it == hidden),
        "{data:?}"
    );
}

/// A GET has a body if it says so, and it is no request.
#[test]
fn requests_without_use_for_a_body_have_it_read_all_the_same() {
    let shared = shared();
    let mut client = shared.client();
    let victim = Victim::new(&mut client);
    let (hidden, length) = (&victim.hidden, victim.hidden.len());
    for request in [
        "GET / ",
        "HEAD / ",
        "DELETE /trans/unknown ",
        "OPTIONS / ",
        "BREW / ",
    ] {
        for body in [
            format!("Content-Length: {length}\r\n\r\n{hidden}"),
            format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
        ] {
            let bytes = format!("{request}HTTP/1.1\r\nHost: h\r\n{body}");
            // Of HEAD only heads come; nothing else is looked at here.
            let mut sending = shared.client();
            sending.send_raw(bytes.as_bytes());
            sending.finish_sending();
            assert!(sending.is_closed_within(READ_TIMEOUT), "{bytes:?}");
            victim.assert_untouched(&mut client, &bytes);
        }
    }
}

/// Everything that goes to the store as text, with commands for a Redis server in it.
#[test]
fn line_breaks_in_names_and_contents_are_no_commands_to_the_store() {
    let shared = shared();
    let mut client = shared.client();
    let victim = Victim::new(&mut client);
    for command in [
        "\r\nFLUSHALL\r\n",
        "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
        "\"\r\n+OK\r\n:1\r\n$-1\r\n*-1\r\n",
        "\n\nSCRIPT FLUSH\n",
        "']) redis.call('FLUSHALL') --",
    ] {
        let evil = format!("{}{command}", unique("evil"));
        let callback = format!("http://127.0.0.1:1/{evil}");
        for q in [Queue::named(&evil), Queue::of(&evil, &evil)] {
            let fields = json!({
                "callback": callback, "expirationDelay": 600, "groups": [evil], &evil: evil, "other": [evil],
            });
            let id = client.push_with(&q, &evil, fields.clone());
            let stored = client.transaction(&id);
            assert_eq!(stored["payload"], json!(evil));
            assert_eq!(stored["callback"], json!(callback));
            assert_eq!(stored[&evil], json!(evil));
            client
                .call(&put(
                    format!("/trans/{id}"),
                    &json!({"payload": evil, "callback": callback}),
                ))
                .assert_says(200, &json!({"ok": true}));
            assert_eq!(
                client.poprel(&q, &json!({"timeoutACK": 60})).data,
                [evil.as_str()]
            );
            assert_eq!(
                client.ack(&q, &[&id, &evil]),
                json!([
                    {"err": null, "data": id},
                    {"err": format!("{evil}/{} does not exist", q.id), "data": evil},
                ])
            );
            client.push_with(&q, &evil, fields);
            assert_eq!(client.pop(&q, &json!({})).data, [evil.as_str()]);
            let dead = q.route("dead");
            client.call(&get(&dead)).assert_json_head(200);
            let some = json!({"transactions": [evil]});
            client
                .call(&post(q.route("dead/redrive"), &some))
                .assert_json_head(200);
            client
                .call(&delete(&dead).json(&some))
                .assert_json_head(200);
        }
        let members = json!({"name": evil, "queues": [evil]});
        client.call(&post("/group", &members)).assert_json_head(200);
        let group = format!("/group/{}", escaped(&evil));
        client.call(&get(&group)).assert_says(200, &members);
        let changed = json!({"queuesToAdd": [format!("{evil}2")], "queuesToRemove": [evil]});
        client.call(&put(&group, &changed)).assert_json_head(200);
        client.call(&delete(&group)).assert_json_head(200);
        for target in [
            format!("/trans/{}", escaped(&evil)),
            format!("/trans/{}?queues=All", escaped(&evil)),
        ] {
            client.call(&get(target)).assert_json_head(200);
        }
        victim.assert_untouched(&mut client, command);
    }
    client.assert_alive();
}

/// A waiting pop is written down with its queue's name, and woken by it.
#[test]
fn a_queue_whose_name_breaks_lines_wakes_its_own_waiter() {
    let shared = shared();
    let (mut client, mut waiting) = (shared.client(), shared.client());
    let q = Queue::of(&format!("{} \r\n", unique("org")), "a b}\r\n{c\0 d");
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
}

#[test]
fn what_is_typed_into_the_page_begins_no_header() {
    let shared = shared();
    let mut client = shared.client();
    for (name, path) in [("queue", "/queue/"), ("transaction", "/trans/")] {
        let typed = "x\r\nSet-Cookie: a=b\r\n\r\n<script>//evil.example";
        let response = client.call(&get(format!("/?{name}={}", escaped(typed))));
        assert_eq!(response.status, 303, "{response:?}");
        assert_eq!(response.header("set-cookie"), None, "{response:?}");
        let location = response.header("location").unwrap();
        let typed = location.strip_prefix(path).expect("a path of this server");
        assert!(
            typed
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"%-._~".contains(&byte)),
            "{location}"
        );
        assert!(response.body.is_empty(), "{response:?}");
    }
    client.assert_alive();
}
