//! Random histories, through the model and systems under test at once; every answer is compared.
//!
//! `POPBOX_SEEDS=n` runs the seeds 0 to n − 1; `POPBOX_SEED=n` replays one and prints its steps.

mod generator;
mod ledger;
mod model;
mod subject;

use std::collections::{HashMap, HashSet};

use generator::{Held, Scene, Step};
use ledger::Ledger;

pub(crate) use generator::Dice;
pub(crate) use model::{Model, Replies, Told};
pub(crate) use subject::{Kept, Subject};

use super::super::{
    Handout, LeaseId, Limits, Op, QueueName, Refusal, Reply, State, Ticket, TransactionId,
    UnixMillis,
};

/// So many that a build without optimization takes ten seconds or so.
const SEEDS: u64 = 2000;
const STEPS: usize = 150;

/// Years from now, so that what has a real clock of its own does not interfere.
pub(crate) const START: UnixMillis = UnixMillis(2_100_000_000_250);

/// Longer than anything in a history lasts.
pub(crate) const EVER: u64 = 10 * 86_400_000;

/// The worker of every ticket.
pub(crate) const ASKER: u16 = 1;

/// Where what is under test keeps its state, which tells what becomes of it in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In the process: hand-outs whose answers were not written yet are known to be void after a crash.
    Process,
    /// In servers that others use as well: all leases run on after a crash. The servers' own memory is the limit of
    /// what they keep, not a number of things.
    Servers,
}

#[test]
fn engine_answers_as_the_model_does() {
    each_seed(SEEDS, |seed, is_told| {
        let subjects =
            |limits| -> Vec<Box<dyn Subject>> { vec![Box::new(Kept::new(limits, Home::Process))] };
        History::new(seed, is_told, Home::Process, subjects).run();
    });
}

