//! Many operations at once, of several workers: whatever order they meet in, each message is delivered, and once; and
//! each death is told once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    time::Duration,
};

use super::{
    bench::{Agents, Bench, Layout},
    histories::INSPECT,
    order::{LIMITS, push, queue},
};
use crate::mailbox::{
    AckItem, DeadSelection, LeaseId, LeaseKind, Limits, Op, Pop, QueueName, Reply, Return, State,
    Ticket, TransactionId, UnixMillis,
    engine::model_test::{Dice, START, each_seed},
};

const SEEDS: u64 = 20;
const ROUNDS: usize = 30;
const TOGETHER: u64 = 30;
const LEASE: Duration = Duration::from_secs(2);
const QUEUES: [&str; 4] = ["a", "b", "c", "d"];

type Place = (QueueName, TransactionId);

struct Out {
    queue: QueueName,
    kind: LeaseKind,
    lease: LeaseId,
    until: UnixMillis,
    ids: Vec<TransactionId>,
}

struct Crowd {
    dice: Dice,
    agents: Agents,
    now: UnixMillis,
    pushes: u128,
    /// Pops under way or waiting.
    pops: HashMap<Ticket, (QueueName, LeaseKind)>,
    out: Vec<Out>,
    states: BTreeMap<Place, State>,
    /// How often each was handed out.
    deliveries: BTreeMap<Place, u32>,
    deliveries_max: u32,
    deaths: u64,
}

impl Crowd {
    fn new(seed: u64, bench: &Rc<Bench>) -> Self {
        let mut dice = Dice::new(seed);
        let deliveries_max = dice.pick(&[0, 1, 2]);
        let limits = Limits {
            deliveries_max,
            ..LIMITS
        };
        Self {
            dice,
            agents: Agents::start(bench, 3, &limits, Some(START)),
            now: START,
            pushes: 0,
            pops: HashMap::new(),
            out: Vec::new(),
            states: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            deliveries_max,
            deaths: 0,
        }
    }

    fn run(&mut self) {
        for _ in 0..ROUNDS {
            let ops: Vec<Op> = (0..TOGETHER).map(|_| self.op()).collect();
            self.tell(ops);
            let pause = Duration::from_millis(self.dice.below(700));
            self.pass(pause);
            if self.dice.percent(20) {
                let id = self.dice.pick(&QUEUES);
                self.redrive(id);
            }
        }
        let waiting: Vec<(Ticket, QueueName)> = self
            .pops
            .iter()
            .map(|(ticket, (queue, _))| (*ticket, queue.clone()))
            .collect();
        let cancels = waiting
            .into_iter()
            .map(|(ticket, queue)| Op::CancelPop { queue, ticket });
        self.tell(cancels.collect());
        self.pass(LEASE);
        for id in QUEUES {
            self.redrive(id);
            self.tell(vec![pop(id, 10_000, LeaseKind::Delivery, false)]);
        }
        let settles = std::mem::take(&mut self.out);
        let settles = settles.into_iter().map(|it| self.settle(it)).collect();
        self.tell(settles);
        assert!(self.states.values().all(|it| *it == State::Delivered));
        assert_eq!(self.agents.deaths(), self.deaths);
    }

    fn op(&mut self) -> Op {
        let now = self.now;
        self.out.retain(|it| it.until > now);
        match self.dice.below(10) {
            0..3 => self.push(),
            3..6 => self.pop(),
            _ if self.out.is_empty() => self.pop(),
            _ => {
                let at = self.dice.below(self.out.len() as u64);
                let out = self.out.swap_remove(usize::try_from(at).unwrap());
                match (self.dice.below(10), out.kind) {
                    (0..4, _) => self.release(out),
                    (_, LeaseKind::Delivery) => self.settle(out),
                    (_, LeaseKind::Reliable) => self.ack(out),
                }
            }
        }
    }

    fn push(&mut self) -> Op {
        self.pushes += 1;
        let from = usize::try_from(self.dice.below(4)).unwrap();
        let order = push(self.pushes, &QUEUES[from..], "x");
        for name in &order.names {
            self.states
                .insert((name.clone(), order.id()), State::Pending);
        }
        order.op()
    }

    fn pop(&mut self) -> Op {
        let id = self.dice.pick(&QUEUES);
        let kind = self.dice.pick(&[LeaseKind::Delivery, LeaseKind::Reliable]);
        let count = self.dice.pick(&[1, 2, 10]);
        pop(id, count, kind, self.dice.percent(60))
    }

    fn become_of(&mut self, out: &Out, state: State) {
        for &id in &out.ids {
            self.states.insert((out.queue.clone(), id), state);
        }
    }

    /// Messages that are out are so no more.
    fn come_back(&mut self, out: &Out, reason: Return) {
        for &id in &out.ids {
            let place = (out.queue.clone(), id);
            let deliveries = self.deliveries.get_mut(&place).unwrap();
            let is_last = self.deliveries_max > 0 && *deliveries >= self.deliveries_max;
            if reason == Return::Unsent {
                *deliveries -= 1;
            }
            let dies = reason == Return::Lapsed && out.kind == LeaseKind::Reliable && is_last;
            self.deaths += u64::from(dies);
            let state = if dies { State::Dead } else { State::Pending };
            self.states.insert(place, state);
        }
    }

