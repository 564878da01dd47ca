//! Several servers on one Redis store: they serve as one, and what one of them held when it died, another gives out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Client, Layout, Popped, Queue, RedisReply, Settings, at_least, eventually, pause, post, soon,
};

/// What the store has written about a queue: each of its keys with what is in it. A pop that begins to wait changes it,
/// and that is how a test knows that the pop is in line behind those before it.
fn traces(layout: &Layout, queue: &Queue) -> Vec<(String, RedisReply)> {
    let mut traces = Vec::new();
    for redis in layout.redis_servers() {
        for key in redis.keys() {
            if key.contains(&queue.id) {
                let dump = redis.call(&["DUMP", &key]);
                traces.push((key, dump));
            }
        }
    }
    traces
}

/// Begins a pop, and waits until it is in line.
#[track_caller]
fn stand_in_line(layout: &Layout, waiting: &mut Client, queue: &Queue) {
    let before = traces(layout, queue);
    waiting.start_pop(queue);
    eventually("a waiting pop is known to the store", || {
        traces(layout, queue) != before
    });
}

#[test]
fn what_is_pushed_to_one_is_popped_from_the_other() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (one, two) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let (mut pushing, mut popping) = (one.client(), two.client());
    let q = Queue::fresh();
    let ids = [pushing.push(&q, "a"), pushing.push(&q, "b")];
    assert_eq!(popping.peek(&q).data, ["a", "b"]);
    assert_eq!(popping.transaction(&ids[0])["payload"], json!("a"));
    let popped = popping.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(popped.transactions, ids);
    pushing.await_state(&ids[0], &q, "Blocked");
    // The lease is the store's, not the agent's.
    assert_eq!(
        pushing.ack(&q, &[&ids[0]]),
        json!([{"err": null, "data": ids[0]}])
    );
    popping.await_state(&ids[0], &q, "Delivered");
}

#[test]
fn a_push_to_one_wakes_a_pop_of_the_other_at_once() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (one, two) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let (mut pushing, mut waiting) = (one.client(), two.client());
    for number in 0..50 {
        let q = Queue::fresh();
        waiting.start_pop(&q);
        if number % 2 == 0 {
            pushing.await_blocked(&q, true);
        }
        let started = Instant::now();
        let id = pushing.push(&q, "p");
        assert_eq!(Popped::parse(&waiting.receive()).transactions, [id]);
        soon(started);
    }
}

#[test]
fn two_agents_serve_one_queue_in_the_order_the_waiters_came() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let agents = [Settings::on(&layout).start(), Settings::on(&layout).start()];
    let q = Queue::fresh();
    let mut waiting: Vec<Client> = (0..8).map(|place| agents[place % 2].client()).collect();
    for client in &mut waiting {
        stand_in_line(&layout, client, &q);
    }
    let mut pushing = agents[0].client();
    for (number, client) in waiting.iter_mut().enumerate() {
        pushing.push(&q, &number.to_string());
        assert_eq!(Popped::parse(&client.receive()).data, [number.to_string()]);
    }
    assert!(pushing.peek(&q).is_empty());
    pushing.await_blocked(&q, false);
}

#[test]
fn consumers_and_producers_on_two_agents_lose_and_duplicate_nothing() {
    const PRODUCERS: usize = 4;
    const CONSUMERS: usize = 6;
    const EACH: usize = 250;
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let agents = [Settings::on(&layout).start(), Settings::on(&layout).start()];
    let q = Queue::fresh();
    let left = AtomicUsize::new(PRODUCERS * EACH);
    let seen: Vec<String> = thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let mut client = agents[producer % 2].client();
            let q = &q;
            scope.spawn(move || {
                for number in 0..EACH {
                    client.push(q, &format!("{producer}.{number}"));
                }
            });
        }
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|consumer| {
                let mut client = agents[consumer % 2].client();
                let (q, left) = (&q, &left);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while left.load(Ordering::SeqCst) > 0 {
                        let popped = client.pop(q, &json!({"max": 3, "timeout": 1}));
                        left.fetch_sub(popped.data.len(), Ordering::SeqCst);
                        seen.extend(popped.data);
                    }
                    seen
                })
            })
            .collect();
        let consumers = consumers.into_iter();
        consumers
            .flat_map(|consumer| consumer.join().unwrap())
            .collect()
    });
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), PRODUCERS * EACH, "some were lost");
    assert_eq!(seen.len(), distinct.len(), "some came twice");
}

#[test]
fn what_a_killed_agent_had_lent_comes_from_another_in_its_old_place() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (killed, other) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let mut client = other.client();
    let q = Queue::fresh();
    let ids = ["a", "b", "c", "d"].map(|payload| client.push(&q, payload));
    let started = Instant::now();
    let lent = killed
        .client()
        .poprel(&q, &json!({"max": 3, "timeoutACK": 2}));
    assert_eq!(lent.data, ["a", "b", "c"]);
    killed.kill();
    // A receipt may come through any agent.
    assert_eq!(
        client.ack(&q, &[&ids[1]]),
        json!([{"err": null, "data": ids[1]}])
    );
    client.await_pending(&q, &["a", "c", "d"]);
    at_least(started, Duration::from_secs(2));
    assert_eq!(client.pop(&q, &json!({})).data, ["a", "c", "d"]);
}

