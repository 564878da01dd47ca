//! What holds for every route: framing, connections, paths, methods, JSON.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Broken, Client, Durability, Popped, Queue, READ_TIMEOUT, Request, Response, Settings, at_least,
    delete, escaped, get, head, post, put, shared, soon, unique,
};

#[track_caller]
fn answer_to(bytes: &[u8]) -> (Client, Response) {
    let mut client = shared().client();
    client.send_raw(bytes);
    let response = client.receive();
    (client, response)
}

#[test]
fn a_connection_of_http_1_1_stays_open() {
    let shared = shared();
    let mut client = shared.client();
    for _ in 0..5 {
        let response = client.call(&get("/"));
        assert_eq!(response.status, 200);
        assert!(!response.closes());
    }
}

#[test]
fn connection_close_is_honoured() {
    let shared = shared();
    let mut client = shared.client();
    let response = client.call(&get("/").header("Connection", "close"));
    assert_eq!(response.status, 200);
    assert!(response.closes(), "{response:?}");
    client.assert_closed();
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let shared = shared();
    let mut client = shared.client();
    let response = client.call(&get("/").http_1_0());
    assert_eq!(response.status, 200);
    client.assert_closed();
    // Without a Host, as such clients do.
    let (mut client, response) = answer_to(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(response.status, 200);
    client.assert_closed();
}

#[test]
fn http_1_0_stays_open_when_asked_to() {
    let shared = shared();
    let mut client = shared.client();
    for _ in 0..3 {
        let response = client.call(&get("/").http_1_0().header("Connection", "keep-alive"));
        assert_eq!(response.status, 200);
        assert!(response.lists("connection", "keep-alive"), "{response:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let requests = [
        post("/trans", &push),
        post(q.route("pop"), &json!({})),
        get("/trans/unknown"),
        get("/nowhere"),
        post("/trans", &json!({})),
        get(q.route("peek")),
    ];
    let bytes: Vec<u8> = requests
        .iter()
        .flat_map(|request| request.bytes("h"))
        .collect();
    client.send_raw(&bytes);
    client.receive().assert_json_head(200);
    assert_eq!(Popped::parse(&client.receive()).data, ["p"]);
    client.receive().assert_is(200, "{}");
    assert_eq!(client.receive().status, 404);
    client.receive().assert_json_head(400);
    assert!(Popped::parse(&client.receive()).is_empty());
}

#[test]
fn answers_behind_a_waiting_pop_wait_for_it() {
    let shared = shared();
    let mut client = shared.client();
    let started = Instant::now();
    let mut bytes = post(Queue::fresh().route("pop"), &json!({"timeout": 1})).bytes("h");
    bytes.extend(get("/trans/unknown").bytes("h"));
    client.send_raw(&bytes);
    assert!(Popped::parse(&client.receive()).is_empty());
    at_least(started, Duration::from_secs(1));
    client.receive().assert_is(200, "{}");
}

#[test]
fn more_pipelined_requests_than_the_limit_are_all_answered() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let mut bytes = Vec::new();
    for number in 0..300 {
        let push = json!({"payload": number.to_string(), "priority": "H", "queue": [{"id": q.id}]});
        bytes.extend(post("/trans", &push).bytes("h"));
    }
    client.send_raw(&bytes);
    for _ in 0..300 {
        client.receive().assert_json_head(200);
    }
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!(client.peek(&q).data, expected);
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "whole", "priority": "H", "queue": [{"id": q.id}]});
    let bytes = post("/trans", &push).bytes("h");
    for byte in &bytes {
        client.send_raw(&[*byte]);
    }
    client.receive().assert_json_head(200);
    assert_eq!(client.peek(&q).data, ["whole"]);
    // An end of one and a start of the next in one piece.
    let (first, rest) = bytes.split_at(bytes.len() - 7);
    client.send_raw(first);
    client.send_raw(&[rest, &bytes[..30]].concat());
    client.receive().assert_json_head(200);
    client.send_raw(&bytes[30..]);
    client.receive().assert_json_head(200);
}

