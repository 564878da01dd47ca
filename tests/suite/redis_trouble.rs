//! Redis does what one would rather it did not: it is full, stands still at a bad moment, becomes a replica.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Layout, Popped, Queue, READ_TIMEOUT, Redis, RedisReply, Server, Settings, eventually, get,
    now_s, pause, post, soon,
};

/// A server with one redis-server for queues, and the given one for transactions.
fn with_transactions_on(layout: &std::sync::Arc<Layout>, transactions: &Redis) -> Server {
    Settings::on(layout)
        .set("redis.transactions", format!("[{:?}]", transactions.url()))
        .start()
}

/// What was handed to a pop turns out to be gone, and meanwhile its time has passed.
#[test]
fn a_wait_ends_in_time_though_what_it_was_handed_is_gone() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let transactions = Redis::start(layout.scratch(), &[]);
    let server = with_transactions_on(&layout, &transactions);
    let (mut client, mut waiting) = (server.client(), server.client());
    let q = Queue::fresh();
    let id = client.push(&q, "gone");
    transactions.call(&["DEL", &format!("pb:t:{{{id}}}")]);
    transactions.freeze();
    waiting.send(&post(q.route("pop"), &json!({"timeout": 1})));
    assert!(waiting.is_silent_for(Duration::from_millis(1500)));
    transactions.thaw();
    let answer = waiting.try_receive(READ_TIMEOUT).expect("an answer");
    assert!(Popped::parse(&answer).is_empty());
}

/// The delay of a push is over while its queue is out of reach: it comes when the queue is back, not when whoever has
/// tried it counts as dead.
#[test]
fn what_was_held_back_comes_soon_after_its_queue_is_back() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let transactions = Redis::start(layout.scratch(), &[]);
    let server = Settings::on(&layout)
        .set("redis.transactions", format!("[{:?}]", transactions.url()))
        .set("redis.reply_timeout", "500ms")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let queues = layout.redis_servers();
    let due = || {
        let first = transactions.call(&["ZRANGE", "pb:delayed", "0", "0", "WITHSCORES"]);
        first.list().last().map(RedisReply::text)
    };
    let body = json!({"payload": "held back", "priority": "H", "queue": [{"id": q.id}]});
    queues[0].freeze();
    client
        .call(&post("/trans?delay=0.3", &body))
        .assert_json_head(200);
    let before = due();
    eventually("it has been claimed", || due() != before);
    // What was asked after it has been given up, so that is given up as well.
    client.call(&get(q.route("peek"))).assert_some_error(503);
    queues[0].thaw();
    let started = Instant::now();
    eventually("the queue is back", || {
        client.call(&get(q.route("peek"))).status == 200
    });
    let popped = client.pop(&q, &json!({"timeout": 60}));
    assert_eq!(popped.data, ["held back"]);
    soon(started);
}

/// What is held back takes room as well.
#[test]
fn delayed_pushes_are_refused_by_a_server_without_memory() {
    const ROOM_MIB: usize = 8;
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let flags = ["--maxmemory", &format!("{ROOM_MIB}mb")];
    let transactions = Redis::start(layout.scratch(), &flags);
    let server = with_transactions_on(&layout, &transactions);
    let mut client = server.client();
    let q = Queue::fresh();
    let body = json!({"payload": "x".repeat(1 << 18), "priority": "H", "queue": [{"id": q.id}]});
    let push = post("/trans?delay=100", &body);
    let refused = (0..ROOM_MIB * 8)
        .map(|_| client.call(&push))
        .find(|response| response.status != 200)
        .expect("refused once its memory is full");
    refused.assert_some_error(503);
    let more = client.call(&post("/trans", &body));
    more.assert_some_error(503);
    // Nothing of it is left in the queue.
    assert!(client.peek(&q).is_empty());
}

