//! Clients that take more than their share: each limit gives a clear answer, is counted, leaves others in peace, and is
//! free again when they let go.
//!
//! The clients here speak to one agent where there are two, since each counts for itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Broken, Client, Layout, Popped, Queue, READ_TIMEOUT, Request, Response, Server, Settings,
    delete, eventually, get, post, unique,
};

/// An address that keeps within its limits, where another does not.
const DECENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const GREEDY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

fn greedy(addr: SocketAddr) -> Client {
    Client::connect_from(GREEDY, addr)
}

fn decent(addr: SocketAddr) -> Client {
    Client::connect_from(DECENT, addr)
}

/// Clients of one agent.
fn clients(server: &Server, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect(server.addr)).collect()
}

#[track_caller]
fn assert_no_room(response: &Response, limit: &str) {
    response.assert_errors(503, &[&format!("no room: limits.{limit} is reached")]);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
}

/// What has come, if anything has.
#[track_caller]
fn answer_by_now(client: &mut Client) -> Option<Response> {
    match client.try_receive(Duration::from_millis(1)) {
        Ok(response) => Some(response),
        Err(Broken::TimedOut) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn push(queue: &Queue) -> Request {
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": queue.id}]});
    post(queue.push_path(), &body)
}

#[test]
fn nothing_is_said_of_refusals_before_there_is_one() {
    let server = Settings::new().set("limits.max_id", 16).start();
    let mut client = Client::connect(server.addr);
    client.assert_alive();
    // What makes no sense is no matter of too much.
    client
        .call(&get(format!("/queue/{}", "x".repeat(17))))
        .assert_some_error(400);
    client.call(&get("/nowhere")).assert_some_error(404);
    let response = client.call(&get("/"));
    assert!(
        response.json().get("refused").is_none(),
        "{}",
        response.text()
    );
}

#[test]
fn connections_of_one_address_have_a_limit_and_others_do_not_feel_it() {
    let server = Settings::new()
        .set("server.workers", 2)
        .set("limits.max_connections_per_address", 2)
        .start();
    let mut within = [greedy(server.addr), greedy(server.addr)];
    for client in &mut within {
        client.assert_alive();
    }
    for _ in 0..10 {
        let mut over = greedy(server.addr);
        let response = over.receive();
        response.assert_errors(
            429,
            &["too many connections: limits.max_connections_per_address is reached"],
        );
        assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
        assert!(response.closes(), "{response:?}");
        over.assert_closed();
    }
    for client in &mut within {
        client.assert_alive();
    }
    let mut other = decent(server.addr);
    other.assert_alive();
    assert_eq!(
        other.refused(),
        json!({"limits.max_connections_per_address": 10})
    );
    // Those that were refused hold no place: one that leaves is enough.
    let [mut staying, leaving] = within;
    leaving.leave(true);
    eventually("the place is free", || {
        let mut client = greedy(server.addr);
        let _ = client.try_send_raw(&get("/").bytes("h"));
        let response = client.try_receive(READ_TIMEOUT);
        response.is_ok_and(|response| response.status == 200)
    });
    staying.assert_alive();
}

#[test]
fn connections_in_all_are_counted_when_they_are_refused() {
    let server = Settings::new().set("limits.max_connections", 1).start();
    let mut within = Client::connect(server.addr);
    within.assert_alive();
    for _ in 0..3 {
        let response = Client::connect(server.addr).receive();
        assert_no_room(&response, "max_connections");
    }
    assert_eq!(within.refused(), json!({"limits.max_connections": 3}));
}

/// However many connections an address spreads them over.
#[test]
fn requests_of_one_address_have_a_limit_and_one_too_many_does_nothing() {
    let server = Settings::new()
        .set("server.workers", 2)
        .set("limits.max_requests_per_address", 5)
        .start();
    let q = Queue::fresh();
    let mut spread: Vec<Client> = (0..20).map(|_| greedy(server.addr)).collect();
    // With bodies: what is not looked at must not be taken for the next request either.
    let two = push(&q).bytes("h").repeat(2);
    for client in &mut spread {
        client.send_raw(&two);
    }
    let (mut taken, mut refused) = (0, 0);
    for client in &mut spread {
        for _ in 0..2 {
            let response = client.receive();
            if response.status == 200 {
                taken += 1;
                continue;
            }
            response.assert_errors(
                429,
                &["too many requests: limits.max_requests_per_address is reached"],
            );
            assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
            assert!(!response.closes(), "{response:?}");
            refused += 1;
        }
    }
    assert!(taken >= 5 && refused > 0, "{taken} and {refused}");
    let mut other = decent(server.addr);
    assert_eq!(other.queue_info(&q)["size"], json!(taken));
    assert_eq!(
        other.refused(),
        json!({"limits.max_requests_per_address": refused})
    );
    // The connection is still good for the next second.
    eventually("the next second", || {
        spread[0].call(&get(q.path())).status == 200
    });
}

/// Sends the first `sent` bytes of a push that is to be `length` bytes long.
fn begin_push(
    client: &mut Client,
    q: &Queue,
    length: usize,
    sent: usize,
    is_chunked: bool,
) -> Vec<u8> {
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]}).to_string();
    let body = format!("{}{body}", " ".repeat(length - body.len()));
    let (framing, mut bytes) = if is_chunked {
        let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        (
            "Transfer-Encoding: chunked".to_owned(),
            chunked.into_bytes(),
        )
    } else {
        (format!("Content-Length: {length}"), body.into_bytes())
    };
    let head = format!(
        "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    );
    let rest = bytes.split_off(sent);
    // It may be refused on the way.
    let _ = client.try_send_raw(&[head.as_bytes(), &bytes].concat());
    rest
}

