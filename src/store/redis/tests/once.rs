//! Pushes with keys whose agents end in the middle, fail half way, or are two.

use std::{rc::Rc, time::Duration};

use redis_protocol::resp3::types::BytesFrame;

use super::{
    bench::{Agents, Bench, Layout},
    order::{LIMITS, Order, pop, push, queue},
};
use crate::mailbox::{
    Idempotency, IdempotencyKey, Limits, Op, Push, Realm, Refusal, Reply, Tenant, TransactionId,
    UnixMillis, engine::model_test::START,
};

/// Its only key.
const KEY: &str = "pb:i:{p-/once}";

/// More than a push belongs to who began it.
const SILENCE: Duration = Duration::from_secs(11);

const QUEUES: [&str; 3] = ["a", "b", "c"];

fn keyed(order: &Order) -> Op {
    let Op::Push(push) = order.op() else {
        unreachable!();
    };
    let mut fingerprint = [0; 16];
    fingerprint[..order.record.payload.len()].copy_from_slice(&order.record.payload);
    let idempotency = Idempotency {
        key: IdempotencyKey {
            realm: Realm::Plain,
            tenant: Tenant(None),
            text: "once".into(),
        },
        fingerprint,
        life: Duration::from_hours(1),
    };
    Op::Push(Box::new(Push {
        idempotency: Some(idempotency.into()),
        may_repeat: false,
        ..*push
    }))
}

fn popped(agents: &mut Agents, id: &str) -> Vec<TransactionId> {
    let Reply::Messages(handout) = agents.answer(pop(id)) else {
        panic!("{id} refuses");
    };
    let ids: Vec<TransactionId> = handout.messages.iter().map(|it| it.id).collect();
    agents.tell(Op::Settle {
        queue: queue(id),
        lease: handout.lease,
        transactions: ids.clone(),
    });
    ids
}

/// As if who pushed it had ended before it was noted as done.
fn begun(agents: &Agents, now: UnixMillis) {
    let server = agents.bench.transactions();
    server.ask(&["HSET", KEY, "b", &now.0.to_string()]);
}

/// As if a message had never come to a queue.
fn empty(agents: &Agents, id: &str) {
    for server in &agents.bench.queues {
        for part in ["", ":h", ":l", ":r", ":t"] {
            server.ask(&["DEL", &format!("pb:q:{{p-/{id}}}{part}")]);
        }
        server.ask(&["ZREM", "pb:due", &format!("pb:q:{{p-/{id}}}")]);
    }
}

#[test]
fn a_push_whose_agent_was_killed_is_finished_by_its_repeat() {
    // What there was of it: nothing but the key, the record, the record and some queues, all.
    for stage in 0..4 {
        for layout in [Layout::One, Layout::Three] {
            let mut agents = Agents::start(&Bench::new(layout), 2, &LIMITS, Some(START));
            let order = push(1, &QUEUES, "x");
            assert_eq!(agents.answer(keyed(&order)), Reply::Pushed(order.id()));
            begun(&agents, START);
            match stage {
                0 => drop(agents.answer(Op::Delete(order.id()))),
                1 => QUEUES.iter().for_each(|id| empty(&agents, id)),
                2 => empty(&agents, "b"),
                _ => {}
            }
            let delivered = popped(&mut agents, "a");
            agents.crash(Some(START));
            agents.set_time(START.plus(SILENCE));
            let again = push(2, &QUEUES, "x");
            assert_eq!(agents.answer(keyed(&again)), Reply::Pushed(order.id()));
            // That it is done is known at once.
            assert_eq!(agents.answer(keyed(&again)), Reply::Pushed(order.id()));
            let left = popped(&mut agents, "a");
            assert_eq!([delivered, left].concat(), [order.id()], "stage {stage}");
            for id in ["b", "c"] {
                assert_eq!(popped(&mut agents, id), [order.id()], "stage {stage}");
            }
        }
    }
}

#[test]
fn a_repeat_brings_nothing_again_that_was_delivered() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, Some(START));
    let order = push(1, &["a"], "x");
    agents.answer(keyed(&order));
    assert_eq!(popped(&mut agents, "a"), [order.id()]);
    begun(&agents, START);
    agents.set_time(START.plus(SILENCE));
    assert_eq!(agents.answer(keyed(&order)), Reply::Pushed(order.id()));
    assert_eq!(popped(&mut agents, "a"), []);
}

#[test]
fn a_repeat_waits_for_who_is_at_it() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, Some(START));
    let order = push(1, &QUEUES, "x");
    agents.answer(keyed(&order));
    begun(&agents, START);
    let bench = Rc::clone(&agents.bench);
    let repeat = agents.next_ticket();
    bench.run(async {
        agents.submit(repeat, keyed(&push(2, &QUEUES, "x")));
        // One for the task, one for the question, one for its answer.
        for _ in 0..3 {
            agents.round_trip().await;
        }
    });
    assert_eq!(agents.replies(), []);
    bench.transactions().ask(&["HDEL", KEY, "b"]);
    bench.run(agents.calm());
    assert_eq!(agents.replies(), [(repeat, Reply::Pushed(order.id()))]);
    assert_eq!(popped(&mut agents, "a"), [order.id()]);
}

#[test]
fn many_agents_with_one_key_push_once() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 3, &LIMITS, None);
    let pushes = (1..=50).map(|number| keyed(&push(number, &QUEUES, "x")));
    let replies = agents.answers(pushes);
    let Some(&Reply::Pushed(id)) = replies.first() else {
        panic!("{replies:?}");
    };
    assert_eq!(replies, vec![Reply::Pushed(id); 50]);
    for queue in QUEUES {
        assert_eq!(popped(&mut agents, queue), [id]);
    }
}

#[test]
fn a_push_that_fails_half_way_stays_for_its_repeat() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    let bench = Rc::clone(&agents.bench);
    bench.queues[0].ask(&["CONFIG", "SET", "maxmemory", "1"]);
    // Some of them are on the other server.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let order = push(1, &names, "x");
    let refused = agents.answer(keyed(&order));
    assert!(
        matches!(refused, Reply::Refused(Refusal::Full(_))),
        "{refused:?}"
    );
    let early: Vec<Vec<TransactionId>> = names.map(|id| popped(&mut agents, id)).into();
    assert!(early.concat().iter().all(|id| *id == order.id()));
    bench.queues[0].ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let again = push(2, &names, "x");
    assert_eq!(agents.answer(keyed(&again)), Reply::Pushed(order.id()));
    for (id, early) in names.iter().zip(early) {
        let late = popped(&mut agents, id);
        assert_eq!([early, late].concat(), [order.id()], "{id}");
    }
}

#[test]
fn a_push_that_is_refused_leaves_no_key_behind() {
    let narrow = Limits {
        queues_per_transaction_max: 2,
        ..LIMITS
    };
    let mut agents = Agents::start(&Bench::new(Layout::One), 2, &narrow, None);
    let refused = agents.answer(keyed(&push(1, &QUEUES, "x")));
    assert_eq!(refused, Reply::Refused(Refusal::TooManyQueues(2)));
    let order = push(2, &QUEUES[..2], "y");
    assert_eq!(agents.answer(keyed(&order)), Reply::Pushed(order.id()));
    let other = agents.answer(keyed(&push(3, &QUEUES[..2], "x")));
    assert_eq!(other, Reply::Refused(Refusal::OtherPush));
    let life = agents.bench.transactions().ask(&["PTTL", KEY]);
    let BytesFrame::Number { data: life, .. } = life else {
        panic!("{life:?}");
    };
    assert!((3_500_000..=3_600_000).contains(&life), "{life}");
}
