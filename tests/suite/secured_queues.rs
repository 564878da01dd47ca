//! Secured queues: made by HTTPS, and for their user and the admin alone.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use crate::support::{
    Client, Durability, Layout, Popped, Queue, Request, Response, Server, Settings, credentials,
    delete, get, head, post, shared_secured, unique,
};

const USER: &str = "al";
const PASSWORD: &str = "open-sesame";

/// A new secured queue, and a client who is its user.
fn made(server: &Server) -> (Queue, Client) {
    let q = Queue::fresh();
    let mut client = server.secured_client();
    client.secure(&q, USER, PASSWORD);
    (q, client.login(USER, PASSWORD))
}

fn making(queue: &Queue, user: &str, password: &str) -> Request {
    let body = json!({"queue": queue.id, "user": user, "password": password});
    post(queue.secure_path(), &body)
}

/// Each deed that a queue has a path for.
fn deeds(q: &Queue) -> Vec<Request> {
    let nothing_long = json!({"timeout": 1, "transactions": []});
    let posts = [
        "pop",
        "poprel",
        "subscribe",
        "subscriberel",
        "ack",
        "dead/redrive",
    ];
    let posts = posts.map(|deed| post(q.route(deed), &nothing_long));
    let mut deeds = Vec::from(posts);
    deeds.extend([
        get(q.route("peek")),
        get(q.path()),
        get(q.path()).header("Accept", "text/html"),
        get(q.route("dead")),
        delete(q.route("dead")),
    ]);
    deeds
}

/// A request without a body, with one more header behind the others, of any bytes.
fn with_header(request: &Request, header: &[u8]) -> Vec<u8> {
    let mut bytes = request.bytes("h");
    bytes.truncate(bytes.len() - 2);
    [&bytes, header, b"\r\n\r\n"].concat()
}

#[track_caller]
fn assert_never_made(response: &Response) {
    response.assert_asks_for_login(500, "ERROR: Secure Queue does not exist");
}

/// Calls on a connection of its own: a stream that is refused ends its connection.
#[track_caller]
fn call(server: &Server, request: &Request) -> Response {
    server.secured_client().call(request)
}

#[test]
fn a_queue_is_made_once() {
    let shared = shared_secured();
    let mut client = shared.secured_client();
    let tenant = unique("org");
    let id = unique("q");
    for (q, name) in [
        (Queue::named(&id), format!("SEC:{id}")),
        (Queue::of(&tenant, &id), format!("{tenant}:SEC:{id}")),
    ] {
        client.secure(&q, USER, PASSWORD);
        for (user, password) in [(USER, PASSWORD), ("eve", "changed")] {
            client
                .call(&making(&q, user, password))
                .assert_errors(403, &[&format!("Error: {name} exists")]);
        }
        let peek = get(q.route("peek"));
        client
            .call(&peek.clone().login("eve", "changed"))
            .assert_unauthorized();
        Popped::parse(&client.call(&peek.login(USER, PASSWORD)));
    }
}

#[test]
fn of_all_who_make_a_queue_at_once_one_has_it() {
    let shared = shared_secured();
    let q = Queue::fresh();
    let mut clients: Vec<Client> = (0..8).map(|_| shared.secured_client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&making(&q, &format!("user-{number}"), PASSWORD));
    }
    let made: Vec<bool> = clients
        .iter_mut()
        .map(|client| client.receive().status == 200)
        .collect();
    assert_eq!(made.iter().filter(|&&made| made).count(), 1, "{made:?}");
    for (number, is_made) in made.iter().enumerate() {
        let request = get(q.route("peek")).login(&format!("user-{number}"), PASSWORD);
        let status = call(&shared, &request).status;
        assert_eq!(status, if *is_made { 200 } else { 401 }, "{number}");
    }
}