#[test]
fn bodies_in_memory_have_a_limit_together_and_small_ones_go_on() {
    const LARGE: usize = 110 << 10;
    let server = Settings::new()
        .set("server.workers", 1)
        .set("limits.max_payload", 100)
        .set("limits.max_body", "128KiB")
        .set("limits.max_body_memory", "300KiB")
        .start();
    let mut client = Client::connect(server.addr);
    for (round, is_chunked) in [(1, false), (2, true)] {
        let q = Queue::fresh();
        let mut holding: Vec<(Client, Vec<u8>)> = clients(&server, 3)
            .into_iter()
            .map(|mut client| {
                let rest = begin_push(&mut client, &q, LARGE, 100 << 10, is_chunked);
                (client, rest)
            })
            .collect();
        eventually("one of three finds no room", || {
            holding.retain_mut(|(client, _)| {
                let Some(response) = answer_by_now(client) else {
                    return true;
                };
                assert_no_room(&response, "max_body_memory");
                assert!(response.closes(), "{response:?}");
                client.assert_closed();
                false
            });
            holding.len() < 3
        });
        client.assert_alive();
        assert_eq!(client.refused(), json!({"limits.max_body_memory": round}));
        // The two that fit are not disturbed, and leave their room behind.
        for (client, rest) in &mut holding {
            client.send_raw(rest);
            client.receive().assert_json_head(200);
        }
        let (mut next, rest) = (Client::connect(server.addr), &holding[0].1);
        begin_push(&mut next, &q, LARGE, 100 << 10, is_chunked);
        next.send_raw(rest);
        next.receive().assert_json_head(200);
        assert_eq!(client.pop(&q, &json!({})).data, ["p", "p", "p"]);
    }
}

/// A client that vanishes in the middle of its body takes nothing with it.
#[test]
fn the_room_of_a_body_comes_back_when_its_client_goes() {
    let server = Settings::new()
        .set("server.workers", 1)
        .set("limits.max_payload", 100)
        .set("limits.max_body", "128KiB")
        .set("limits.max_body_memory", "128KiB")
        .start();
    for _ in 0..20 {
        let mut going = Client::connect(server.addr);
        begin_push(&mut going, &Queue::fresh(), 110 << 10, 100 << 10, false);
        going.leave(true);
        eventually("there is room", || {
            let mut next = Client::connect(server.addr);
            let rest = begin_push(&mut next, &Queue::fresh(), 110 << 10, 100 << 10, false);
            let _ = next.try_send_raw(&rest);
            next.receive().status == 200
        });
    }
}

/// Lets more pops than may wait on one queue: those that do.
#[track_caller]
fn crowd(server: &Server, q: &Queue, count: usize, waiting: usize) -> Vec<Client> {
    let mut crowd = clients(server, count);
    for client in &mut crowd {
        client.start_pop(q);
    }
    let mut refused = 0;
    eventually("all but a few are refused", || {
        crowd.retain_mut(|client| {
            let Some(response) = answer_by_now(client) else {
                return true;
            };
            assert_no_room(&response, "max_waiters");
            // The connection goes on.
            client.call(&get("/trans/unknown")).assert_is(200, "{}");
            refused += 1;
            false
        });
        crowd.len() <= waiting
    });
    assert_eq!(crowd.len(), waiting, "{refused} of {count} were refused");
    crowd
}