/// Runs so many seeds, or those that the environment asks for. A seed to be told step by step comes with true.
pub(crate) fn each_seed(seeds: u64, run: impl Fn(u64, bool)) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|it| it.parse::<u64>().unwrap())
    };
    if let Some(seed) = number("POPBOX_SEED") {
        run(seed, true);
        return;
    }
    for seed in 0..number("POPBOX_SEEDS").unwrap_or(seeds) {
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

pub(crate) struct History {
    home: Home,
    dice: Dice,
    scene: Scene,
    now: UnixMillis,
    model: Model,
    tested: Vec<Tested>,
    /// Hand-outs since the last restart, by the model's leases.
    held: Vec<Held>,
    /// Operations that have no reply yet, and the queues of those that are pops.
    open: HashMap<Ticket, Option<QueueName>>,
    tickets: u64,
    is_told: bool,
}

/// A system under test, and what is known of it.
struct Tested {
    subject: Box<dyn Subject>,
    ledger: Ledger,
    /// Its lease for each of the model's. Two queues may have the same one.
    leases: HashMap<(QueueName, LeaseId), LeaseId>,
}

impl History {
    pub(crate) fn new(
        seed: u64,
        is_told: bool,
        home: Home,
        subjects: impl FnOnce(Limits) -> Vec<Box<dyn Subject>>,
    ) -> Self {
        let mut dice = Dice::new(seed);
        let scene = Scene::new(&mut dice, home);
        let limits = scene.limits;
        let tested = subjects(limits).into_iter().map(|subject| Tested {
            subject,
            ledger: Ledger::default(),
            leases: HashMap::new(),
        });
        Self {
            home,
            dice,
            scene,
            now: START,
            model: Model::new(limits),
            tested: tested.collect(),
            held: Vec::new(),
            open: HashMap::new(),
            tickets: 0,
            is_told,
        }
    }

    pub(crate) fn run(&mut self) {
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

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket {
            worker: ASKER,
            number: self.tickets,
        }
    }

    fn op(&mut self, op: &Op) {
        let ticket = self.ticket();
        let has_reply = !matches!(op, Op::CancelPop { .. } | Op::Settle { .. });
        if has_reply {
            let queue = match op {
                Op::Pop(pop) => Some(pop.queue.clone()),
                _ => None,
            };
            self.open.insert(ticket, queue);
        }
        for it in &mut self.tested {
            it.ledger.asked(self.now, ticket, op);
        }
        let before = self.births();
        let expected = self.model.apply(self.now, ticket, op.clone());
        let after = self.births();
        let is_born = after.iter().any(|it| !before.contains(it));
        let now = self.now;
        let ask = |tested: &mut Tested| {
            if let Op::Push(push) = op
                && is_born
            {
                let is_delayed = !push.delay.is_zero();
                tested.ledger.born(push.id, push.priority, is_delayed);
            }
            let asked = tested.named(op);
            let got = tested.subject.apply(now, ticket, asked.clone());
            (Some(asked), got)
        };
        self.compare(&expected, ticket, ask);
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
                for it in &mut self.tested {
                    it.ledger.gone(*id);
                }
            }
        }
    }

    fn advance(&mut self) {
        let before = self.births();
        let expected = self.model.advance(self.now);
        let now = self.now;
        // Nobody asked.
        let ticket = Ticket {
            worker: 0,
            number: 0,
        };
        self.compare(&expected, ticket, |it| (None, it.subject.advance(now)));
        self.note_ends(&before);
        for it in &mut self.tested {
            it.subject.check(&self.model, self.now);
        }
    }

    fn restart(&mut self) {
        self.model.restart(self.home);
        for it in &mut self.tested {
            it.subject.restart();
            it.ledger.restarted(self.home);
            it.leases.clear();
        }
        self.open.clear();
        self.held.clear();
    }

    /// Looks at everything that can be looked at.
    fn look(&mut self) {
        self.advance();
        let mut looks = Vec::new();
        for queue in self.scene.queues.clone() {
            looks.push(Op::DescribeQueue(queue.clone()));
            looks.push(Op::DeadLetters {
                queue: queue.clone(),
                count_max: self.dice.pick(&[0, 1, 1000]),
            });
            looks.push(Op::Peek {
                queue,
                count_max: 1000,
                bytes_max: usize::MAX,
            });
        }
        let queue = self.dice.pick(&self.scene.queues);
        looks.push(Op::Peek {
            queue,
            count_max: self.dice.pick(&[0, 1, 2]),
            bytes_max: self.dice.pick(&[0, 10, 20]),
        });
        for id in self.scene.ids.clone() {
            let transaction = Op::Transaction(id);
            let states = Op::States(id);
            looks.push(self.dice.pick(&[transaction, states]));
        }
        looks.push(Op::Callbacks(self.dice.some(&self.scene.ids, 9)));
        let group = self.dice.pick(&self.scene.groups);
        looks.push(Op::Group(group));
        self.look_by(looks);
    }

    /// Looks that change nothing, and may so be asked all at once.
    fn look_by(&mut self, looks: Vec<Op>) {
        let looks: Vec<(Ticket, Op)> = looks.into_iter().map(|op| (self.ticket(), op)).collect();
        let mut expected = Vec::new();
        for (ticket, op) in &looks {
            expected.extend(self.model.apply(self.now, *ticket, op.clone()));
        }
        for tested in &mut self.tested {
            let mut got = tested.subject.look(self.now, looks.clone());
            got.sort_by_key(|it| it.0);
            assert_eq!(tickets(&expected), tickets(&got), "one reply each");
            for (index, (ticket, op)) in looks.iter().enumerate() {
                let alone = vec![got[index].clone()];
                tested
                    .ledger
                    .answered(self.now, Some((*ticket, op)), &alone);
                tested.same(&self.model, self.now, &expected[index].1, &got[index].1);
            }
        }
    }

    /// Compares what `ask` gets from each with what is expected, and learns the leases of the hand-outs in it.
    fn compare(
        &mut self,
        expected: &Replies,
        ticket: Ticket,
        ask: impl Fn(&mut Tested) -> (Option<Op>, Replies),
    ) {
        let mut expected = expected.clone();
        expected.sort_by_key(|it| it.0);
        let told = self.model.take_told();
        for tested in &mut self.tested {
            let (asked, got) = ask(tested);
            let expected_told = tested.subject.hears(told.clone());
            assert_eq!(by_message(expected_told), by_message(tested.subject.told()));
            let mut sorted = got.clone();
            sorted.sort_by_key(|it| it.0);
            assert_eq!(
                tickets(&expected),
                tickets(&sorted),
                "{expected:?}\n{got:?}"
            );
            for ((ticket, expected), (_, got)) in expected.iter().zip(&sorted) {
                if let (Reply::Messages(model), Reply::Messages(subject)) = (expected, got)
                    && let Some(queue) = self.open.get(ticket).expect("one reply each")
                    && !model.messages.is_empty()
                {
                    tested.learn(queue, model, subject);
                }
                tested.same(&self.model, self.now, expected, got);
            }
            let asked = asked.as_ref().map(|op| (ticket, op));
            tested.ledger.answered(self.now, asked, &got);
        }
        for (ticket, reply) in &expected {
            let queue = self.open.remove(ticket).expect("one reply each");
            if let (Reply::Messages(handout), Some(queue)) = (reply, queue)
                && !handout.messages.is_empty()
            {
                self.held.push(Held {
                    queue,
                    lease: handout.lease,
                    ids: handout.messages.iter().map(|it| it.id).collect(),
                });
            }
        }
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
        assert!(self.model.is_empty());
        assert_eq!(self.model.next_event(), None);
    }
}