#[test]
fn what_is_wrong_with_a_new_queue_is_said_at_once() {
    let shared = shared_secured();
    let mut client = shared.secured_client();
    let long = "x".repeat(1025);
    let id = unique("q");
    let missing = ["missing queue", "missing user", "missing password"];
    let invalid = ["invalid queue", "invalid user", "invalid password"];
    for (body, errors) in [
        (json!({}), &missing[..]),
        (json!({"queue": "", "user": null, "password": ""}), &missing),
        (json!({"queue": 1, "user": [], "password": {}}), &invalid),
        (
            json!({"queue": long, "user": long, "password": long}),
            &invalid,
        ),
        (json!({"queue": id, "user": "u"}), &missing[2..]),
        (
            json!({"queue": id, "user": "u:v", "password": "p"}),
            &invalid[1..2],
        ),
        (
            json!({"queue": id, "user": "u\n", "password": "p"}),
            &invalid[1..2],
        ),
    ] {
        client
            .call(&post("/queue", &body))
            .assert_errors(400, errors);
    }
    let query = format!("/queue?queue={id}&user=u&password=p");
    client
        .call(&post(query, &json!({})))
        .assert_errors(400, &missing);
    let peek = get(Queue::named(&id).route("peek"));
    assert_never_made(&client.call(&peek.login("u", "p")));
}

#[test]
fn none_is_made_by_plain_http() {
    let shared = shared_secured();
    for q in [Queue::fresh(), Queue::of(&unique("org"), unique("q"))] {
        shared
            .client()
            .call(&making(&q, USER, PASSWORD))
            .assert_errors(404, &["not found"]);
        assert_never_made(&call(&shared, &get(q.path()).login(USER, PASSWORD)));
    }
}

#[test]
fn a_queue_that_was_never_made_says_so_whoever_asks() {
    let shared = shared_secured();
    for q in [Queue::fresh(), Queue::of(&unique("org"), unique("q"))] {
        shared.secured_client().push(&q, "p");
        for deed in deeds(&q) {
            assert_never_made(&call(&shared, &deed));
            assert_never_made(&call(&shared, &deed.clone().login(USER, PASSWORD)));
            assert_never_made(&call(&shared, &deed.login("root", "secret")));
        }
    }
}

#[test]
fn nothing_is_done_for_who_is_not_the_user() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let tenants = Queue::of(&unique("org"), &q.id);
    let mut client = shared.secured_client();
    client.secure(&tenants, "tom", "toms");
    let id = owner.push(&q, "p");
    for deed in deeds(&q) {
        call(&shared, &deed).assert_unauthorized();
        for (user, password) in [
            (USER, "wrong"),
            (USER, ""),
            ("AL", PASSWORD),
            ("", PASSWORD),
            ("root", PASSWORD),
            ("tom", "toms"),
        ] {
            let response = call(&shared, &deed.clone().login(user, password));
            response.assert_unauthorized();
        }
    }
    let ack = post(q.route("ack"), &json!({"transactions": [id]}));
    client.call(&ack.login("tom", "toms")).assert_unauthorized();
    assert_eq!(owner.state(&id), json!({&q.id: "Pending"}));
    assert_eq!(owner.queue_info(&q).get("lastPop"), None);
    assert_eq!(owner.pop(&q, &json!({})).transactions, [id]);
}

#[test]
fn head_is_guarded_as_get_is() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let refused = call(&shared, &head(q.path()));
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(refused.header("www-authenticate").is_some(), "{refused:?}");
    assert_eq!(owner.call(&head(q.path())).status, 200);
}

#[test]
fn its_user_and_the_admin_may_do_everything_with_a_queue() {
    let server = Settings::new()
        .with_tls()
        .set("auth.admin", credentials("root", "secret"))
        .set("limits.max_deliveries", 1)
        .start();
    let tenant = unique("org");
    for (user, password) in [(USER, PASSWORD), ("root", "secret")] {
        for q in [Queue::fresh(), Queue::of(&tenant, unique("q"))] {
            server.secured_client().secure(&q, USER, PASSWORD);
            let client = || server.secured_client().login(user, password);
            use_every_deed(&q, &client);
        }
    }
}

