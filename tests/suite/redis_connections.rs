//! What the server opens to its Redis servers: few connections, and no more however many wait.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Layout, Popped, Queue, Server, Settings};

const WAITING: usize = 2000;

/// The numbers of all connections to all of the store's servers.
fn connections(layout: &Layout) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for redis in layout.redis_servers() {
        for client in redis.client_list() {
            all.insert((redis.address(), client["id"].clone()));
        }
    }
    all
}

/// Does a little of everything by every worker, so that whatever is opened when it is needed is open.
fn warm_up(server: &Server) {
    let mut waiting = server.client();
    for client in &mut server.clients(24) {
        client.assert_alive();
        let q = Queue::fresh();
        waiting.start_pop(&q);
        client.await_blocked(&q, true);
        client.push(&q, "woken");
        assert_eq!(Popped::parse(&waiting.receive()).data, ["woken"]);
        client.push(&q, "acked");
        let id = client.poprel(&q, &json!({})).transactions.remove(0);
        client.ack(&q, &[&id]);
        waiting = server.client();
    }
}

/// Lets this process open as many files as it ever may.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn waiting_pops_take_no_connections() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    allow_many_files();
    let server = Settings::on(&layout).set("server.workers", 2).start();
    warm_up(&server);
    let before = connections(&layout);
    assert!(!before.is_empty());

    let queues: Vec<Queue> = (0..WAITING).map(|_| Queue::fresh()).collect();
    let mut waiting = server.clients(WAITING);
    for (client, q) in waiting.iter_mut().zip(&queues) {
        client.start_pop(q);
    }
    let mut client = server.client();
    for q in &queues {
        client.await_blocked(q, true);
    }
    assert_eq!(connections(&layout), before);

    client.push_to_all(&queues.iter().collect::<Vec<_>>(), "to all");
    for client in &mut waiting {
        assert_eq!(Popped::parse(&client.receive()).data, ["to all"]);
    }
    assert_eq!(connections(&layout), before);
}

#[test]
fn requests_take_no_connections() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).set("server.workers", 2).start();
    warm_up(&server);
    let before = connections(&layout);
    warm_up(&server);
    assert_eq!(connections(&layout), before);
}

#[test]
fn a_server_that_ends_closes_its_connections() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    warm_up(&server);
    server.stop();
    crate::support::eventually("no connection is left", || connections(&layout).is_empty());
}

/// Other users of the same servers have nothing to fear.
#[test]
fn every_key_begins_with_the_prefix() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let server = Settings::on(&layout).start();
    warm_up(&server);
    let (mut client, mut waiting) = (server.client(), server.client());
    client.push(&Queue::fresh(), "p");
    client.push(&Queue::of("tenant", "q"), "p");
    let group = json!({"name": "g", "queues": ["q"]});
    client
        .call(&crate::support::post("/group", &group))
        .assert_json_head(200);
    let q = Queue::fresh();
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    for redis in layout.redis_servers() {
        let keys = redis.keys();
        let strange: Vec<&String> = keys.iter().filter(|key| !key.starts_with("pb:")).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
}
