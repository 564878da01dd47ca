//! Servers that do not do as they are told: one that has forgotten its functions, one whose memory is full.

use super::{
    bench::{Agents, Bench, Layout},
    order::{LIMITS, pop, push, queue, waiting_pop},
};
use crate::mailbox::{AckItem, GroupName, Op, Refusal, Reply, Tenant, Update};

fn payloads(reply: &Reply) -> Vec<&[u8]> {
    let Reply::Messages(handout) = reply else {
        panic!("{reply:?}");
    };
    handout.messages.iter().map(|it| &*it.payload).collect()
}

#[test]
fn functions_that_a_server_has_forgotten_are_given_to_it_again() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    let bench = std::rc::Rc::clone(&agents.bench);
    let forget = || {
        for server in bench.servers() {
            server.ask(&["FUNCTION", "FLUSH", "SYNC"]);
        }
    };
    let order = push(1, &["a", "b"], "hello");
    forget();
    assert_eq!(agents.tell(waiting_pop("a")), []);
    forget();
    let replies = agents.tell(order.op());
    assert_eq!(replies.len(), 2, "{replies:?}");
    forget();
    let update = Update {
        payload: Some("hello again".into()),
        ..Update::default()
    };
    assert_eq!(
        agents.answer(Op::Update(order.id(), update)),
        Reply::Found(true)
    );
    forget();
    let popped = agents.answer(pop("b"));
    assert_eq!(payloads(&popped), [b"hello again"]);
    forget();
    let name = GroupName {
        tenant: Tenant(None),
        name: "g".into(),
    };
    let store = Op::StoreGroup(name, vec!["a".into()]);
    assert_eq!(agents.answer(store), Reply::Done);
    // What is asked for together is done as well.
    forget();
    let pushes = (2..300).map(|it| push(it, &["c"], "x").op());
    assert!(
        agents
            .answers(pushes)
            .iter()
            .all(|it| matches!(it, Reply::Pushed(_)))
    );
    assert_eq!(payloads(&agents.answer(pop("c"))).len(), 298);
}

#[test]
fn a_full_server_takes_nothing_in_and_lets_everything_out() {
    for layout in [Layout::One, Layout::Three] {
        let mut agents = Agents::start(&Bench::new(layout), 2, &LIMITS, None);
        let bench = std::rc::Rc::clone(&agents.bench);
        for number in 1..=3 {
            let order = push(number, &["a", "b", "c"], &number.to_string());
            assert_eq!(agents.answer(order.op()), Reply::Pushed(order.id()));
        }
        for server in bench.servers() {
            server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        }
        // Whoever comes now finds it so.
        agents.crash(None);
        let refused = agents.answer(push(4, &["a"], "4").op());
        assert!(
            matches!(refused, Reply::Refused(Refusal::Full(_))),
            "{refused:?}"
        );
        assert_eq!(payloads(&agents.answer(pop("a"))), [b"1", b"2", b"3"]);
        let id = push(1, &[], "").id();
        let ack = Op::Ack {
            queue: queue("b"),
            transactions: vec![AckItem {
                text: id.to_string().into(),
                id: Some(id),
            }],
        };
        assert_eq!(agents.answer(ack), Reply::Acked(vec![true]));
        assert_eq!(agents.answer(Op::Delete(id)), Reply::Done);
        assert_eq!(payloads(&agents.answer(pop("c"))), [b"2", b"3"]);
        // Whoever waits is not deaf afterwards.
        assert_eq!(agents.tell(waiting_pop("c")), []);
        for server in bench.servers() {
            server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        }
        assert_eq!(agents.tell(push(5, &["c"], "5").op()).len(), 2);
    }
}

#[test]
fn a_push_that_one_of_its_servers_refuses_is_taken_back() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    let bench = std::rc::Rc::clone(&agents.bench);
    bench.queues[0].ask(&["CONFIG", "SET", "maxmemory", "1"]);
    // Some of them are on the other server.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let order = push(1, &names, "1");
    let refused = agents.answer(order.op());
    assert!(
        matches!(refused, Reply::Refused(Refusal::Full(_))),
        "{refused:?}"
    );
    bench.queues[0].ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let gone = agents.answer(Op::Transaction(order.id()));
    assert_eq!(gone, Reply::Transaction(None));
    for name in names {
        assert!(payloads(&agents.answer(pop(name))).is_empty());
    }
    assert_eq!(agents.answer(order.op()), Reply::Pushed(order.id()));
    for name in names {
        assert_eq!(payloads(&agents.answer(pop(name))), [b"1"]);
    }
}