/// What a queue can do, with one delivery for each message.
fn use_every_deed(q: &Queue, connect: &dyn Fn() -> Client) {
    let mut client = connect();
    let id = client.push(q, "a");
    assert_eq!(client.peek(q).data, ["a"]);
    let info = client.queue_info(q);
    assert_eq!(info["size"], json!(1));
    let href = format!("https://{}/trans/{id}?queues=All", client.host());
    assert_eq!(info["high"], json!([{"id": id, "href": href}]));
    assert_eq!(client.pop(q, &json!({})).data, ["a"]);
    assert!(client.queue_info(q)["lastPop"].is_string());

    let id = client.push(q, "b");
    assert_eq!(client.poprel(q, &json!({"timeoutACK": 100})).data, ["b"]);
    client.await_state(&id, q, "Blocked");
    assert_eq!(client.ack(q, &[&id]), json!([{"err": null, "data": id}]));

    let mut stream = connect();
    stream.subscribe(q, "subscribe", &json!({}));
    client.await_blocked(q, true);
    let id = client.push(q, "c");
    assert_eq!(stream.next_message(), ("c".to_owned(), id));
    drop(stream);
    client.await_blocked(q, false);

    // Borrowed and not given back in time: it is a dead letter, having had its one delivery.
    let mut stream = connect();
    stream.subscribe(q, "subscriberel", &json!({"timeoutACK": 0.5}));
    let id = client.push(q, "d");
    assert_eq!(stream.next_message().0, "d");
    let dead = get(q.route("dead"));
    let dead = |client: &mut Client| client.call(&dead).json()["dead"][0]["id"].clone();
    crate::support::eventually("a dead letter", || dead(&mut client) == json!(id));
    client
        .call(&post(q.route("dead/redrive"), &json!({})))
        .assert_is(200, r#"{"ok":true,"redriven":1,"left":0}"#);
    client.await_pending(q, &["d"]);
    client
        .call(&delete(q.route("dead")))
        .assert_is(200, r#"{"ok":true,"purged":0,"left":0}"#);

    client
        .call(&delete(format!("/trans/{id}")))
        .assert_is(200, r#"{"ok":true}"#);
    assert!(client.peek(q).is_empty());
    let page = client.call(&get(q.path()).header("Accept", "text/html"));
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}

#[test]
fn the_secured_queue_and_the_plain_one_of_a_name_are_two() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let mut plain = shared.client();
    let secret = owner.push(&q, "secret");
    let public = plain.push(&q, "public");
    assert_eq!(owner.peek(&q).transactions, [&*secret]);
    assert_eq!(plain.peek(&q).transactions, [&*public]);
    for (client, others) in [(&mut owner, &public), (&mut plain, &secret)] {
        assert_eq!(client.queue_info(&q)["size"], json!(1));
        assert!(client.ack(&q, &[others])[0]["err"].is_string());
    }
    // Transactions are the same through both.
    for client in [&mut owner, &mut plain] {
        assert_eq!(client.transaction(&secret)["payload"], json!("secret"));
        assert_eq!(client.state(&public), json!({&q.id: "Pending"}));
    }
    assert_eq!(plain.pop(&q, &json!({})).data, ["public"]);
    assert_eq!(owner.pop(&q, &json!({})).data, ["secret"]);
}

#[test]
fn a_group_pushed_to_by_https_is_one_of_secured_queues() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let group = unique("g");
    shared
        .client()
        .call(&post("/group", &json!({"name": group, "queues": [q.id]})))
        .assert_json_head(200);
    owner.push_body(&json!({"payload": "p", "priority": "H", "groups": [group]}));
    assert_eq!(owner.peek(&q).data, ["p"]);
    assert!(shared.client().peek(&q).is_empty());
}

#[test]
fn what_was_pushed_before_a_queue_is_made_is_in_it() {
    let shared = shared_secured();
    let q = Queue::fresh();
    let mut client = shared.secured_client();
    client.push(&q, "early");
    client.secure(&q, USER, PASSWORD);
    let mut owner = client.login(USER, PASSWORD);
    assert_eq!(owner.pop(&q, &json!({})).data, ["early"]);
}

#[test]
fn a_waiting_pop_is_woken_by_https_and_not_by_plain_http() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let mut waiting = shared.secured_client().login(USER, PASSWORD);
    waiting.start_pop(&q);
    owner.await_blocked(&q, true);
    shared.client().push(&q, "public");
    let id = owner.push(&q, "secret");
    waiting.receive().assert_is(
        200,
        &format!(r#"{{"ok":true,"data":["secret"],"transactions":["{id}"]}}"#),
    );
}

#[test]
fn a_login_is_of_one_request_and_not_of_its_connection() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    owner.push(&q, "p");
    let peek = get(q.route("peek"));
    let requests = [
        peek.clone().login(USER, PASSWORD),
        peek.clone(),
        peek.clone().login(USER, "wrong"),
        peek.login("root", "secret"),
    ];
    let mut client = shared.secured_client();
    let bytes: Vec<u8> = requests.iter().flat_map(|it| it.bytes("h")).collect();
    client.send_raw(&bytes);
    assert_eq!(Popped::parse(&client.receive()).data, ["p"]);
    client.receive().assert_unauthorized();
    client.receive().assert_unauthorized();
    assert_eq!(Popped::parse(&client.receive()).data, ["p"]);
}

