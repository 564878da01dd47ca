//! Hand-overs that come nowhere: the connection that brings them ends first.

use std::rc::Rc;

use super::{
    super::{
        connection::question,
        handed::Handed,
        shard::{Popped, QueueKey, Waiter},
    },
    bench::{Agents, Bench, Layout},
    order::{LIMITS, push, queue},
};
use crate::mailbox::{LeaseKind, Op, Pop, Reply, Ticket, TransactionId, engine::model_test::START};

/// Asks as a worker of that name for the pop of that number, which had other names before.
fn ask(agents: &Agents, name: &str, number: u64, earlier: &[&str], kind: LeaseKind) -> Popped {
    let key = QueueKey::of(&queue("a"));
    let pop = two(kind);
    let waiter = Waiter {
        worker: name,
        number,
    };
    let earlier: Vec<Rc<str>> = earlier.iter().map(|&it| it.into()).collect();
    let client = Rc::clone(&agents.worker(0).client);
    let asking = async {
        let shard = client.shard_of(&key);
        let (question, answer) = question();
        shard.pop(&key, &pop, Some(waiter), &earlier, |popped| {
            question.answer(popped);
        });
        answer.await
    };
    agents.bench.run(asking).unwrap()
}

fn two(kind: LeaseKind) -> Pop {
    Pop {
        queue: queue("a"),
        count_max: 2,
        bytes_max: usize::MAX,
        lease: std::time::Duration::from_hours(1),
        kind,
        wait: true,
    }
}

fn handed(popped: Popped) -> Handed {
    match popped {
        Popped::Messages(handed) => handed,
        popped => panic!("{popped:?}"),
    }
}

fn with_messages(count: u128) -> (Agents, Vec<TransactionId>) {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, Some(START));
    let orders: Vec<_> = (0..count).map(|it| push(it, &["a"], "x")).collect();
    agents.answers(orders.iter().map(super::order::Order::op));
    (agents, orders.iter().map(super::order::Order::id).collect())
}

/// The seventh of a worker.
const TICKET: u64 = 7 << 32 | 5;

const FIRST: &str = "0123456789abcdef";
const SECOND: &str = "fedcba9876543210";
const THIRD: &str = "00000001aaaaaaaa";

#[test]
fn who_asks_again_gets_what_it_was_handed_in_vain() {
    for kind in [LeaseKind::Delivery, LeaseKind::Reliable] {
        let (agents, ids) = with_messages(3);
        assert_eq!(
            handed(ask(&agents, FIRST, TICKET, &[], kind)).ids(),
            ids[..2]
        );
        let again = handed(ask(&agents, SECOND, TICKET, &[FIRST], kind));
        assert_eq!(again.ids(), ids[..2], "in their old places");
        assert!(again.messages.iter().all(|it| it.deliveries == 1));
        let again = handed(ask(&agents, THIRD, TICKET, &[FIRST, SECOND], kind));
        assert_eq!(again.ids(), ids[..2]);
        assert_eq!(agents.told(), [], "nobody has heard that they were out");
    }
}

#[test]
fn what_others_were_handed_stays_theirs() {
    let (agents, ids) = with_messages(3);
    let kind = LeaseKind::Reliable;
    assert_eq!(
        handed(ask(&agents, FIRST, TICKET, &[], kind)).ids(),
        ids[..2]
    );
    // Another pop of that worker; the same number at another.
    assert_eq!(
        handed(ask(&agents, THIRD, TICKET + (1 << 32), &[FIRST], kind)).ids(),
        ids[2..]
    );
    assert_eq!(ask(&agents, SECOND, TICKET, &[THIRD], kind), Popped::Waits);
}

#[test]
fn what_comes_back_for_a_wait_that_is_over_goes_to_others() {
    let (agents, ids) = with_messages(2);
    let kind = LeaseKind::Reliable;
    assert_eq!(handed(ask(&agents, FIRST, TICKET, &[], kind)).ids(), ids);
    let recover = async {
        let client = Rc::clone(&agents.worker(0).client);
        let key = QueueKey::of(&queue("a"));
        let shard = client.shard_of(&key);
        let names = [SECOND.into(), FIRST.into()];
        shard.recover(&key, &two(kind), TICKET, &names).await
    };
    agents.bench.run(recover).unwrap();
    assert_eq!(handed(ask(&agents, SECOND, TICKET, &[], kind)).ids(), ids);
}

#[test]
fn who_waits_by_a_name_that_is_gone_when_the_answer_comes_asks_again() {
    waits_though_asked_as(FIRST);
}

#[test]
fn who_was_asked_for_before_its_worker_had_a_name_waits() {
    waits_though_asked_as("");
}

/// A pop waits though its worker has another name by the time of the answer.
fn waits_though_asked_as(other: &str) {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, Some(START));
    let client = Rc::clone(&agents.worker(0).client);
    let bench = Rc::clone(&agents.bench);
    let ticket = Ticket {
        number: TICKET,
        ..agents.next_ticket()
    };
    bench.run(async {
        let shard = client.shard_of(&QueueKey::of(&queue("a")));
        let name = shard.worker();
        shard.set_worker(other);
        agents.submit(ticket, Op::Pop(two(LeaseKind::Delivery)));
        // Behind its task, which asks, and before there is an answer.
        monoio::spawn(async {}).await;
        shard.set_worker(&name);
        client.sweep_shard(0).await;
        agents.calm().await;
    });
    assert_eq!(agents.replies(), []);
    let order = push(1, &["a"], "x");
    let replies = agents.tell_all([order.op()].into_iter());
    let answered = replies.iter().find(|it| it.0 == ticket);
    let Some((_, Reply::Messages(handout))) = answered else {
        panic!("{replies:?}");
    };
    assert_eq!(handout.messages[0].id, order.id());
}
