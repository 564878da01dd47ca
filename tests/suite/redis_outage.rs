//! Redis is away, for a moment or longer, and comes back: nobody who waits notices, and nothing is made up.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Client, Layout, Popped, Queue, READ_TIMEOUT, Request, Response, Settings, eventually,
    free_address, get, pause, post, soon,
};

fn push(queue: &Queue, payload: &str) -> Request {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    post("/trans", &body)
}

fn kill(layout: &Layout) {
    for redis in layout.redis_servers() {
        redis.kill();
    }
}

fn start_again(layout: &Layout) {
    for redis in layout.redis_servers() {
        redis.start_again();
    }
}

#[track_caller]
fn assert_unavailable(response: &Response) {
    response.assert_some_error(503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
}

/// Waits until a push is refused because the store is out of reach.
#[track_caller]
fn await_refusal(client: &mut Client) {
    eventually("pushes are refused", || {
        let response = client.call(&push(&Queue::fresh(), "refused"));
        if response.status != 200 {
            assert_unavailable(&response);
        }
        response.status != 200
    });
}

/// Asks until the store is in reach; the answer.
#[track_caller]
fn insist(client: &mut Client, request: &Request) -> Response {
    let mut answer = None;
    eventually("the store is in reach", || {
        let response = client.call(request);
        if response.status == 503 {
            assert_unavailable(&response);
        } else {
            answer = Some(response);
        }
        answer.is_some()
    });
    answer.unwrap()
}

/// Pushes until it is taken; the id. Those that were refused may have been done all the same.
#[track_caller]
fn insist_on_push(client: &mut Client, queue: &Queue, payload: &str) -> String {
    let response = insist(client, &push(queue, payload));
    response.assert_json_head(200);
    response.json()["data"].as_str().unwrap().to_owned()
}

/// Waits until the store knows again that somebody waits.
#[track_caller]
fn await_in_line(client: &mut Client, queue: &Queue) {
    eventually("somebody waits", || {
        insist(client, &get(queue.path())).json()["blocked"] == json!(true)
    });
}

/// Takes an answer that has nothing but copies of one payload.
#[track_caller]
fn assert_received(client: &mut Client, payload: &str) {
    let popped = Popped::parse(&client.receive());
    assert!(!popped.is_empty());
    assert!(popped.data.iter().all(|it| it == payload), "{popped:?}");
}

#[test]
fn a_server_that_starts_before_redis_says_so_and_serves_once_it_is_there() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    kill(&layout);
    let address = free_address();
    let starting = Settings::on(&layout).set("server.listen", address).begin();
    eventually("it listens", || Client::try_connect(address).is_ok());
    let mut client = Client::connect(address);
    // It is alive, and says what is missing.
    let root = client.call(&get("/"));
    assert!([200, 503].contains(&root.status), "{root:?}");
    assert_ne!(root.json()["ok"], json!(true), "{root:?}");
    let q = Queue::fresh();
    for _ in 0..3 {
        assert_unavailable(&client.call(&push(&q, "too early")));
    }
    pause();
    assert!(
        starting.is_under_way(),
        "neither ready nor ended without Redis"
    );

    start_again(&layout);
    let server = starting
        .ready()
        .expect("ready once Redis is there, without a restart");
    assert_eq!(server.addr, address);
    let root = client.call(&get("/"));
    root.assert_json_head(200);
    assert_eq!(root.json()["ok"], json!(true));
    assert!(client.peek(&q).is_empty(), "what was refused was not done");
    client.assert_alive();
}

#[test]
fn pops_wait_on_while_redis_is_killed_and_comes_back_empty() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).set("server.workers", 2).start();
    let mut client = server.client();
    let queues: Vec<Queue> = (0..20).map(|_| Queue::fresh()).collect();
    let mut waiting = server.clients(queues.len());
    for (waiter, q) in waiting.iter_mut().zip(&queues) {
        waiter.start_pop(q);
        client.await_blocked(q, true);
    }
    let mut stream = server.client();
    let streamed = Queue::fresh();
    stream.subscribe(&streamed, "subscribe", &json!({}));
    client.await_blocked(&streamed, true);

    kill(&layout);
    await_refusal(&mut client);
    for waiter in &mut waiting {
        assert!(waiter.is_silent_for(Duration::from_millis(5)));
    }
    start_again(&layout);
    // They are in line again, though the new Redis knew nothing of them.
    for q in queues.iter().chain([&streamed]) {
        await_in_line(&mut client, q);
    }
    for (waiter, q) in waiting.iter_mut().zip(&queues) {
        insist_on_push(&mut client, q, "afterwards");
        assert_received(waiter, "afterwards");
    }
    insist_on_push(&mut client, &streamed, "afterwards");
    assert_eq!(stream.next_message().0, "afterwards");
}

/// The push comes at once, when the server may not have found its way back yet.
#[test]
fn a_push_straight_after_redis_is_back_reaches_who_waited() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let (mut client, mut waiting) = (server.client(), server.client());
    let q = Queue::fresh();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    kill(&layout);
    start_again(&layout);
    let taken = insist_on_push(&mut client, &q, "p");
    let mut seen = Popped::parse(&waiting.receive()).transactions;
    seen.extend(client.peek(&q).transactions);
    assert!(seen.contains(&taken), "{seen:?}");
}

