//! Random histories, through the model and a system under test at once; every answer is compared.
//!
//! `POPBOX_SEEDS=n` runs the seeds 0 to n − 1; `POPBOX_SEED=n` replays one and prints its steps.

mod generator;
mod ledger;
mod model;
mod subject;

use std::collections::{HashMap, HashSet};

use generator::{Dice, Held, Scene, Step};
use ledger::Ledger;
use model::{Model, Replies};
use subject::{Kept, Subject};

use super::super::{
    Handout, LeaseId, Limits, Op, QueueName, Refusal, Reply, Ticket, TransactionId, UnixMillis,
};

/// So many that a build without optimization takes ten seconds or so.
const SEEDS: u64 = 2000;
const STEPS: usize = 150;
const START: UnixMillis = UnixMillis(1_800_000_000_250);

/// Longer than anything in a history lasts.
const EVER: u64 = 10 * 86_400_000;

#[test]
fn engine_answers_as_the_model_does() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|it| it.parse::<u64>().unwrap())
    };
    let run = |seed, is_told| History::new(seed, is_told, Kept::new).run();
    if let Some(seed) = number("POPBOX_SEED") {
        run(seed, true);
        return;
    }
    for seed in 0..number("POPBOX_SEEDS").unwrap_or(SEEDS) {
        let unlucky = SeedOnPanic(seed);
        run(seed, false);
        drop(unlucky);
    }
}

/// Says how to replay a history that fails.
struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with POPBOX_SEED={}", self.0);
        }
    }
}

struct History<S> {
    dice: Dice,
    scene: Scene,
    now: UnixMillis,
    model: Model,
    subject: S,
    ledger: Ledger,
    /// Hand-outs since the last restart, by the model's leases.
    held: Vec<Held>,
    /// The subject's lease for each of the model's.
    leases: HashMap<LeaseId, LeaseId>,
    /// Operations that have no reply yet, and the queues of those that are pops.
    open: HashMap<Ticket, Option<QueueName>>,
    tickets: u64,
    is_told: bool,
}

impl<S: Subject> History<S> {
    fn new(seed: u64, is_told: bool, subject: impl Fn(Limits) -> S) -> Self {
        let mut dice = Dice::new(seed);
        let scene = Scene::new(&mut dice);
        let limits = scene.limits;
        Self {
            dice,
            scene,
            now: START,
            model: Model::new(limits),
            subject: subject(limits),
            ledger: Ledger::default(),
            held: Vec::new(),
            leases: HashMap::new(),
            open: HashMap::new(),
            tickets: 0,
            is_told,
        }
    }

    fn run(&mut self) {
        if self.is_told {
            eprintln!("{:?}", self.scene.limits);
        }
        for _ in 0..STEPS {
            let waiting = &self.model.waiters;
            let next = self.model.next_event();
            let step = self
                .scene
                .step(&mut self.dice, self.now, next, &self.held, waiting);
            self.take(step);
        }
        self.end();
    }

    fn take(&mut self, step: Step) {
        if self.is_told {
            eprintln!("{} {step:?}", self.now.0);
        }
        match step {
            Step::Op(op) => self.op(&op),
            Step::Restart => self.restart(),
            Step::Clock(now) => {
                self.now = now;
                // Else the next operation finds everything that fell due still undone.
                if self.dice.percent(50) {
                    self.advance();
                }
                return;
            }
        }
        self.look();
    }

    fn op(&mut self, op: &Op) {
        self.tickets += 1;
        let ticket = Ticket {
            worker: 1,
            number: self.tickets,
        };
        let has_reply = !matches!(op, Op::CancelPop { .. } | Op::Settle { .. });
        if has_reply {
            let queue = match op {
                Op::Pop(pop) => Some(pop.queue.clone()),
                _ => None,
            };
            self.open.insert(ticket, queue);
        }
        self.ledger.asked(self.now, ticket, op);
        let before = self.births();
        let expected = self.model.apply(self.now, ticket, op.clone());
        let after = self.births();
        if let Op::Push(push) = op
            && after.iter().any(|it| !before.contains(it))
        {
            let is_delayed = !push.delay.is_zero();
            self.ledger.born(push.id, push.priority, is_delayed);
        }
        let mut asked = op.clone();
        if let Op::Settle { lease, .. } | Op::Release { lease, .. } = &mut asked {
            *lease = self.leases.get(lease).copied().unwrap_or(*lease);
        }
        let got = self.subject.apply(self.now, ticket, asked.clone());
        self.compare(expected, &got);
        self.ledger.answered(self.now, Some((ticket, &asked)), &got);
        self.note_ends(&before);
        if has_reply && !matches!(op, Op::Pop(_)) {
            assert!(!self.open.contains_key(&ticket), "no reply to {op:?}");
        }
        let waiting: HashSet<Ticket> = self.model.waiters.iter().map(|it| it.0).collect();
        let open: HashSet<Ticket> = self.open.keys().copied().collect();
        assert_eq!(open, waiting, "whoever does not wait is answered");
    }