    fn release(&mut self, out: Out) -> Op {
        let reasons = [Return::Unsent, Return::Unfinished, Return::Lapsed];
        let reason = self.dice.pick(&reasons);
        self.come_back(&out, reason);
        Op::Release {
            queue: out.queue,
            lease: out.lease,
            transactions: out.ids,
            reason,
        }
    }

    /// By itself: of what dies at the same time it could not be told whether it is dead yet.
    fn redrive(&mut self, id: &str) {
        let queue = queue(id);
        let mut moved = 0;
        for (place, state) in &mut self.states {
            if place.0 == queue && *state == State::Dead {
                *state = State::Pending;
                self.deliveries.insert(place.clone(), 0);
                moved += 1;
            }
        }
        let redrive = Op::Redrive(DeadSelection {
            queue,
            transactions: None,
            count_max: 10_000,
        });
        let asked = self.agents.next_ticket();
        let mut replies = self.agents.tell_all([redrive].into_iter());
        let own = replies.iter().position(|it| it.0 == asked).unwrap();
        assert_eq!(replies.remove(own).1, Reply::Moved { moved, left: 0 });
        self.take(replies);
        self.check();
    }

    fn settle(&mut self, out: Out) -> Op {
        self.become_of(&out, State::Delivered);
        Op::Settle {
            queue: out.queue,
            lease: out.lease,
            transactions: out.ids,
        }
    }

    fn ack(&mut self, out: Out) -> Op {
        self.become_of(&out, State::Delivered);
        let item = |id: TransactionId| AckItem {
            text: "".into(),
            id: Some(id),
        };
        Op::Ack {
            queue: out.queue,
            transactions: out.ids.into_iter().map(item).collect(),
        }
    }

    fn tell(&mut self, ops: Vec<Op>) {
        let mut asked = self.agents.next_ticket();
        for op in &ops {
            if let Op::Pop(pop) = op {
                self.pops.insert(asked, (pop.queue.clone(), pop.kind));
            }
            asked.number += 1;
        }
        let replies = self.agents.tell_all(ops.into_iter());
        self.take(replies);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        for out in std::mem::take(&mut self.out) {
            if out.until > self.now {
                self.out.push(out);
            } else {
                self.come_back(&out, Return::Lapsed);
            }
        }
        self.agents.set_time(self.now);
        let replies = self.agents.look_after();
        self.take(replies);
        self.check();
    }

    fn take(&mut self, replies: Vec<(Ticket, Reply)>) {
        for (ticket, reply) in replies {
            let pop = self.pops.remove(&ticket);
            match (reply, pop) {
                (Reply::Messages(handout), Some((queue, kind))) => {
                    let out = Out {
                        queue,
                        kind,
                        lease: handout.lease,
                        until: self.now.plus(LEASE),
                        ids: handout.messages.iter().map(|it| it.id).collect(),
                    };
                    let state = match kind {
                        LeaseKind::Delivery => State::Pending,
                        LeaseKind::Reliable => State::Blocked,
                    };
                    for message in &handout.messages {
                        let place = (out.queue.clone(), message.id);
                        let deliveries = self.deliveries.entry(place).or_default();
                        *deliveries += 1;
                        assert_eq!(message.deliveries, *deliveries, "{}", message.id);
                    }
                    for &id in &out.ids {
                        let before = self.states[&(out.queue.clone(), id)];
                        assert_eq!(before, State::Pending, "{id} is not to be had");
                        let held = |it: &Out| it.queue == out.queue && it.ids.contains(&id);
                        assert!(!self.out.iter().any(held), "{id} is handed out twice");
                    }
                    self.become_of(&out, state);
                    if !out.ids.is_empty() {
                        self.out.push(out);
                    }
                }
                (Reply::Acked(acked), _) => assert!(acked.iter().all(|it| *it)),
                (Reply::Pushed(_) | Reply::Released(1..), None) => {}
                (reply, _) => panic!("{reply:?}"),
            }
        }
    }

    /// What the servers say of each transaction is what became of it.
    fn check(&mut self) {
        let ids: BTreeSet<TransactionId> = self.states.keys().map(|it| it.1).collect();
        let looks = ids.iter().map(|&id| Op::States(id));
        let replies = self.agents.answers(looks);
        for (id, reply) in ids.iter().zip(replies) {
            let Reply::States(states) = reply else {
                panic!("{reply:?}");
            };
            for (queue, state) in states {
                let expected = self.states[&(queue.clone(), *id)];
                assert_eq!(state, expected, "{id} in {queue:?}");
            }
        }
        for server in &self.agents.bench.queues {
            let faults = server.texts(&["EVAL", INSPECT, "0"]);
            assert!(faults.is_empty(), "{faults:#?}");
        }
    }
}

fn pop(id: &str, count_max: usize, kind: LeaseKind, wait: bool) -> Op {
    Op::Pop(Pop {
        queue: queue(id),
        count_max,
        bytes_max: usize::MAX,
        lease: LEASE,
        kind,
        wait,
    })
}

#[test]
fn whatever_meets_each_message_is_delivered_once() {
    let bench = Bench::new(Layout::Three);
    each_seed(SEEDS, |seed, _| Crowd::new(seed, &bench).run());
}