/// After a failover the old server may live on as a replica. Who has a connection to it looks for the new one.
#[test]
fn a_server_that_becomes_a_replica_counts_as_out_of_reach() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let redis = layout.redis_servers()[0];
    let server = Settings::on(&layout).start();
    let (mut client, mut waiting) = (server.client(), server.client());
    let q = Queue::fresh();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    redis.call(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the server says what is wrong", || {
        let root = client.call(&get("/"));
        String::from_utf8_lossy(&root.body).contains("replica")
    });
    // As if the address had moved to a new master, which knows nobody who waits.
    redis.call(&["REPLICAOF", "NO", "ONE"]);
    redis.call(&["FLUSHALL"]);
    eventually("the waiter is in line again", || {
        let description = client.call(&get(q.path()));
        description.status == 200 && description.json()["blocked"] == json!(true)
    });
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    eventually("pushes are taken", || {
        client.call(&post("/trans", &body)).status == 200
    });
    assert_eq!(Popped::parse(&waiting.receive()).data, ["p"]);
}

/// What is held back for queues of a server that is away holds up nothing else.
#[test]
fn delayed_messages_reach_the_servers_that_are_there() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let away = layout.redis_servers()[0];
    let there = Redis::start(layout.scratch(), &[]);
    let transactions = Redis::start(layout.scratch(), &[]);
    let server = Settings::on(&layout)
        .set(
            "redis.queues",
            format!("[{:?}, {:?}]", away.url(), there.url()),
        )
        .set("redis.transactions", format!("[{:?}]", transactions.url()))
        .start();
    let mut client = server.client();
    let mut queue_on = |redis: &Redis| {
        let mut queues = (0..64).map(|_| Queue::fresh());
        queues.find(|q| {
            client.push(q, "which");
            redis.keys().iter().any(|key| key.contains(&q.id))
        })
    };
    let waits = queue_on(away).expect("a queue on one");
    let other = queue_on(&there).expect("a queue on the other");
    client.pop(&other, &json!({}));
    for q in [&waits, &other] {
        let body = json!({"payload": "held back", "priority": "H", "queue": [{"id": q.id}]});
        client
            .call(&post("/trans?delay=1", &body))
            .assert_json_head(200);
    }
    away.kill();
    let popped = client.pop(&other, &json!({"timeout": 10}));
    assert_eq!(popped.data, ["held back"]);
}

/// To clear away a backlog takes several goes, and what is behind it is found all the same.
#[test]
fn a_pop_finds_what_is_behind_thousands_that_ended_in_one_second() {
    const ENDED: usize = 3000;
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let server = Settings::on(&layout).set("redis.sweep", "60s").start();
    let mut client = server.client();
    let q = Queue::fresh();
    let ends_at = now_s() + 4;
    let body = json!({
        "payload": "ended", "priority": "H", "queue": [{"id": q.id}], "expirationDate": ends_at,
    });
    for _ in 0..ENDED / 25 {
        let request = post("/trans", &body).bytes("h");
        client.send_raw(&request.repeat(25));
        for _ in 0..25 {
            client.receive().assert_json_head(200);
        }
    }
    client.push_with(&q, "alive", json!({"priority": "L"}));
    eventually("their second has come", || now_s() >= ends_at);
    assert_eq!(client.pop(&q, &json!({"timeout": 10})).data, ["alive"]);
}

/// A server that was stopped, or got no processor for long, does not take that for the silence of Redis.
#[test]
fn an_answer_that_came_while_we_stood_still_is_taken() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let redis = layout.redis_servers()[0];
    let server = Settings::on(&layout)
        .set("redis.reply_timeout", "3s")
        .start();
    let mut client = server.client();
    let q = Queue::fresh();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    redis.freeze();
    client.send(&post("/trans", &body));
    pause();
    server.signal(libc::SIGSTOP);
    pause();
    redis.thaw();
    assert!(client.is_silent_for(Duration::from_millis(3500)));
    server.signal(libc::SIGCONT);
    client.receive().assert_json_head(200);
}