#[test]
fn a_wait_ends_in_time_while_redis_is_away() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let (mut client, mut waiting) = (server.client(), server.client());
    let q = Queue::fresh();
    let started = Instant::now();
    waiting.send(&post(q.route("pop"), &json!({"timeout": 2})));
    client.await_blocked(&q, true);
    kill(&layout);
    assert!(Popped::parse(&waiting.receive()).is_empty());
    soon(started);
    // And a server that is told to end does not wait for Redis.
    let started = Instant::now();
    server.signal(libc::SIGTERM);
    server.exit_within(Duration::from_secs(15));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn cut_connections_lose_nothing() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).set("server.workers", 2).start();
    let mut client = server.client();
    let (kept, lent) = (Queue::fresh(), Queue::fresh());
    let mut expected = Vec::new();
    let borrowed = client.push(&lent, "lent");
    client.poprel(&lent, &json!({"timeoutACK": 100}));
    for round in 0..5 {
        let q = Queue::fresh();
        // The server of this queue may be another one than that of the last.
        eventually("all servers are in reach", || {
            client.call(&get("/")).status == 200
        });
        let mut waiting = server.client();
        waiting.start_pop(&q);
        client.await_blocked(&q, true);
        for redis in layout.redis_servers() {
            redis.cut_connections();
        }
        // Nothing is lost that was acknowledged, however soon it was pushed.
        expected.push(insist_on_push(&mut client, &kept, &round.to_string()));
        insist_on_push(&mut client, &q, "woken");
        assert_received(&mut waiting, "woken");
    }
    let pending = Popped::parse(&insist(&mut client, &get(kept.route("peek")))).transactions;
    // One whose answer was a refusal may be there, too.
    let acknowledged: Vec<&String> = pending.iter().filter(|id| expected.contains(id)).collect();
    assert_eq!(acknowledged, expected.iter().collect::<Vec<_>>());
    insist(&mut client, &get(lent.path())).assert_json_head(200);
    assert_eq!(
        client.state(&borrowed),
        json!({lent.id.as_str(): "Blocked"})
    );
    assert_eq!(
        client.ack(&lent, &[&borrowed]),
        json!([{"err": null, "data": borrowed}])
    );
}

#[test]
fn flushed_scripts_are_not_missed() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    let (mut client, mut waiting) = (server.client(), server.client());
    let flush = || {
        for redis in layout.redis_servers() {
            redis.call(&["FUNCTION", "FLUSH"]);
        }
    };
    for _ in 0..3 {
        let q = Queue::fresh();
        flush();
        let ids = [client.push(&q, "a"), client.push(&q, "b")];
        flush();
        assert_eq!(client.peek(&q).data, ["a", "b"]);
        flush();
        let popped = client.poprel(&q, &json!({"max": 1, "timeoutACK": 100}));
        assert_eq!(popped.transactions, [ids[0].as_str()]);
        flush();
        assert_eq!(
            client.ack(&q, &[&ids[0]]),
            json!([{"err": null, "data": ids[0]}])
        );
        flush();
        client.await_state(&ids[0], &q, "Delivered");
        flush();
        assert_eq!(client.pop(&q, &json!({})).data, ["b"]);
        flush();
        waiting.start_pop(&q);
        client.await_blocked(&q, true);
        flush();
        client.push(&q, "woken");
        assert_eq!(Popped::parse(&waiting.receive()).data, ["woken"]);
        flush();
        client
            .call(&crate::support::delete(format!("/trans/{}", ids[1])))
            .assert_json_head(200);
    }
}

/// Neither dead nor alive: the hardest case. A worker waits for nobody, and what was in doubt is there or is not.
#[test]
fn a_redis_that_stands_still_holds_up_only_what_needs_it() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).set("server.workers", 1).start();
    let (mut client, mut waiting, mut pushing) =
        (server.client(), server.client(), server.client());
    let (q, other) = (Queue::fresh(), Queue::fresh());
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    for redis in layout.redis_servers() {
        redis.freeze();
    }
    pushing.send(&push(&other, "in doubt"));
    let started = Instant::now();
    assert_eq!(client.call(&get("/nowhere")).status, 404);
    soon(started);
    assert!(waiting.is_silent_for(Duration::from_millis(200)));
    for redis in layout.redis_servers() {
        redis.thaw();
    }
    let answer = pushing
        .try_receive(READ_TIMEOUT)
        .expect("an answer, whatever it is");
    let there = Popped::parse(&insist(&mut client, &get(other.route("peek")))).data;
    if answer.status == 200 {
        assert_eq!(there, ["in doubt"]);
    } else {
        assert_unavailable(&answer);
        assert!(there.is_empty() || there == ["in doubt"], "{there:?}");
    }
    insist_on_push(&mut client, &q, "p");
    assert_received(&mut waiting, "p");
}
