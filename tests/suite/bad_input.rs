//! Hostile and broken input: a clear answer or a closed connection, and everybody else is still served.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Broken, Client, Popped, Queue, READ_TIMEOUT, Request, Response, Server, Settings, escaped, get,
    post, put, shared, unique,
};

const MIB: u64 = 1024 * 1024;

/// Sends what may be cut off midway; the answer, or `None` when the connection was closed without one.
#[track_caller]
fn answer(client: &mut Client, bytes: &[u8]) -> Option<Response> {
    // The server may stop listening: then what it said is still to be read.
    let _ = client.try_send_raw(bytes);
    match client.try_receive(READ_TIMEOUT) {
        Ok(response) => Some(response),
        Err(Broken::Closed { .. }) => None,
        Err(other) => panic!("neither an answer nor a close: {other:?}"),
    }
}

/// The same, where an answer must be a refusal.
#[track_caller]
fn refused(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut client = server.client();
    let status = answer(&mut client, bytes).map(|response| response.status);
    assert!(
        status.is_none_or(|status| (400..500).contains(&status)),
        "{status:?}"
    );
    server.client().assert_alive();
    status
}

fn trans_with(body: impl Into<Vec<u8>>) -> Request {
    post("/trans", &json!({})).body(body)
}

#[test]
fn a_path_that_is_not_utf_8_is_refused() {
    let server = shared();
    refused(&server, b"GET /queue/\xff\xfe HTTP/1.1\r\nHost: h\r\n\r\n");
    refused(&server, b"GET /queue/\0 HTTP/1.1\r\nHost: h\r\n\r\n");
    refused(&server, b"GET \xc3\x28 HTTP/1.1\r\nHost: h\r\n\r\n");
}

#[test]
fn an_id_with_a_nul_is_an_id_or_refused() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::named(format!("{}\0x", unique("q")));
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let response = client.call(&post("/trans", &push));
    if response.status == 200 {
        assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, ["p"]);
    } else {
        response.assert_some_error(400);
    }
}

#[test]
fn a_body_that_is_not_utf_8_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    for body in [
        b"{\"payload\":\"\xff\xfe\",\"priority\":\"H\",\"queue\":[]}".as_slice(),
        b"{\"payload\":\"\xed\xa0\x80\",\"priority\":\"H\",\"queue\":[]}",
        b"\xff",
        b"\0\0\0\0",
        b"{\"payload\":\"a\0b\",\"priority\":\"H\",\"queue\":[]}",
    ] {
        client.call(&trans_with(body)).assert_some_error(400);
    }
    client.assert_alive();
}