#[test]
fn a_chunked_body_is_understood_with_extensions_and_trailers() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let body = json!({"payload": "chunked", "priority": "H", "queue": [{"id": q.id}]}).to_string();
    let (one, two) = body.split_at(10);
    let request = format!(
        "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x};name=value\r\n{one}\r\n{:X}\r\n{two}\r\n0\r\nTrailer: x\r\n\r\n",
        one.len(),
        two.len(),
    );
    for _ in 0..2 {
        client.send_raw(request.as_bytes());
        client.receive().assert_json_head(200);
    }
    assert_eq!(client.pop(&q, &json!({})).data, ["chunked", "chunked"]);
}

#[test]
fn expect_100_continue_is_answered_before_the_body_comes() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let bytes = post("/trans", &push)
        .header("Expect", "100-continue")
        .bytes("h");
    let body = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap() + 4;
    client.send_raw(&bytes[..body]);
    let interim = client.receive_head();
    assert_eq!(interim.status, 100, "{interim:?}");
    client.send_raw(&bytes[body..]);
    client.receive().assert_json_head(200);
    assert_eq!(client.peek(&q).data, ["p"]);
}

#[test]
fn head_works_on_every_get_route() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    for target in [
        "/".to_owned(),
        q.path(),
        q.route("peek"),
        format!("/trans/{id}"),
        format!("/trans/{id}?queues=summary"),
        format!("/trans/{id}/state"),
        format!("/trans/{id}/state/summary"),
        format!("/group/{}", unique("g")),
        format!("/org/{}/queue/{}", unique("org"), q.id),
    ] {
        // A body after the head would spoil the answer of the next request.
        let head = client.call(&head(&target));
        let whole = client.call(&get(&target));
        assert_eq!(head.status, 200, "{target}");
        assert_eq!(
            head.header("content-type"),
            whole.header("content-type"),
            "{target}"
        );
        if let Some(length) = head.header("content-length") {
            assert_eq!(length, whole.body.len().to_string(), "{target}");
        }
    }
    assert_eq!(client.call(&head("/nowhere")).status, 404);
    client.assert_alive();
}

#[test]
fn fixed_words_of_a_path_have_no_case_but_ids_do() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::named(unique("CaseD"));
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    client.call(&post("/TRANS", &push)).assert_json_head(200);
    let peeked = Popped::parse(&client.call(&get(format!("/QuEuE/{}/PEEK", q.id))));
    assert_eq!(peeked.data, ["p"]);
    assert!(client.peek(&Queue::named(q.id.to_lowercase())).is_empty());
    let popped = client.call(&post(format!("/queue/{}/Pop", q.id), &json!({})));
    assert_eq!(Popped::parse(&popped).data, ["p"]);
    let org = format!("/ORG/x/Queue/{}/peek", q.id);
    assert!(Popped::parse(&client.call(&get(org))).is_empty());
    client.call(&get("/GROUP/nobody")).assert_json_head(200);
}

#[test]
fn one_trailing_slash_is_allowed() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    client.call(&post("/trans/", &push)).assert_json_head(200);
    client
        .call(&get(format!("{}/", q.path())))
        .assert_json_head(200);
    let popped = client.call(&post(format!("{}/?max=1", q.route("pop")), &json!({})));
    assert_eq!(Popped::parse(&popped).data, ["p"]);
    assert_eq!(client.call(&get(format!("{}//", q.path()))).status, 404);
}

#[test]
fn ids_are_percent_decoded() {
    let shared = shared();
    let mut client = shared.client();
    let stem = unique("q");
    for id in [
        "a/b",
        "ü漢😀",
        "a b",
        "a+b",
        "a%2Fb",
        "a?b#c",
        "a;b=c",
        "..",
        "a\\b",
        "\u{1}\n",
    ] {
        let q = Queue::named(format!("{stem}{id}"));
        client.push(&q, id);
        assert_eq!(client.pop(&q, &json!({"timeout": 1})).data, [id]);
    }
    // Letters that need no escape may have one, and a plus is a plus.
    let q = Queue::named(format!("{stem}x+y"));
    client.push(&q, "p");
    let peeked = client.call(&get(format!("/queue/{stem}%78+%79/peek")));
    assert_eq!(Popped::parse(&peeked).data, ["p"]);
}