#[test]
fn what_a_killed_agent_was_writing_comes_from_another() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let settings = Settings::on(&layout).set("limits.delivery_lease", "1s");
    let (killed, other) = (settings.clone().start(), settings.start());
    let mut client = other.client();
    let q = Queue::fresh();
    // More than the buffers between a server and a client hold.
    let payloads: Vec<String> = ('a'..='o')
        .map(|letter| letter.to_string().repeat(1_000_000))
        .collect();
    for payload in &payloads {
        client.push(&q, payload);
    }
    let mut deaf = Client::connect_narrow(killed.addr);
    deaf.send(&post(q.route("pop"), &json!({})));
    client.await_size(&q, 0);
    killed.kill();
    client.await_size(&q, payloads.len());
    assert!(client.pop(&q, &json!({})).data == payloads);
}

#[test]
fn a_killed_agents_waiters_are_forgotten() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (killed, other) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let mut client = other.client();
    let queues: Vec<Queue> = (0..20).map(|_| Queue::fresh()).collect();
    let mut ghosts = killed.clients(queues.len());
    for (ghost, q) in ghosts.iter_mut().zip(&queues) {
        ghost.start_pop(q);
        client.await_blocked(q, true);
    }
    killed.kill();
    for q in &queues {
        client.await_blocked(q, false);
    }
    for q in &queues {
        client.push(q, "p");
        assert_eq!(client.pop(q, &json!({"timeout": 60})).data, ["p"]);
    }
}

#[test]
fn a_live_waiter_is_served_in_place_of_a_killed_agents() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let settings = Settings::on(&layout).set("limits.delivery_lease", "1s");
    let (killed, other) = (settings.clone().start(), settings.start());
    let (mut ghost, mut waiting, mut client) = (killed.client(), other.client(), other.client());
    let q = Queue::fresh();
    stand_in_line(&layout, &mut ghost, &q);
    stand_in_line(&layout, &mut waiting, &q);
    killed.kill();
    // At once: the store still believes in the first one.
    let id = client.push(&q, "p");
    assert_eq!(Popped::parse(&waiting.receive()).transactions, [id]);
    client.await_blocked(&q, false);
}

#[test]
fn an_agent_that_ends_politely_takes_its_waiters_along_and_leaves_the_others() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (ending, staying) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let (mut first, mut second) = (ending.client(), staying.client());
    let mut client = staying.client();
    let (q, alone) = (Queue::fresh(), Queue::fresh());
    stand_in_line(&layout, &mut first, &q);
    stand_in_line(&layout, &mut second, &q);
    let mut third = ending.client();
    third.start_pop(&alone);
    client.await_blocked(&alone, true);
    ending.stop();
    assert!(Popped::parse(&first.receive()).is_empty());
    assert!(Popped::parse(&third.receive()).is_empty());
    // No wait: a polite end leaves nothing to be found out.
    assert_eq!(client.queue_info(&alone)["blocked"], json!(false));
    let started = Instant::now();
    client.push(&q, "p");
    assert_eq!(Popped::parse(&second.receive()).data, ["p"]);
    soon(started);
}

#[test]
fn a_waiter_that_leaves_one_agent_costs_the_other_no_message() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (one, two) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let mut client = two.client();
    for reset in [false, true] {
        let q = Queue::fresh();
        let mut leaving = one.client();
        stand_in_line(&layout, &mut leaving, &q);
        leaving.leave(reset);
        client.push(&q, "a");
        client.push(&q, "b");
        client.await_pending(&q, &["a", "b"]);
    }
}

#[test]
fn groups_and_changes_are_seen_by_all() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let (one, two) = (Settings::on(&layout).start(), Settings::on(&layout).start());
    let (mut here, mut there) = (one.client(), two.client());
    let (q, group) = (Queue::fresh(), crate::support::unique("g"));
    here.call(&post("/group", &json!({"name": group, "queues": [q.id]})))
        .assert_json_head(200);
    let push = json!({"payload": "old", "priority": "H", "groups": [group]});
    let id = there.push_body(&push);
    let target = format!("/trans/{id}");
    here.call(&crate::support::put(&target, &json!({"payload": "new"})))
        .assert_json_head(200);
    assert_eq!(there.peek(&q).data, ["new"]);
    there
        .call(&crate::support::delete(&target))
        .assert_json_head(200);
    assert!(here.peek(&q).is_empty());
    assert_eq!(here.transaction(&id), json!({}));
}

/// Whichever agent looks for what is due: it comes once, and to whoever waits wherever.
#[test]
fn what_falls_due_wakes_the_waiters_of_every_agent_once() {
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let agents = [Settings::on(&layout).start(), Settings::on(&layout).start()];
    let mut client = agents[0].client();
    let queues = [Queue::fresh(), Queue::fresh()];
    let mut waiting: Vec<Client> = agents.iter().map(|agent| agent.client()).collect();
    for (waiter, q) in waiting.iter_mut().zip(&queues) {
        waiter.start_pop(q);
        client.await_blocked(q, true);
    }
    let ids = queues.each_ref().map(|q| json!({"id": q.id}));
    let body = json!({"payload": "later", "priority": "H", "queue": ids});
    let started = Instant::now();
    client
        .call(&post("/trans?delay=1", &body))
        .assert_json_head(200);
    for waiter in &mut waiting {
        assert_eq!(Popped::parse(&waiter.receive()).data, ["later"]);
        at_least(started, Duration::from_secs(1));
    }
    pause();
    for q in &queues {
        assert!(client.peek(q).is_empty());
    }
}
