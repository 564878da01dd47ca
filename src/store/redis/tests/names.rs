//! Names and contents with whatever characters clients think of.

use super::{
    bench::{Agents, Bench, Layout},
    order::{LIMITS, Order, pop_from, push},
};
use crate::mailbox::{
    GroupName, Op, QueueName, Realm, Record, Reply, State, Tenant, TransactionView,
};

const ODD: [&str; 10] = [
    "",
    " ",
    "a b\nc\r\n",
    "{x}",
    "}{",
    "a/b:l",
    "%41",
    "ü→𝄞",
    "\u{0}'\"\\",
    ".",
];

#[test]
fn odd_names_and_contents_come_back_as_they_were() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    let mut queues = Vec::new();
    for tenant in [None, Some(""), Some("a b"), Some("{ü}/\n")] {
        for id in ODD {
            let tenant = Tenant(tenant.map(Into::into));
            for realm in [Realm::Plain, Realm::Secured] {
                queues.push(QueueName::new(realm, tenant.clone(), id));
            }
        }
    }
    for (number, text) in (1..).zip(ODD) {
        let record = Record {
            payload: format!("{text}*1\r\n${text}").into(),
            callback: (!text.is_empty()).then(|| text.into()),
            fields: vec![(text.into(), "".into()), ("x".into(), text.into())],
        };
        let order = Order {
            names: queues.clone(),
            record: record.clone(),
            ..push(number, &[], "")
        };
        let id = order.id();
        assert_eq!(agents.answer(order.op()), Reply::Pushed(order.id()));
        let Reply::Transaction(Some(view)) = agents.answer(Op::Transaction(id)) else {
            panic!("{text:?} is gone");
        };
        let states = queues.iter().map(|it| (it.clone(), State::Pending));
        let expected = TransactionView {
            record: record.clone(),
            states: states.collect(),
            ..view.clone()
        };
        assert_eq!(view, expected);
        for queue in &queues {
            let Reply::Messages(handout) = agents.answer(pop_from(queue.clone())) else {
                panic!("{queue:?} refuses");
            };
            let [message] = &handout.messages[..] else {
                panic!("{queue:?} has {} messages", handout.messages.len());
            };
            assert_eq!((message.id, &message.payload), (id, &record.payload));
        }
    }
}

#[test]
fn groups_of_odd_names_have_odd_members() {
    let mut agents = Agents::start(&Bench::new(Layout::Three), 2, &LIMITS, None);
    for (index, name) in ODD.iter().enumerate() {
        let name = GroupName {
            tenant: Tenant(Some((*name).into())),
            name: (*name).into(),
        };
        let mut members: Vec<Box<str>> = ODD[index..].iter().map(|&it| it.into()).collect();
        let store = Op::StoreGroup(name.clone(), members.clone());
        assert_eq!(agents.answer(store), Reply::Done);
        members.sort();
        assert_eq!(agents.answer(Op::Group(name)), Reply::Group(members));
    }
}