    fn births(&self) -> Vec<(TransactionId, u64)> {
        let entries = self.model.entries.iter();
        entries.map(|it| (it.id, it.birth)).collect()
    }

    fn note_ends(&mut self, before: &[(TransactionId, u64)]) {
        for (id, _) in before {
            if !self.model.entries.iter().any(|it| it.id == *id) {
                self.ledger.gone(*id);
            }
        }
    }

    fn advance(&mut self) {
        let before = self.births();
        let expected = self.model.advance(self.now);
        let got = self.subject.advance(self.now);
        self.compare(expected, &got);
        self.ledger.answered(self.now, None, &got);
        self.note_ends(&before);
        self.subject.check(&self.model, self.now);
    }

    fn restart(&mut self) {
        self.model.restart();
        self.subject.restart();
        self.ledger.restarted();
        self.open.clear();
        self.held.clear();
        self.leases.clear();
    }

    /// Looks at everything that can be looked at.
    fn look(&mut self) {
        self.advance();
        for queue in self.scene.queues.clone() {
            self.op(&Op::DescribeQueue(queue.clone()));
            self.op(&Op::Peek {
                queue,
                count_max: 1000,
                bytes_max: usize::MAX,
            });
        }
        let queue = self.dice.pick(&self.scene.queues);
        let peek = Op::Peek {
            queue,
            count_max: self.dice.pick(&[0, 1, 2]),
            bytes_max: self.dice.pick(&[0, 10, 20]),
        };
        self.op(&peek);
        for id in self.scene.ids.clone() {
            let transaction = Op::Transaction(id);
            let states = Op::States(id);
            let look = self.dice.pick(&[transaction, states]);
            self.op(&look);
        }
        let group = self.dice.pick(&self.scene.groups);
        self.op(&Op::Group(group));
    }

    /// Compares replies and learns the leases of the hand-outs among them.
    fn compare(&mut self, mut expected: Replies, got: &Replies) {
        expected.sort_by_key(|it| it.0);
        let mut sorted = got.clone();
        sorted.sort_by_key(|it| it.0);
        let tickets = |replies: &Replies| replies.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(
            tickets(&expected),
            tickets(&sorted),
            "{expected:?}\n{got:?}"
        );
        for ((ticket, mut expected), (_, mut got)) in expected.into_iter().zip(sorted) {
            let asked = self.open.remove(&ticket).expect("one reply each");
            if let (Reply::Messages(model), Reply::Messages(subject)) = (&expected, &mut got) {
                if let Some(queue) = asked
                    && !model.messages.is_empty()
                {
                    self.learn(queue, model, subject);
                }
                // Peeks and empty hand-outs have leases of no meaning.
                subject.lease = model.lease;
            }
            if self.scene.limits.queues_max < 100 {
                forget_last_pop(&mut expected);
                forget_last_pop(&mut got);
            }
            let is_full = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::Full(_)));
            if !(is_full(&expected) && is_full(&got)) {
                assert_eq!(expected, got, "expected and got, of {ticket:?}");
            }
        }
    }

    fn learn(&mut self, queue: QueueName, model: &Handout, subject: &Handout) {
        let is_new = !self.leases.values().any(|&it| it == subject.lease);
        assert!(is_new, "{:?} is taken", subject.lease);
        self.leases.insert(model.lease, subject.lease);
        self.held.push(Held {
            queue,
            lease: model.lease,
            ids: model.messages.iter().map(|it| it.id).collect(),
        });
    }

    /// After everything has ended nothing is left.
    fn end(&mut self) {
        for (ticket, pop) in self.model.waiters.clone() {
            let queue = pop.queue;
            self.op(&Op::CancelPop { queue, ticket });
        }
        for group in self.scene.groups.clone() {
            self.op(&Op::RemoveGroup(group));
        }
        self.now = UnixMillis(self.now.0 + EVER);
        self.advance();
        assert!(self.model.entries.is_empty() && self.model.last_pops.is_empty());
        assert_eq!(self.model.next_event(), None);
    }
}

/// Which of two equally idle queues a full table forgets is nobody's business.
fn forget_last_pop(reply: &mut Reply) {
    if let Reply::Queue(info) = reply {
        info.last_pop = None;
    }
}