#[test]
fn a_stream_that_is_refused_ends_its_connection() {
    let shared = shared_secured();
    let (q, _) = made(&shared);
    for route in ["subscribe", "subscriberel"] {
        let mut client = shared.secured_client();
        client
            .call(&post(q.route(route), &json!({})))
            .assert_unauthorized();
        client.assert_closed();
    }
}

#[test]
fn what_is_no_login_is_refused_as_none() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let long_login = format!("Basic {}", "YWw6".repeat(1500));
    for value in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWw",
        // `al`, and the right login in Base64 of URLs, in another scheme, without one, and twice.
        "Basic YWw=",
        "Bearer YWw6b3Blbi1zZXNhbWU=",
        "YWw6b3Blbi1zZXNhbWU=",
        "Basic YWw6b3Blbi1zZXNhbWU= YWw6b3Blbi1zZXNhbWU=",
        "Basic YWw6b3Blbi1zZXNhbWU=, Basic YWw6b3Blbi1zZXNhbWU=",
        // `:` and `:open-sesame`, a name that is not UTF-8, and nothing but padding.
        "Basic Og==",
        "Basic Om9wZW4tc2VzYW1l",
        "Basic /zpw",
        "Basic ====",
        &long_login,
    ] {
        let peek = get(q.route("peek")).header("Authorization", value);
        let response = call(&shared, &peek);
        assert_eq!(response.status, 401, "{value:?}: {response:?}");
        response.assert_unauthorized();
    }
    let mut client = shared.secured_client();
    client.send_raw(&with_header(
        &get(q.route("peek")),
        b"Authorization: Basic \xff",
    ));
    client.receive().assert_unauthorized();
    assert!(owner.peek(&q).is_empty());
}

#[test]
fn two_logins_are_none() {
    let shared = shared_secured();
    let (q, _) = made(&shared);
    let right = (USER, PASSWORD);
    for [first, second] in [
        [right, right],
        [right, (USER, "wrong")],
        [(USER, "wrong"), right],
        [right, ("root", "secret")],
    ] {
        let peek = get(q.route("peek"))
            .login(first.0, first.1)
            .login(second.0, second.1);
        call(&shared, &peek).assert_unauthorized();
    }
    let peek = get(q.route("peek")).login(USER, PASSWORD);
    for value in [&b""[..], b" Bearer x", b" \xff"] {
        let header = [b"authorization:", value].concat();
        let mut client = shared.secured_client();
        client.send_raw(&with_header(&peek, &header));
        client.receive().assert_unauthorized();
    }
}

#[test]
fn users_and_passwords_are_any_text() {
    let shared = shared_secured();
    let long = "é".repeat(512);
    for (user, password) in [
        ("a b", " p "),
        ("Ünï çode", "pass:word:"),
        ("😀", "\u{1}\n\u{7f}"),
        ("$argon2id$", "$argon2id$v=19"),
        ("root", "not the admin's"),
        (&long, &long),
    ] {
        let q = Queue::fresh();
        let mut client = shared.secured_client();
        client.secure(&q, user, password);
        let peek = get(q.route("peek"));
        Popped::parse(&client.call(&peek.clone().login(user, password)));
        let almost = format!("{password} ");
        client
            .call(&peek.clone().login(user, &almost))
            .assert_unauthorized();
        Popped::parse(&client.call(&peek.login("root", "secret")));
    }
}