#[test]
fn pops_that_wait_on_one_queue_have_a_limit_and_other_queues_do_not_feel_it() {
    let server = Settings::new()
        .set("server.workers", 2)
        .set("limits.max_waiters", 3)
        .start();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    let mut client = Client::connect(server.addr);
    let mut waiting = crowd(&server, &q, 10, 3);
    assert_eq!(client.refused(), json!({"limits.max_waiters": 7}));
    let mut elsewhere = Client::connect(server.addr);
    elsewhere.start_pop(&other);
    client.await_blocked(&other, true);
    client.push(&other, "elsewhere");
    assert_eq!(Popped::parse(&elsewhere.receive()).data, ["elsewhere"]);
    // Of those that wait each gets what comes, and leaves its place to another.
    for round in 0..3 {
        client.push(&q, &round.to_string());
    }
    let mut got: Vec<String> = waiting
        .iter_mut()
        .flat_map(|client| Popped::parse(&client.receive()).data)
        .collect();
    got.sort();
    assert_eq!(got, ["0", "1", "2"]);
    let mut waiting = crowd(&server, &q, 5, 3);
    waiting.pop().unwrap().leave(true);
    eventually("the place of one that left is free", || {
        let mut next = Client::connect(server.addr);
        next.send(&post(q.route("pop"), &json!({"timeout": 1})));
        next.receive().status == 200
    });
}

#[test]
fn a_stream_that_may_not_wait_is_told_so_and_ends() {
    let server = Settings::new().set("limits.max_waiters", 1).start();
    let q = Queue::fresh();
    let (mut client, mut waiting) = (Client::connect(server.addr), Client::connect(server.addr));
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    for (number, route) in ["subscribe", "subscriberel"].iter().enumerate() {
        let mut over = Client::connect(server.addr);
        over.send(&post(q.route(route), &json!({})));
        let response = over.receive();
        // As long as its head was not sent it has a status of its own.
        assert!([200, 503].contains(&response.status), "{response:?}");
        assert_eq!(
            response.json(),
            json!({"errors": ["no room: limits.max_waiters is reached"]})
        );
        over.assert_closed();
        assert_eq!(client.refused(), json!({"limits.max_waiters": number + 1}));
    }
    client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
    let mut next = Client::connect(server.addr);
    next.subscribe(&q, "subscribe", &json!({}));
    client.push(&q, "streamed");
    assert_eq!(next.next_message().0, "streamed");
}

/// One connection waits once, however much it asks for.
#[test]
fn pops_behind_a_waiting_pop_hold_no_place() {
    let server = Settings::new().set("limits.max_waiters", 1).start();
    let (first, second) = (Queue::fresh(), Queue::fresh());
    let mut client = Client::connect(server.addr);
    let mut greedy = Client::connect(server.addr);
    greedy.start_pop(&first);
    for _ in 0..20 {
        greedy.start_pop(&second);
        greedy.start_pop(&first);
    }
    client.await_blocked(&first, true);
    let mut waiting = Client::connect(server.addr);
    waiting.start_pop(&second);
    client.await_blocked(&second, true);
    client.push(&second, "for who waits");
    assert_eq!(Popped::parse(&waiting.receive()).data, ["for who waits"]);
    assert_eq!(client.refused(), Value::Null);
    // Its own turn comes, one after the other.
    for (queue, payload) in [(&first, "one"), (&second, "two"), (&first, "three")] {
        client.push(queue, payload);
        assert_eq!(Popped::parse(&greedy.receive()).data, [payload]);
    }
}

/// For the embedded store only: with Redis it has no effect.
#[test]
fn queues_of_one_tenant_have_a_limit_and_other_tenants_do_not_feel_it() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_tenant_queues", 2)
        .start();
    let mut client = server.client();
    let (tenant, other) = (unique("org"), unique("org"));
    let queues: Vec<Queue> = (0..3)
        .map(|number| Queue::of(&tenant, format!("q{number}")))
        .collect();
    client.push(&queues[0], "a");
    let held = client.push(&queues[1], "b");
    for _ in 0..2 {
        assert_no_room(&client.call(&push(&queues[2])), "max_tenant_queues");
    }
    // All or nothing.
    let ids: Vec<Value> = queues.iter().map(|queue| json!({"id": queue.id})).collect();
    let body = json!({"payload": "all", "priority": "H", "queue": ids});
    let refused = client.call(&post(queues[0].push_path(), &body));
    assert_no_room(&refused, "max_tenant_queues");
    assert_eq!(client.peek(&queues[0]).data, ["a"]);
    assert_eq!(client.refused(), json!({"limits.max_tenant_queues": 3}));
    // What it has goes on, and others have theirs.
    client.push(&queues[0], "more");
    for number in 0..5 {
        client.push(&Queue::named(unique("q")), "nobody's");
        if number < 2 {
            client.push(&Queue::of(&other, format!("q{number}")), "another's");
        }
    }
    // One that is idle makes room.
    client
        .call(&delete(format!("/trans/{held}")))
        .assert_json_head(200);
    client.push(&queues[2], "c");
    assert_no_room(&client.call(&push(&queues[1])), "max_tenant_queues");
    assert_eq!(client.pop(&queues[2], &json!({})).data, ["c"]);
    assert_eq!(client.pop(&queues[0], &json!({})).data, ["a", "more"]);
}