#[test]
fn an_id_that_cannot_be_decoded_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    for id in ["%zz", "%", "a%4", "%ff", "%C3", "%ED%A0%80", "a%C0%AF"] {
        for target in [
            format!("/queue/{id}"),
            format!("/org/{id}/queue/q"),
            format!("/trans/{id}"),
        ] {
            client.call(&get(target)).assert_some_error(400);
        }
    }
    client.assert_alive();
}

#[test]
fn an_unknown_path_is_not_found() {
    let shared = shared();
    let mut client = shared.client();
    for target in [
        "/nowhere",
        "/queue/q/nothing",
        "/queue/q/pop/more",
        "/trans/x/nothing",
        "/trans/x/state/All/more",
        "/org",
        "/org/o/nothing",
        "/group/a/b",
        "/favicon.ico",
    ] {
        client.call(&get(target)).assert_some_error(404);
    }
    client.assert_alive();
}

#[test]
fn a_wrong_method_on_a_known_path_is_told_the_right_ones() {
    let shared = shared();
    let mut client = shared.client();
    let pop = Queue::fresh().route("pop");
    for (request, allowed) in [
        (Request::new("POST", "/"), vec!["GET", "HEAD"]),
        (get("/trans"), vec!["POST"]),
        (delete("/trans"), vec!["POST"]),
        (
            post("/trans/x", &json!({})),
            vec!["GET", "HEAD", "PUT", "DELETE"],
        ),
        (delete("/trans/x/state"), vec!["GET", "HEAD"]),
        (post("/trans/x/state/All", &json!({})), vec!["GET", "HEAD"]),
        (delete("/queue/q"), vec!["GET", "HEAD"]),
        (get(&pop), vec!["POST"]),
        (get("/queue/q/poprel"), vec!["POST"]),
        (put("/queue/q/ack", &json!({})), vec!["POST"]),
        (post("/queue/q/peek", &json!({})), vec!["GET", "HEAD"]),
        (get("/queue/q/subscribe"), vec!["POST"]),
        (get("/queue/q/subscriberel"), vec!["POST"]),
        (get("/group"), vec!["POST"]),
        (
            post("/group/g", &json!({})),
            vec!["GET", "HEAD", "PUT", "DELETE"],
        ),
        (get("/org/o/trans"), vec!["POST"]),
        (delete("/org/o/queue/q/pop"), vec!["POST"]),
        (Request::new("PATCH", "/trans"), vec!["POST"]),
        (Request::new("BREW", "/trans"), vec!["POST"]),
    ] {
        let response = client.call(&request);
        response.assert_some_error(405);
        for method in allowed {
            assert!(
                response.lists("allow", method),
                "{method} is missing in {response:?}"
            );
        }
    }
    client.assert_alive();
}

#[test]
fn what_is_not_http_is_refused() {
    for bytes in [
        b"HELLO\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"GET / HTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nBad\0Name: x\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"POST /trans HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello",
    ] {
        let (mut client, response) = answer_to(bytes);
        let shown = String::from_utf8_lossy(bytes);
        // A version that is not known may be told so.
        assert!(
            response.status == 400 || (response.status == 505 && shown.contains("9.9")),
            "{shown:?}: {response:?}"
        );
        client.assert_closed();
    }
    shared().client().assert_alive();
}

#[test]
fn two_framings_of_one_body_are_refused_and_closed() {
    for headers in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n",
    ] {
        let request = format!(
            "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{headers}\r\n{{}}"
        );
        let (mut client, response) = answer_to(request.as_bytes());
        assert_eq!(response.status, 400, "{headers}: {response:?}");
        client.assert_closed();
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let mut request = b"GET / HTTP/1.1\r\nHost: h\r\nX-Filler: ".to_vec();
    request.resize(40 * 1024, b'x');
    let (_, response) = answer_to(&request);
    assert_eq!(response.status, 431, "{response:?}");
    let long_path = format!(
        "GET /queue/{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "x".repeat(40 * 1024)
    );
    let (_, response) = answer_to(long_path.as_bytes());
    assert_eq!(response.status, 431, "{response:?}");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let length = 8 * 1024 * 1024 + 1;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let head = format!(
            "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{expect}\r\n"
        );
        let (mut client, response) = answer_to(head.as_bytes());
        response.assert_some_error(413);
        client.assert_closed();
    }
}