#[test]
fn failed_logins_are_limited_by_address_and_queue() {
    const FAILURES_MAX: u64 = 3;
    let server = Settings::new()
        .with_tls()
        .set("auth.admin", credentials("root", "secret"))
        .set("auth.max_failures", FAILURES_MAX)
        .start();
    let (q, mut owner) = made(&server);
    let (other, mut other_owner) = made(&server);
    owner.peek(&q);
    let peek = get(q.route("peek"));
    let mut client = server.secured_client();
    for _ in 0..10 {
        // No login is no attempt.
        client.call(&peek).assert_unauthorized();
    }
    for number in 0..FAILURES_MAX {
        let wrong = peek.clone().login(USER, &format!("wrong {number}"));
        client.call(&wrong).assert_unauthorized();
    }
    for (user, password) in [(USER, "wrong"), ("root", "wrong"), ("root", "secret")] {
        let limited = client.call(&peek.clone().login(user, password));
        limited.assert_errors(
            429,
            &["too many failed logins: auth.max_failures is reached"],
        );
        let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{limited:?}");
    }
    // Who was right a moment ago goes on, as do other queues, and other addresses.
    owner.push(&q, "p");
    assert_eq!(owner.peek(&q).data, ["p"]);
    client.call(&peek).assert_unauthorized();
    assert!(other_owner.peek(&other).is_empty());
    let wrong = get(other.route("peek")).login(USER, "wrong");
    client.call(&wrong).assert_unauthorized();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let address = server.secured_addr.unwrap();
    let mut elsewhere = Client::connect_secured_from(elsewhere, address).login("root", "secret");
    assert_eq!(elsewhere.peek(&q).data, ["p"]);

    let refused = server.secured_client().call(&get("/")).json()["refused"].clone();
    assert_eq!(
        refused,
        json!({"auth.max_failures": 3, "login": FAILURES_MAX + 1})
    );
}

#[test]
fn a_queue_and_its_user_survive_every_restart() {
    for &durability in Durability::all() {
        for is_killed in [false, true] {
            println!("{durability:?}, killed: {is_killed}");
            let layout = Layout::fresh();
            let start = || {
                let settings = Settings::on(&layout).durability(durability);
                settings.with_tls().start()
            };
            let server = start();
            let (q, mut owner) = made(&server);
            let id = owner.push(&q, "p");
            if is_killed {
                server.kill();
            } else {
                server.stop();
            }
            let server = start();
            let peek = get(q.route("peek"));
            call(&server, &peek).assert_unauthorized();
            call(&server, &peek.clone().login(USER, "wrong")).assert_unauthorized();
            let popped = Popped::parse(&call(&server, &peek.login(USER, PASSWORD)));
            assert_eq!(popped.transactions, [id]);
            server
                .secured_client()
                .call(&making(&q, "eve", "changed"))
                .assert_errors(403, &[&format!("Error: SEC:{} exists", q.id)]);
        }
    }
}

#[test]
fn only_so_many_are_kept_by_the_embedded_store() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout)
        .with_tls()
        .set("limits.max_secured_queues", 1)
        .start();
    let (q, mut owner) = made(&server);
    owner
        .call(&making(&Queue::fresh(), USER, PASSWORD))
        .assert_errors(503, &["no room: limits.max_secured_queues is reached"]);
    assert!(owner.peek(&q).is_empty());
}

#[test]
fn no_page_of_another_site_makes_a_browser_take_messages() {
    let shared = shared_secured();
    let (q, mut owner) = made(&shared);
    let id = owner.push(&q, "p");
    let ack = json!({"transactions": [id], "timeout": 1});
    for route in ["pop", "poprel", "ack"] {
        let request = post(q.route(route), &ack).header("Sec-Fetch-Site", "cross-site");
        owner
            .call(&request)
            .assert_errors(403, &["not allowed to pages of another site"]);
    }
    assert_eq!(owner.state(&id), json!({&q.id: "Pending"}));
}