impl Tested {
    /// An operation with the lease that it has here.
    fn named(&self, op: &Op) -> Op {
        let mut op = op.clone();
        if let Op::Settle { queue, lease, .. } | Op::Release { queue, lease, .. } = &mut op {
            let own = self.leases.get(&(queue.clone(), *lease));
            *lease = own.copied().unwrap_or(*lease);
        }
        op
    }

    fn learn(&mut self, queue: &QueueName, model: &Handout, subject: &Handout) {
        let mut known = self.leases.iter();
        let taken = known.find(|(it, lease)| it.0 == *queue && **lease == subject.lease);
        assert_eq!(taken, None, "{:?} is taken", subject.lease);
        self.leases
            .insert((queue.clone(), model.lease), subject.lease);
    }

    /// The two replies are the same but for what may differ.
    fn same(&self, model: &Model, now: UnixMillis, expected: &Reply, got: &Reply) {
        let (mut expected, mut got) = (expected.clone(), got.clone());
        match (&mut expected, &mut got) {
            // Those of the subject are its own, and those of peeks and empty hand-outs have no meaning.
            (Reply::Messages(expected), Reply::Messages(got)) => got.lease = expected.lease,
            (Reply::Queue(expected), Reply::Queue(got)) => {
                let last_pop = expected.last_pop.xor(got.last_pop);
                if last_pop.is_some_and(|second| self.subject.may_forget(model, now, second)) {
                    expected.last_pop = got.last_pop;
                }
            }
            (Reply::Refused(Refusal::Full(_)), Reply::Refused(Refusal::Full(_))) => return,
            _ => {}
        }
        assert_eq!(expected, got, "expected and got");
    }
}

/// What was told, in an order that is the same where that of each message is.
fn by_message(told: Vec<Told>) -> Vec<(QueueName, TransactionId, State)> {
    let told = told.into_iter().map(|it| (it.queue, it.id, it.state));
    let mut told: Vec<_> = told.collect();
    told.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    told
}

fn tickets(replies: &Replies) -> Vec<Ticket> {
    replies.iter().map(|it| it.0).collect()
}