#[test]
fn with_redis_a_limit_of_a_tenants_queues_is_warned_of() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_tenant_queues", 1)
        .start();
    eventually("the log warns of it", || {
        server.stderr().lines().any(|line| {
            line.contains("WARN")
                && line.contains("limits.max_tenant_queues is of no effect with the Redis store")
        })
    });
    let mut client = server.client();
    let tenant = unique("org");
    for id in ["a", "b", "c"] {
        client.push(&Queue::of(&tenant, id), "p");
    }
}

/// For the embedded store only: in Redis it is its memory that bounds what is kept.
#[test]
fn names_that_are_made_up_have_a_limit_and_known_ones_go_on() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let server = Settings::on(&layout)
        .set("limits.max_known_queues", 2)
        .set("limits.max_groups", 2)
        .start();
    let mut client = server.client();
    let (a, b, c) = (Queue::named("a"), Queue::named("b"), Queue::named("c"));
    client.push(&a, "1");
    let held = client.push(&b, "2");
    assert_no_room(&client.call(&push(&c)), "max_known_queues");
    client.push(&a, "3");
    let group =
        |name: &str, member: &str| post("/group", &json!({"name": name, "queues": [member]}));
    for name in ["g", "h"] {
        client.call(&group(name, "a")).assert_json_head(200);
    }
    assert_no_room(&client.call(&group("i", "a")), "max_groups");
    client.call(&group("h", "b")).assert_json_head(200);
    assert_eq!(
        client.refused(),
        json!({"limits.max_groups": 1, "limits.max_known_queues": 1})
    );
    assert_eq!(client.pop(&b, &json!({})).data, ["2"]);
    // A queue is of a transaction until that ends.
    client
        .call(&delete(format!("/trans/{held}")))
        .assert_json_head(200);
    client.push(&c, "4");
    client.call(&delete("/group/g")).assert_json_head(200);
    client.call(&group("i", "a")).assert_json_head(200);
    assert_eq!(client.pop(&a, &json!({})).data, ["1", "3"]);
    assert_eq!(client.pop(&c, &json!({})).data, ["4"]);
}

/// What is answered to each, `slow_clients` says.
#[test]
fn clients_that_are_too_slow_or_send_too_much_are_counted() {
    let server = Settings::new()
        .set("limits.head_timeout", "500ms")
        // Long enough for the large ones below.
        .set("limits.body_timeout", "2s")
        .set("limits.write_timeout", "500ms")
        .start();
    let q = Queue::fresh();
    let payload = "x".repeat(1_000_000);
    for _ in 0..15 {
        server.client().push(&q, &payload);
    }
    let mut deaf = Client::connect_narrow(server.addr);
    deaf.send(&get(q.route("peek")));
    let head = "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
    let too_many_bytes = format!("{head}Content-Length: 99999999\r\n\r\n");
    let too_long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(40_000));
    for (bytes, status) in [
        (head.to_owned(), 408),
        (format!("{head}Content-Length: 9\r\n\r\n"), 408),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), 408),
        (too_many_bytes, 413),
        (too_long, 431),
    ] {
        let mut client = Client::connect(server.addr);
        client.send_raw(bytes.as_bytes());
        assert_eq!(client.receive().status, status);
    }
    let expected = json!({
        "limits.body_timeout": 2, "limits.head_timeout": 1, "limits.max_body": 1, "limits.max_head": 1,
        "limits.write_timeout": 1,
    });
    eventually("all are counted", || {
        Client::connect(server.addr).refused() == expected
    });
    drop(deaf);
}

#[test]
fn a_connection_that_was_idle_too_long_is_no_refusal() {
    let server = Settings::new().set("limits.keep_alive", "2s").start();
    Client::connect(server.addr).assert_closed();
    assert_eq!(Client::connect(server.addr).refused(), Value::Null);
}
