//! Examples of what each operation does, above all at its edges.

mod bulk;
mod dead;
mod keys;
mod leases;
mod limits;
mod lives;
mod restore;
mod waiting;

use std::{collections::BTreeMap, time::Duration};

use super::{super::Realm, *};
use crate::mailbox::{Expiration, Idempotency, IdempotencyKey, Priority, Record, Tenant};

const START: UnixMillis = UnixMillis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    queues_per_transaction_max: 10_000,
    transactions_max: 100_000,
    queues_max: 100_000,
    groups_max: 10,
    tenant_queues_max: usize::MAX,
    waiters_max: 1_000_000,
    secured_queues_max: 10,
    queue_retention: Duration::from_mins(1),
    listed_messages_max: 1000,
    deliveries_max: 0,
    idempotency_keys_max: 1000,
};

/// An engine with a clock, and what it has said so far.
struct Desk {
    engine: Engine,
    now: UnixMillis,
    tickets: u64,
    replies: BTreeMap<Ticket, EngineReply>,
    changes: Vec<Change>,
}

fn queue(id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant(None), id)
}

fn group(name: &str) -> GroupName {
    GroupName {
        tenant: Tenant(None),
        name: name.into(),
    }
}

fn id(number: usize) -> TransactionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    TransactionId::from_random(bytes)
}

/// A push of low priority and an hour's life.
fn message(number: usize, queues: &[&str]) -> Push {
    Push {
        id: id(number),
        priority: Priority::Low,
        queues: queues.iter().map(|it| queue(it)).collect(),
        groups: Vec::new(),
        realm: Realm::Plain,
        record: Record {
            payload: "0123456789".into(),
            ..Record::default()
        },
        expiration: Expiration::After(3600 * SECOND),
        delay: Duration::ZERO,
        idempotency: None,
        may_repeat: false,
    }
}

/// A pop of everything, for a second, that does not wait.
fn pop(name: &str, kind: LeaseKind) -> Pop {
    Pop {
        queue: queue(name),
        count_max: 10_000,
        bytes_max: usize::MAX,
        lease: SECOND,
        kind,
        wait: false,
    }
}

impl Desk {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Self {
        Self {
            engine: Engine::new(limits, Told::Deaths),
            now: START,
            tickets: 0,
            replies: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    fn hear(&mut self, output: Output) {
        for (ticket, reply) in output.replies {
            let before = self.replies.insert(ticket, reply);
            assert_eq!(before, None, "{ticket:?} is answered once");
        }
        self.changes.extend(output.changes);
    }

    fn start(&mut self, op: Op) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket {
            worker: 0,
            number: self.tickets,
        };
        let mut output = Output::default();
        self.engine.apply(self.now, ticket, op, &mut output);
        self.hear(output);
        ticket
    }

    fn ask(&mut self, op: Op) -> EngineReply {
        let ticket = self.start(op);
        self.replies.remove(&ticket).expect("a reply at once")
    }

    /// Time passes, and what falls due meanwhile is found at its end.
    fn sleep(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        let mut output = Output::default();
        self.engine.advance(self.now, &mut output);
        self.hear(output);
    }

    fn push(&mut self, push: Push) -> EngineReply {
        self.ask(Op::Push(Box::new(push)))
    }

    fn pop(&mut self, pop: Pop) -> (LeaseId, Vec<TransactionId>) {
        handed_out(&self.ask(Op::Pop(pop)))
    }

    fn wait(&mut self, pop: Pop) -> Ticket {
        self.start(Op::Pop(Pop { wait: true, ..pop }))
    }

    /// What a waiting pop has got, if it is answered.
    fn got(&mut self, ticket: Ticket) -> Option<Vec<TransactionId>> {
        let reply = self.replies.remove(&ticket);
        reply.map(|reply| handed_out(&reply).1)
    }

    fn peek(&mut self, name: &str) -> Vec<TransactionId> {
        let reply = self.ask(Op::Peek {
            queue: queue(name),
            count_max: 10_000,
            bytes_max: usize::MAX,
        });
        handed_out(&reply).1
    }

    fn settle(&mut self, name: &str, lease: LeaseId, ids: &[TransactionId]) {
        self.start(Op::Settle {
            queue: queue(name),
            lease,
            transactions: ids.to_vec(),
        });
    }

    fn release(&mut self, name: &str, lease: LeaseId, ids: &[TransactionId]) -> EngineReply {
        self.ask(Op::Release {
            queue: queue(name),
            lease,
            transactions: ids.to_vec(),
            reason: Return::Unfinished,
        })
    }

    fn ack(&mut self, name: &str, ids: &[TransactionId]) -> EngineReply {
        let item = |&id: &TransactionId| AckItem {
            text: id.to_string().into(),
            id: Some(id),
        };
        self.ask(Op::Ack {
            queue: queue(name),
            transactions: ids.iter().map(item).collect(),
        })
    }

    fn describe(&mut self, name: &str) -> QueueInfo {
        let Reply::Queue(info) = self.ask(Op::DescribeQueue(queue(name))) else {
            panic!("a description of a queue is one");
        };
        info
    }

    fn states(&mut self, id: TransactionId) -> Vec<State> {
        let Reply::States(states) = self.ask(Op::States(id)) else {
            panic!("states are states");
        };
        states.into_iter().map(|it| it.1).collect()
    }