#[test]
fn a_chunked_body_is_refused_once_it_is_too_large() {
    let server = Settings::new()
        .set("limits.max_payload", 100_000)
        .set("limits.max_body", "2MiB")
        .start();
    let mut client = server.client();
    client.send_raw(
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let mut chunk = b"40000\r\n".to_vec();
    chunk.resize(7 + 0x40000, b' ');
    chunk.extend_from_slice(b"\r\n");
    // Far more than it may take: somewhere on the way it answers, or stops listening.
    for _ in 0..400 {
        if client.try_send_raw(&chunk).is_err() {
            break;
        }
        match client.try_receive(Duration::from_millis(2)) {
            Err(Broken::TimedOut) => {}
            Ok(response) => {
                assert_eq!(response.status, 413, "{response:?}");
                server.client().assert_alive();
                return;
            }
            Err(Broken::Closed { .. }) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    match client.try_receive(READ_TIMEOUT) {
        Ok(response) => assert_eq!(response.status, 413, "{response:?}"),
        // What was still on its way may have turned the close into a reset.
        Err(Broken::Closed { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    server.client().assert_alive();
}

#[test]
fn a_chunked_body_just_over_the_limit_is_told_so() {
    let server = Settings::new()
        .set("limits.max_payload", 100_000)
        .set("limits.max_body", "2MiB")
        .start();
    let mut client = server.client();
    client.send_raw(
        b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    // Announced by its size line alone.
    client.send_raw(b"200001\r\n");
    client.receive().assert_some_error(413);
    client.assert_closed();
}

#[test]
fn bad_json_is_refused_with_a_reason() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    for body in [
        "{",
        "{\"a\":}",
        "nonsense",
        "{'a':1}",
        "{\"a\":1}x",
        "[1]",
        "\"text\"",
        "5",
        "null",
        "true",
    ] {
        for target in [
            "/trans".to_owned(),
            q.route("pop"),
            q.route("poprel"),
            q.route("ack"),
            "/group".to_owned(),
        ] {
            let response = client.call(&post(&target, &json!({})).body(body));
            response.assert_json_head(400);
            let answer = response.json();
            let errors = answer["errors"].as_array().unwrap();
            assert_eq!(errors.len(), 1, "{answer}");
            let error = errors[0].as_str().unwrap();
            assert!(error.starts_with("invalid json: "), "{body}: {error}");
            assert!(!error.contains(".rs"), "{error}");
        }
        for target in ["/trans/x", "/group/x"] {
            let response = client.call(&put(target, &json!({})).body(body));
            assert!(response.text().contains("invalid json: "), "{response:?}");
        }
    }
    client.assert_alive();
}

#[test]
fn an_unread_body_does_not_become_the_next_request() {
    let shared = shared();
    let mut client = shared.client();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for request in [
        get("/").body(smuggled),
        post("/nowhere", &json!({})).body(smuggled),
        delete("/").body(smuggled),
    ] {
        client.send(&request);
        assert_ne!(client.receive().status, 100);
    }
    client.call(&get("/trans/unknown")).assert_is(200, "{}");
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let server = Settings::new().set("limits.keep_alive", "500ms").start();
    let mut client = server.client();
    client.call(&get("/")).assert_json_head(200);
    let started = Instant::now();
    client.assert_closed();
    at_least(started, Duration::from_millis(400));
    soon(started);
}

#[test]
fn an_empty_line_before_a_request_is_forgiven() {
    let (_, response) = answer_to(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(response.status, 200);
}

#[test]
fn an_absolute_target_is_understood() {
    let (_, response) = answer_to(b"GET http://h/trans/unknown HTTP/1.1\r\nHost: h\r\n\r\n");
    response.assert_is(200, "{}");
}

#[test]
fn every_durability_answers_alike() {
    for &durability in Durability::all() {
        let server = Settings::new().durability(durability).start();
        server.client().assert_alive();
    }
}

#[test]
fn a_query_parameter_is_percent_decoded() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push(&Queue::fresh(), "p");
    client
        .call(&get(format!(
            "/trans/{id}?queues={}",
            escaped("Sideways/ü")
        )))
        .assert_errors(400, &["Wrong State:Sideways/ü"]);
    let shown = client
        .call(&get(format!("/trans/{id}?x=1&queues=%41ll&y")))
        .json();
    assert!(shown["queues"].is_object(), "{shown}");
}
