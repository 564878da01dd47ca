//! As much at once as there may be.

use std::time::Duration;

use super::{
    bench::{Agents, Bench, Layout},
    order::{LIMITS, Order, pop, push, queue},
};
use crate::mailbox::{
    AckItem, GroupChange, GroupName, LeaseKind, Op, Pop, Refusal, Reply, Return, State, Tenant,
    TransactionId, engine::model_test::START,
};

const MANY: usize = 10_000;

fn ids_of(reply: &Reply) -> Vec<TransactionId> {
    let Reply::Messages(handout) = reply else {
        panic!("{reply:?}");
    };
    handout.messages.iter().map(|it| it.id).collect()
}

fn size(agents: &mut Agents, id: &str) -> usize {
    match agents.answer(Op::DescribeQueue(queue(id))) {
        Reply::Queue(info) => info.size,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_push_to_ten_thousand_queues_is_in_all_of_them_and_can_be_taken_back() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    let names: Vec<String> = (0..MANY).map(|it| format!("q{it}")).collect();
    let queues: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = push(1, &queues, "to everybody");
    let id = order.id();
    assert_eq!(agents.answer(order.op()), Reply::Pushed(order.id()));
    let Reply::States(states) = agents.answer(Op::States(id)) else {
        panic!("no states");
    };
    assert!(states.iter().map(|it| &it.0).eq(&order.names));
    assert!(states.iter().all(|it| it.1 == State::Pending));
    for name in ["q0", "q127", "q128", "q5000", "q9999"] {
        assert_eq!(ids_of(&agents.answer(pop(name))), [id]);
    }
    assert_eq!(agents.answer(Op::Delete(id)), Reply::Done);
    for name in ["q1", "q4999", "q9998"] {
        assert_eq!(size(&mut agents, name), 0);
    }
    let one_more: Vec<&str> = queues.iter().copied().chain(["x"]).collect();
    let refused = agents.answer(push(2, &one_more, "").op());
    assert_eq!(refused, Reply::Refused(Refusal::TooManyQueues(MANY)));
}

#[test]
fn ten_thousand_messages_are_popped_at_once_and_given_back_and_delivered() {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, None);
    let pushes = (0..MANY as u128).map(|it| push(it, &["a"], &it.to_string()).op());
    assert!(
        agents
            .answers(pushes)
            .iter()
            .all(|it| matches!(it, Reply::Pushed(_)))
    );
    let Reply::Queue(line) = agents.answer(Op::DescribeQueue(queue("a"))) else {
        panic!("no queue");
    };
    assert_eq!(line.high.len(), MANY);
    let Reply::Messages(handout) = agents.answer(pop("a")) else {
        panic!("no messages");
    };
    let ids: Vec<TransactionId> = handout.messages.iter().map(|it| it.id).collect();
    assert_eq!(ids, line.high);
    let release = Op::Release {
        queue: queue("a"),
        lease: handout.lease,
        transactions: ids.clone(),
        reason: Return::Unfinished,
    };
    assert_eq!(agents.answer(release), Reply::Released(MANY));
    let again = agents.answer(pop("a"));
    assert_eq!(ids_of(&again), ids, "in their old order");
    assert_eq!(size(&mut agents, "a"), 0);
    let Reply::Messages(handout) = again else {
        unreachable!();
    };
    agents.tell(Op::Settle {
        queue: queue("a"),
        lease: handout.lease,
        transactions: ids.clone(),
    });
    for id in [ids[0], ids[MANY - 1]] {
        let states = vec![(queue("a"), State::Delivered)];
        assert_eq!(agents.answer(Op::States(id)), Reply::States(states));
    }
}

#[test]
fn what_lapses_together_goes_in_order_to_one_who_waits() {
    const LAPSING: usize = 5000;
    let mut agents = Agents::start(&Bench::new(Layout::One), 2, &LIMITS, Some(START));
    let pushes = (0..LAPSING as u128).map(|it| push(it, &["a"], "x").op());
    agents.answers(pushes);
    let lease = Duration::from_secs(1);
    let reliable = |wait| {
        Op::Pop(Pop {
            queue: queue("a"),
            count_max: MANY,
            bytes_max: usize::MAX,
            lease,
            kind: LeaseKind::Reliable,
            wait,
        })
    };
    let ids = ids_of(&agents.answer(reliable(false)));
    assert_eq!(ids.len(), LAPSING);
    let waiting = agents.tell(reliable(true));
    assert_eq!(waiting, []);
    agents.set_time(START.plus(lease));
    let replies = agents.look_after();
    let [(_, reply)] = &replies[..] else {
        panic!("{} replies", replies.len());
    };
    assert_eq!(ids_of(reply), ids);
}

#[test]
fn a_group_may_have_ten_thousand_members() {
    let mut agents = Agents::start(&Bench::new(Layout::One), 2, &LIMITS, None);
    let name = GroupName {
        tenant: Tenant(None),
        name: "everybody".into(),
    };
    let mut members: Vec<Box<str>> = (0..MANY).map(|it| format!("q{it}").into()).collect();
    let store = Op::StoreGroup(name.clone(), members.clone());
    assert_eq!(agents.answer(store), Reply::Done);
    let one_more = Op::StoreGroup(name.clone(), vec!["x".into()]);
    let refused = Reply::Refused(Refusal::TooManyQueues(MANY));
    assert_eq!(agents.answer(one_more), refused);
    let order = Order {
        groups: vec![name.clone()],
        ..push(1, &[], "to everybody")
    };
    assert_eq!(agents.answer(order.op()), Reply::Pushed(order.id()));
    for member in ["q0", "q9999"] {
        assert_eq!(ids_of(&agents.answer(pop(member))), [order.id()]);
    }
    let change = GroupChange {
        add: vec!["x".into()],
        remove: members.split_off(5000),
    };
    let changed = agents.answer(Op::ChangeGroup(name.clone(), change));
    assert_eq!(changed, Reply::Found(true));
    members.push("x".into());
    members.sort();
    assert_eq!(agents.answer(Op::Group(name)), Reply::Group(members));
}

#[test]
fn what_leaves_the_middle_of_a_line_is_not_counted() {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, None);
    let orders: Vec<_> = (1..=200).map(|it| push(it, &["a"], "x")).collect();
    agents.answers(orders.iter().map(Order::op));
    let ack = |ids: &[TransactionId]| Op::Ack {
        queue: queue("a"),
        transactions: ids
            .iter()
            .map(|id| AckItem {
                text: id.to_string().into(),
                id: Some(*id),
            })
            .collect(),
    };
    let ids: Vec<_> = orders.iter().map(Order::id).collect();
    let mut left = 200;
    for some in [&ids[150..160], &ids[20..150], &ids[1..2]] {
        assert_eq!(
            agents.answer(ack(some)),
            Reply::Acked(vec![true; some.len()])
        );
        left -= some.len();
        assert_eq!(size(&mut agents, "a"), left);
    }
    let popped = ids_of(&agents.answer(pop("a")));
    assert_eq!(popped, [&ids[..1], &ids[2..20], &ids[160..]].concat());
    assert_eq!(size(&mut agents, "a"), 0);
}