    fn expire_at(&mut self, id: TransactionId, expiration: Expiration) -> EngineReply {
        let update = Update {
            expiration: Some(expiration),
            ..Update::default()
        };
        self.ask(Op::Update(id, update))
    }
}

fn handed_out(reply: &EngineReply) -> (LeaseId, Vec<TransactionId>) {
    let Reply::Messages(handout) = reply else {
        panic!("{reply:?} hands out nothing");
    };
    let ids = handout.messages.iter().map(|it| it.id).collect();
    (handout.lease, ids)
}

#[test]
fn high_priority_leaves_first_each_first_in_first_out() {
    let mut desk = Desk::new();
    for number in 0..6 {
        let mut push = message(number, &["q"]);
        if number % 2 == 1 {
            push.priority = Priority::High;
        }
        assert!(matches!(desk.push(push), Reply::Pushed(_)));
    }
    let order = [1, 3, 5, 0, 2, 4].map(id);
    assert_eq!(desk.peek("q"), order);
    assert_eq!(desk.pop(pop("q", LeaseKind::Delivery)).1, order);
    assert_eq!(desk.peek("q"), []);
}

#[test]
fn a_queue_named_twice_or_by_a_group_too_gets_one_message() {
    let mut desk = Desk::new();
    let members = ["b", "c"].map(Into::into).into();
    desk.ask(Op::StoreGroup(group("g"), members));
    let mut push = message(1, &["b", "a", "b"]);
    push.groups = vec![group("g"), group("unknown"), group("g")];
    desk.push(push);
    let Reply::States(states) = desk.ask(Op::States(id(1))) else {
        panic!("states are states");
    };
    let names: Vec<_> = states.iter().map(|it| it.0.id()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(desk.describe("b").size, 1);
}

#[test]
fn a_group_pushes_to_queues_of_its_own_tenant_in_the_realm_of_the_push() {
    let mut desk = Desk::new();
    let tenant = Tenant(Some("org".into()));
    let name = GroupName {
        tenant: tenant.clone(),
        name: "g".into(),
    };
    desk.ask(Op::StoreGroup(name.clone(), vec!["q".into()]));
    let mut push = message(1, &[]);
    push.groups = vec![name];
    push.realm = Realm::Secured;
    desk.push(push);
    let Reply::States(states) = desk.ask(Op::States(id(1))) else {
        panic!("states are states");
    };
    let expected = QueueName::new(Realm::Secured, tenant, "q");
    assert_eq!(states, [(expected, State::Pending)]);
}

#[test]
fn a_group_member_in_both_lists_is_removed() {
    let mut desk = Desk::new();
    desk.ask(Op::StoreGroup(group("g"), vec!["a".into(), "b".into()]));
    let change = GroupChange {
        add: vec!["c".into(), "d".into()],
        remove: vec!["a".into(), "d".into(), "unknown".into()],
    };
    let changed = desk.ask(Op::ChangeGroup(group("g"), change.clone()));
    assert_eq!(changed, Reply::Found(true));
    let members = desk.ask(Op::Group(group("g")));
    assert_eq!(members, Reply::Group(vec!["b".into(), "c".into()]));

    assert_eq!(desk.ask(Op::RemoveGroup(group("g"))), Reply::Done);
    assert_eq!(desk.ask(Op::RemoveGroup(group("g"))), Reply::Done);
    let changed = desk.ask(Op::ChangeGroup(group("g"), change));
    assert_eq!(changed, Reply::Found(false));
    assert_eq!(desk.ask(Op::Group(group("g"))), Reply::Group(Vec::new()));
}

#[test]
fn a_repeated_push_changes_nothing() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let known = desk.changes.len();
    assert!(matches!(
        desk.push(message(1, &["q", "r"])),
        Reply::Pushed(_)
    ));
    assert_eq!(desk.changes.len(), known);
    assert_eq!(desk.peek("r"), []);
}

#[test]
fn an_ack_is_answered_item_by_item() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.push(message(2, &["q"]));
    desk.push(message(3, &["r"]));
    desk.pop(Pop {
        count_max: 1,
        ..pop("q", LeaseKind::Reliable)
    });
    assert_eq!(desk.states(id(1)), [State::Blocked]);
    // Blocked, Pending, in another queue, unknown, and the first again.
    let acked = desk.ack("q", &[1, 2, 3, 4, 1].map(id));
    assert_eq!(acked, Reply::Acked(vec![true, true, false, false, false]));
    assert_eq!(desk.states(id(1)), [State::Delivered]);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.ack("q", &[]), Reply::Acked(Vec::new()));
    assert_eq!(desk.ack("unknown", &[id(1)]), Reply::Acked(vec![false]));
    let garbage = AckItem {
        text: "x".into(),
        id: None,
    };
    let acked = desk.ask(Op::Ack {
        queue: queue("q"),
        transactions: vec![garbage],
    });
    assert_eq!(acked, Reply::Acked(vec![false]));
}

#[test]
fn a_deleted_transaction_is_gone_from_every_queue() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q", "r"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Reliable));
    assert_eq!(desk.ask(Op::Delete(id(1))), Reply::Done);
    assert_eq!(desk.ask(Op::Delete(id(1))), Reply::Done);
    assert_eq!(desk.ask(Op::Transaction(id(1))), Reply::Transaction(None));
    assert_eq!(desk.peek("r"), []);
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(0));
    assert_eq!(desk.ack("q", &ids), Reply::Acked(vec![false]));
    desk.sleep(2 * SECOND);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.engine.transaction_count(), 0);
}