#[test]
fn a_lone_surrogate_is_refused_or_replaced() {
    let shared = shared();
    let mut client = shared.client();
    for lone in [
        r"\ud800",
        r"\udc00",
        r"\ud800\ud800",
        r"\ud83d x",
        r"\udc00\ud800",
    ] {
        let body = format!(r#"{{"payload":"a{lone}b","priority":"H","queue":[]}}"#);
        let response = client.call(&trans_with(body));
        if response.status == 200 {
            let id = response.json()["data"].as_str().unwrap().to_owned();
            assert!(client.transaction(&id)["payload"].is_string());
        } else {
            response.assert_some_error(400);
        }
    }
    // A proper pair is a character.
    let body = r#"{"payload":"\ud83d\ude00","priority":"H","queue":[]}"#;
    let id = client.call(&trans_with(body)).json()["data"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(client.transaction(&id)["payload"], json!("😀"));
}

#[test]
fn a_head_of_ten_megabytes_is_refused_and_not_kept() {
    let server = Settings::new().start();
    server.client().assert_alive();
    let before = server.memory();
    let filler = vec![b'x'; 10 * 1024 * 1024];
    for start in [
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Filler: ".as_slice(),
        b"GET /queue/",
        b"",
        b"GET / HTTP/1.1\r\nHost: h\r\n",
    ] {
        let mut bytes = start.to_vec();
        if start.ends_with(b"h\r\n") {
            // Many small headers instead of a large one.
            bytes.extend(b"X-Y: z\r\n".repeat(1024 * 1024));
        } else {
            bytes.extend_from_slice(&filler);
        }
        let status = refused(&server, &bytes);
        assert!(
            status.is_none_or(|status| [400, 414, 431].contains(&status)),
            "{status:?}"
        );
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 40 * MIB, "{grown} bytes more");
}

#[test]
fn endless_chunk_extensions_are_refused_and_not_kept() {
    let server = Settings::new().start();
    server.client().assert_alive();
    let before = server.memory();
    let head = b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut one_long = [head.as_slice(), b"1;"].concat();
    one_long.resize(10 * 1024 * 1024, b'x');
    refused(&server, &one_long);
    // Tiny chunks with large extensions: little body, much traffic.
    let mut many = head.to_vec();
    let chunk = [b"1;".as_slice(), &[b'x'; 4000], b"\r\n \r\n"].concat();
    many.extend(chunk.repeat(4000));
    many.extend_from_slice(b"0\r\n\r\n");
    refused(&server, &many);
    let mut trailers = [head.as_slice(), b"0\r\n"].concat();
    trailers.extend(b"X-Trailer: y\r\n".repeat(1024 * 1024));
    refused(&server, &trailers);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 40 * MIB, "{grown} bytes more");
}

#[test]
fn a_content_length_beyond_all_bounds_is_refused() {
    let server = shared();
    for length in [
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775808",
        "99999999999999999999999999999999999999999",
        "",
        "1e3",
        "1 2",
    ] {
        let head = format!(
            "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let status = refused(&server, head.as_bytes()).expect("an answer");
        assert!([400, 413].contains(&status), "{length}: {status}");
    }
}

#[test]
fn deeply_nested_json_is_refused_or_taken_but_ends_nothing() {
    let server = Settings::new().start();
    let mut client = server.client();
    for depth in [200, 10_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for body in [
                nested.clone(),
                format!(r#"{{"payload":{nested},"priority":"H","queue":[]}}"#),
                format!(r#"{{"payload":"p","priority":"H","queue":{nested}}}"#),
                open.repeat(depth),
            ] {
                let response = client.call(&trans_with(body));
                assert!([200, 400, 413].contains(&response.status), "{response:?}");
                if response.closes() {
                    client = server.client();
                }
            }
        }
    }
    server.client().assert_alive();
    assert!(server.is_running());
}

#[test]
fn huge_numbers_are_refused_or_taken_but_end_nothing() {
    let shared = shared();
    let mut client = shared.client();
    let digits = "9".repeat(100_000);
    for number in [
        "1e400",
        "-1e400",
        "1e-400",
        "1e99999999999",
        digits.as_str(),
        "-0",
        "1.7976931348623157e308",
    ] {
        for body in [
            format!(r#"{{"payload":"p","priority":"H","queue":[],"expirationDate":{number}}}"#),
            format!(r#"{{"payload":"p","priority":"H","queue":[],"expirationDelay":{number}}}"#),
            format!(r#"{{"payload":{number},"priority":"H","queue":[]}}"#),
            format!(r#"{{"payload":"p","priority":"H","queue":[],"delay":{number}}}"#),
            format!(r#"{{"payload":"p","priority":"H","queue":[],"other":{number}}}"#),
        ] {
            let response = client.call(&trans_with(body));
            assert!([200, 400].contains(&response.status), "{response:?}");
        }
        let q = Queue::fresh();
        client.push(&q, "p");
        for parameter in ["max", "timeoutACK"] {
            let body = format!(r#"{{"{parameter}":{number},"timeout":1}}"#);
            let response = client.call(&post(q.route("poprel"), &json!({})).body(body));
            assert!([200, 400].contains(&response.status), "{response:?}");
        }
    }
    // In the query, as text.
    let q = Queue::fresh();
    client.push(&q, "p");
    let response = client.call(&post(
        format!("{}?max={digits}", q.route("pop")),
        &json!({}),
    ));
    assert!(
        [200, 400, 414, 431].contains(&response.status),
        "{response:?}"
    );
    shared.client().assert_alive();
}

#[test]
fn fields_of_the_wrong_kind_are_refused_or_ignored_but_end_nothing() {
    let shared = shared();
    let mut client = shared.client();
    let kinds = [
        json!(null),
        json!(true),
        json!(5),
        json!("x"),
        json!([]),
        json!([[]]),
        json!({}),
        json!([{}]),
    ];
    let q = Queue::fresh();
    for kind in &kinds {
        for field in [
            "queue",
            "groups",
            "callback",
            "expirationDelay",
            "expirationDate",
            "priority",
            "payload",
            "delay",
        ] {
            let mut body = json!({"payload": "p", "priority": "H", "queue": []});
            body[field] = kind.clone();
            let response = client.call(&post("/trans", &body));
            assert!(
                [200, 400].contains(&response.status),
                "{body}: {response:?}"
            );
        }
        for parameter in ["max", "timeoutACK", "timeout"] {
            client.push(&q, "p");
            let body = json!({parameter: kind});
            let response = client.call(&post(q.route("poprel"), &body));
            assert!(
                [200, 400].contains(&response.status),
                "{body}: {response:?}"
            );
        }
        let response = client.call(&post(q.route("ack"), &json!({"transactions": [kind]})));
        assert!(
            [200, 400].contains(&response.status),
            "{kind}: {response:?}"
        );
        for field in ["payload", "callback", "expirationDate"] {
            let response = client.call(&put("/trans/unknown", &json!({field: kind})));
            assert!(
                [200, 400].contains(&response.status),
                "{kind}: {response:?}"
            );
        }
    }
    client.assert_alive();
}

#[test]
fn any_text_is_a_good_queue_id() {
    let shared = shared();
    let mut client = shared.client();
    let stem = unique("q");
    let ids = [
        "\"",
        "'",
        "\\",
        "\n",
        "\r\n",
        "\t",
        "é漢😀",
        "\u{202e}",
        ":",
        "%2F",
        "%",
        "/",
        "?",
        "#",
        "&",
        "=",
        "+",
        " ",
        ".",
        "..",
        "../..",
        "*",
        "[x]",
        "{x}",
        "${x}",
        "<script>",
        "--",
        ";",
        "|",
        "\u{feff}",
        "pop",
        "UNSEC:",
        "SEC:",
        "PB:Q|H:",
        "PB:T|",
        ":meta",
        ":state",
        ":userInfo",
        "pb:",
    ];
    for id in ids {
        for text in [format!("{id}{stem}"), format!("{stem}{id}")] {
            let q = Queue::named(text);
            let pushed = client.push(&q, id);
            assert_eq!(client.state(&pushed), json!({&q.id: "Pending"}));
            let shown = client
                .call(&get(format!("/trans/{pushed}?queues=All")))
                .json();
            assert_eq!(shown["queues"][&q.id]["state"], json!("Pending"), "{shown}");
            assert_eq!(
                client.pop(&q, &json!({"timeout": 1})).data,
                [id],
                "{:?}",
                q.id
            );
            assert_eq!(
                client.ack(&q, &["x"]),
                json!([{"err": format!("x/{} does not exist", q.id), "data": "x"}])
            );
        }
    }
}

#[test]
fn ids_that_imitate_an_inner_name_reach_nothing_else() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "safe");
    for stem in [
        "UNSEC:",
        "SEC:",
        "PB:Q|H:",
        "PB:Q|L:",
        "PB:Q|H:UNSEC:",
        "H:",
        "pb:",
        "pb:{",
        "\0",
    ] {
        let other = Queue::named(format!("{stem}{}", q.id));
        assert!(client.peek(&other).is_empty(), "{stem}");
        let response = client.call(&get(format!("/trans/{}", escaped(&format!("{stem}{id}")))));
        if response.status == 200 {
            response.assert_is(200, "{}");
        } else {
            response.assert_some_error(400);
        }
        for tail in [":meta", ":state"] {
            client
                .call(&get(format!("/trans/{}", escaped(&format!("{id}{tail}")))))
                .assert_is(200, "{}");
        }
    }
    assert_eq!(client.pop(&q, &json!({})).data, ["safe"]);
}

#[test]
fn line_breaks_in_ids_and_callbacks_reach_no_header() {
    let shared = shared();
    let mut client = shared.client();
    let evil = format!("{}\r\nSet-Cookie: a=b\r\n\r\nbody", unique("q"));
    let q = Queue::named(&evil);
    let id = client.push(&q, "p");
    for target in [
        q.path(),
        q.route("peek"),
        format!("/trans/{id}?queues=All"),
        format!("/trans/{}", escaped(&evil)),
        format!("/trans/{id}?queues={}", escaped(&evil)),
        format!("/group/{}", escaped(&evil)),
        format!("/{}", escaped(&evil)),
    ] {
        for accept in ["*/*", "text/html"] {
            let response = client.call(&get(&target).header("Accept", accept));
            assert_eq!(response.header("set-cookie"), None, "{response:?}");
        }
    }
    let push = json!({
        "payload": "p", "priority": "H", "queue": [{"id": q.id}], "callback": "http://127.0.0.1:1/\r\nX-Evil: 1\r\n\r\n",
    });
    let response = client.call(&post("/trans", &push));
    assert!([200, 400].contains(&response.status), "{response:?}");
    client.pop(&q, &json!({}));
    client.assert_alive();
}

#[test]
fn a_host_header_that_is_hostile_stays_text() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    for host in ["\"><script>", "a b", "", "x\\\"y", "[::1]:80"] {
        let response = client.call(&get(q.path()).header("Host", host));
        if response.status == 200 {
            assert!(response.json()["high"][0]["href"].is_string());
        } else {
            assert_eq!(response.status, 400);
            client = shared.client();
        }
        let response = client.call(
            &get(q.path())
                .header("Host", host)
                .header("Accept", "text/html"),
        );
        assert!(
            !String::from_utf8_lossy(&response.body).contains("\"><script>"),
            "{response:?}"
        );
        if response.closes() {
            client = shared.client();
        }
    }
}

#[test]
fn ten_thousand_queues_are_taken_and_one_more_is_refused() {
    let server = Settings::new().start();
    let mut client = server.client();
    let mut queues: Vec<Value> = (0..10_000)
        .map(|number| json!({"id": format!("q{number}")}))
        .collect();
    let id = client.push_body(&json!({"payload": "p", "priority": "H", "queue": queues}));
    let summary = client
        .call(&get(format!("/trans/{id}/state/summary")))
        .json();
    assert_eq!(
        summary["data"],
        json!({"totalNotifications": 10_000, "Pending": 10_000})
    );
    assert_eq!(
        client.pop(&Queue::named("q9999"), &json!({})).transactions,
        [id]
    );
    queues.push(json!({"id": "one more"}));
    client
        .call(&post(
            "/trans",
            &json!({"payload": "p", "priority": "H", "queue": queues}),
        ))
        .assert_is(400, r#"{"errors":["too many queues: maximum 10000"]}"#);
    assert!(client.peek(&Queue::named("one more")).is_empty());
}

#[test]
fn a_payload_is_measured_in_utf_16_units() {
    let server = Settings::new().start();
    let mut client = server.client();
    let q = Queue::fresh();
    for (letter, units) in [("x", 1), ("é", 1), ("漢", 1), ("😀", 2)] {
        let largest = letter.repeat(1_048_576 / units);
        client.push(&q, &largest);
        assert!(
            client.pop(&q, &json!({})).data == [largest.as_str()],
            "{letter}"
        );
        let push =
            json!({"payload": format!("{largest}x"), "priority": "H", "queue": [{"id": q.id}]});
        client
            .call(&post("/trans", &push))
            .assert_is(400, r#"{"errors":["payload greater than 1048576"]}"#);
    }
    assert!(client.peek(&q).is_empty());
}

#[test]
fn the_largest_payload_fits_into_a_body_however_it_is_escaped() {
    let server = Settings::new().start();
    let mut client = server.client();
    let q = Queue::fresh();
    let body = format!(
        r#"{{"payload":"{}","priority":"H","queue":[{{"id":"{}"}}]}}"#,
        "\\u0001".repeat(1_048_576),
        q.id
    );
    client.call(&trans_with(body)).assert_json_head(200);
    assert!(client.pop(&q, &json!({})).data == ["\u{1}".repeat(1_048_576)]);
}

#[test]
fn tls_on_the_plain_port_is_refused() {
    let server = shared();
    let hello =
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x5f\x5a\x5b\x5c\x00\x00\x00\x20\r\n\r\n";
    refused(&server, hello);
    let mut client = server.client();
    client.send_raw(&hello[..11]);
    // Enough to see that it is no HTTP, or else the time for a head has to do.
    drop(client);
    server.client().assert_alive();
}

#[test]
fn noise_is_refused() {
    let server = shared();
    let mut random = crate::support::Random::seeded("noise_is_refused");
    for _ in 0..50 {
        let length = random.below(2000) + 20;
        let mut noise: Vec<u8> = (0..length)
            .map(|_| random.word().to_le_bytes()[0])
            .collect();
        noise.extend_from_slice(b"\r\n\r\n");
        let mut client = server.client();
        let _ = client.try_send_raw(&noise);
        client.finish_sending();
        assert!(client.is_closed_within(READ_TIMEOUT));
    }
    server.client().assert_alive();
}

#[test]
fn a_valid_request_with_any_byte_changed_ends_nothing() {
    let server = shared();
    let mut random = crate::support::Random::seeded("a_valid_request_with_any_byte_changed");
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}], "expirationDate": 2_000_000_000});
    let good = post("/trans?delay=0", &push).bytes("h");
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            bytes[place] = random.word().to_le_bytes()[0];
        }
        let mut client = server.client();
        let _ = client.try_send_raw(&bytes);
        client.finish_sending();
        assert!(
            client.is_closed_within(READ_TIMEOUT),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    server.client().assert_alive();
}

#[test]
fn many_connections_that_say_nothing_keep_nobody_out() {
    let server = Settings::new().start();
    let before = server.memory();
    let silent = server.clients(500);
    server.client().assert_alive();
    let grown = server.memory().saturating_sub(before);
    assert!(
        grown < 60 * MIB,
        "{grown} bytes for {} connections",
        silent.len()
    );
}

#[test]
fn many_large_bodies_at_once_are_bounded_and_ended() {
    let server = Settings::new().set("limits.body_timeout", "1s").start();
    let mut clients = server.clients(20);
    let head = "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n";
    for client in &mut clients {
        // Announced, and a little sent: what was announced must not be reserved.
        client.send_raw(head.as_bytes());
        client.send_raw(b"{\"payload\":\"");
    }
    let grown = server.memory();
    assert!(grown < 200 * MIB, "{grown} bytes");
    for client in &mut clients {
        let response = client
            .try_receive(Duration::from_secs(10))
            .expect("an answer");
        // Given up for its slowness, or refused because so much was announced already.
        assert!([408, 503].contains(&response.status), "{response:?}");
    }
    server.client().assert_alive();
}

#[test]
fn odd_queries_are_read_as_far_as_they_make_sense() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for query in [
        "?",
        "?&",
        "?=",
        "?max",
        "?max=",
        "?max=1&max=2",
        "?%6dax=1",
        "?a=b=c&max=1",
        "??max=1",
    ] {
        client.push(&q, "p");
        let popped =
            Popped::parse(&client.call(&post(format!("{}{query}", q.route("pop")), &json!({}))));
        assert_eq!(popped.data, ["p"], "{query}");
    }
    for query in ["?max=%", "?max=%ff", "?%zz=1"] {
        client.push(&q, "p");
        let response = client.call(&post(format!("{}{query}", q.route("pop")), &json!({})));
        assert!(
            [200, 400].contains(&response.status),
            "{query}: {response:?}"
        );
    }
}
