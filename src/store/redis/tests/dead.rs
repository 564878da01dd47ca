//! Dead letters where the histories do not reach: many at once, who tells of them, notes that cross.

use std::{collections::HashSet, time::Duration};

use super::{
    bench::{Agents, Bench, Layout},
    order::{LIMITS, Order, pop, push, queue},
};
use crate::mailbox::{
    DeadSelection, Handout, LeaseKind, Limits, Op, Pop, Reply, Return, State, TransactionId,
    engine::model_test::{START, Told},
};

const LEASE: Duration = Duration::from_secs(2);

const DYING: Limits = Limits {
    deliveries_max: 1,
    ..LIMITS
};

fn reliable(id: &str) -> Op {
    Op::Pop(Pop {
        queue: queue(id),
        count_max: 10_000,
        bytes_max: usize::MAX,
        lease: LEASE,
        kind: LeaseKind::Reliable,
        wait: false,
    })
}

fn handout(reply: Reply) -> Handout {
    match reply {
        Reply::Messages(handout) => handout,
        reply => panic!("{reply:?}"),
    }
}

fn ids(handout: &Handout) -> Vec<TransactionId> {
    handout.messages.iter().map(|it| it.id).collect()
}

fn first(id: &str, count_max: usize) -> DeadSelection {
    DeadSelection {
        queue: queue(id),
        transactions: None,
        count_max,
    }
}

fn state(agents: &mut Agents, id: TransactionId) -> State {
    match agents.answer(Op::States(id)) {
        Reply::States(states) => states[0].1,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn more_than_one_call_moves_are_moved_in_order() {
    const DYING_TOGETHER: usize = 2500;
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &DYING, Some(START));
    agents.answers((0..DYING_TOGETHER as u128).map(|it| push(it, &["a"], "x").op()));
    let all = ids(&handout(agents.answer(reliable("a"))));
    assert_eq!(all.len(), DYING_TOGETHER);
    agents.set_time(START.plus(LEASE));
    assert_eq!(agents.look_after(), []);
    assert_eq!(agents.deaths(), DYING_TOGETHER as u64);
    let moved = agents.answer(Op::Redrive(first("a", 1200)));
    assert_eq!(
        moved,
        Reply::Moved {
            moved: 1200,
            left: 1300
        }
    );
    // Those that are dead no more, and what never was, are none of it.
    let named = DeadSelection {
        transactions: Some(all[..2400].iter().rev().copied().collect()),
        ..first("a", 10_000)
    };
    let moved = agents.answer(Op::Redrive(named));
    assert_eq!(
        moved,
        Reply::Moved {
            moved: 1200,
            left: 100
        }
    );
    let again = handout(agents.answer(reliable("a")));
    assert_eq!(ids(&again), all[..2400], "in their old order");
    assert!(again.messages.iter().all(|it| it.deliveries == 1));
    let moved = agents.answer(Op::Purge(first("a", 10_000)));
    assert_eq!(
        moved,
        Reply::Moved {
            moved: 100,
            left: 0
        }
    );
    assert_eq!(state(&mut agents, all[0]), State::Blocked);
    assert_eq!(state(&mut agents, all[2499]), State::Expired);
}

#[test]
fn each_death_is_told_once_by_whoever_comes_across_it() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 3, &DYING, Some(START));
    let mut now = START;
    let mut pushes = 0;
    let mut dies_by = |agents: &mut Agents, op: Option<Op>| {
        pushes += 1;
        agents.answer(push(pushes, &["a"], "x").op());
        assert_eq!(ids(&handout(agents.answer(reliable("a")))).len(), 1);
        now = now.plus(LEASE);
        agents.set_time(now);
        if let Some(op) = op {
            agents.answer(op);
        }
        // Whoever looks after that finds it done.
        agents.look_after();
        agents.look_after();
        agents.deaths()
    };
    assert_eq!(dies_by(&mut agents, None), 1);
    assert_eq!(dies_by(&mut agents, Some(pop("a"))), 2);
    assert_eq!(dies_by(&mut agents, Some(Op::DescribeQueue(queue("a")))), 3);
    let pushing = push(100, &["a"], "x").op();
    assert_eq!(dies_by(&mut agents, Some(pushing)), 4);
    assert_eq!(handout(agents.answer(pop("a"))).messages.len(), 1);
    // A subscription ends its lease early.
    agents.answer(push(101, &["a"], "x").op());
    let out = handout(agents.answer(reliable("a")));
    let release = Op::Release {
        queue: queue("a"),
        lease: out.lease,
        transactions: ids(&out),
        reason: Return::Lapsed,
    };
    assert_eq!(agents.answer(release.clone()), Reply::Released(1));
    assert_eq!(agents.answer(release), Reply::Released(0));
    assert_eq!(agents.deaths(), 5);
    assert_eq!(state(&mut agents, ids(&out)[0]), State::Dead);
}

#[test]
fn what_is_deleted_has_expired_if_its_life_was_over_and_nobody_had_looked() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 1, &LIMITS, Some(START));
    let orders = [1, 2].map(|number| push(number, &["a"], "x"));
    agents.answers(orders.iter().map(Order::op));
    agents.answer(Op::Delete(orders[0].id()));
    agents.set_time(START.plus(Duration::from_hours(2)));
    agents.answer(Op::Delete(orders[1].id()));
    agents.look_after();
    let expired = Told::of(queue("a"), orders[1].id(), State::Expired);
    assert_eq!(agents.told(), [expired]);
}

#[test]
fn more_than_one_call_drops_are_told_each_once() {
    const EXPIRING: usize = 2500;
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, Some(START));
    agents.answers((0..EXPIRING as u128).map(|it| push(it, &["a"], "x").op()));
    agents.set_time(START.plus(Duration::from_hours(2)));
    assert!(handout(agents.answer(pop("a"))).messages.is_empty());
    let mut told = agents.told();
    assert!(told.len() > 1000, "{} are told by the pop", told.len());
    agents.look_after();
    told.extend(agents.told());
    assert!(told.iter().all(|it| it.state == State::Expired));
    let ids: HashSet<TransactionId> = told.iter().map(|it| it.id).collect();
    assert_eq!((told.len(), ids.len()), (EXPIRING, EXPIRING));
}

#[test]
fn a_full_server_lets_dead_letters_go() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &DYING, Some(START));
    let pushes = (1..=3).map(|it| push(it, &["a"], "x").op());
    agents.answers(pushes);
    handout(agents.answer(reliable("a")));
    let bench = std::rc::Rc::clone(&agents.bench);
    for server in bench.servers() {
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    }
    agents.set_time(START.plus(LEASE));
    agents.look_after();
    let redrive = agents.answer(Op::Redrive(first("a", 1)));
    assert_eq!(redrive, Reply::Moved { moved: 1, left: 2 });
    let purge = agents.answer(Op::Purge(first("a", 1)));
    assert_eq!(purge, Reply::Moved { moved: 1, left: 1 });
    let taken = handout(agents.answer(pop("a")));
    assert_eq!(taken.messages.len(), 1);
}
