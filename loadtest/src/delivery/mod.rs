//! Pushes at a fixed rate, and consumers of all kinds that are to have each of them once.
//!
//! The pushes are due at times fixed ahead and latency counts from then: a server that stalls is charged for all that
//! should have happened meanwhile.

mod crowd;
mod measures;
mod thread;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use self::thread::Thread;
pub(crate) use self::{crowd::Crowd, measures::Measures};
use crate::{
    agenda::Agenda,
    crew::{self, Outcome, Plan, RunError},
    exchange::Protocol,
    growth,
    ledger::Ledger,
    options::{Options, Timing},
    payload::Payloads,
    queue::{Prefix, Queues},
    random,
    report::Report,
    schedule::Schedule,
    securing,
    target::Target,
};

/// Queues in one push: more is nothing that a server takes.
pub(crate) const FAN_MAX: u32 = 10_000;

/// A run that cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(
        "{messages} messages are more than {} can be kept account of: lower the rate or the duration",
        Ledger::PUSHES_MAX
    )]
    TooManyMessages { messages: u64 },
    #[error("a push to {fan} queues needs as many consumers: there are {consumers}")]
    TooFewConsumers { fan: u32, consumers: u32 },
    #[error("there are no consumers")]
    NoConsumers,
    #[error("{0} has nothing like that: only a popbox has")]
    NotOfPopbox(Target),
}

impl DeliveryError {
    /// Whether it is the arguments that are wrong.
    pub(crate) fn is_of_arguments(&self) -> bool {
        !matches!(self, Self::Run(_))
    }
}

/// What is to be done.
pub(crate) struct Setup<'a> {
    pub(crate) options: &'a Options,
    pub(crate) timing: Timing,
    pub(crate) prefix: Prefix,
    pub(crate) payloads: Payloads,
    pub(crate) crowd: Crowd,
    /// Pushes a second.
    pub(crate) rate: u32,
    /// Queues of one push.
    pub(crate) fan: u32,
    /// Looks at queues, a second.
    pub(crate) inspections: u32,
    /// How long a pop waits; none: as long as possible.
    pub(crate) wait_seconds: Option<u32>,
    /// From when all consumers wait to the first push.
    pub(crate) settle: Duration,
    /// What is pushed to, if not the options' targets.
    pub(crate) push_targets: &'a [Target],
}

/// What all threads of the run share.
struct Game<'a> {
    setup: &'a Setup<'a>,
    seed: u64,
    pushes: Agenda,
    inspections: Agenda,
    /// The first push after the warm-up.
    first_measured: u64,
    /// Of every push to every of its queues.
    ledger: Ledger,
    /// For each push, to how many of its queues it has not been delivered; nothing where it is one.
    missing: Box<[AtomicU32]>,
}

/// What came of it.
pub(crate) struct Delivered {
    pub(crate) measures: Measures,
    outcome: Outcome<()>,
    seed: u64,
    /// Pushes that were due and could not be sent, up to the end of all patience.
    unsent: u64,
    lost: u64,
    duplicated: u64,
}

/// How much a process grew.
pub(crate) struct Growth<'a> {
    pub(crate) process: &'a str,
    /// From the first sight to the last.
    pub(crate) kib: f64,
    /// By the line that fits best through all.
    pub(crate) kib_per_hour: f64,
}

impl Setup<'_> {
    /// Does it.
    pub(crate) fn run(&self) -> Result<Delivered, DeliveryError> {
        let consumers = self.crowd.consumers();
        if consumers == 0 {
            return Err(DeliveryError::NoConsumers);
        }
        if self.fan > consumers {
            let fan = self.fan;
            return Err(DeliveryError::TooFewConsumers { fan, consumers });
        }
        let is_plain = self.crowd.is_plain() && self.fan == 1;
        let other = self
            .options
            .target_besides(&[Protocol::Popbox], self.push_targets);
        if let Some(other) = other.filter(|_| !is_plain) {
            return Err(DeliveryError::NotOfPopbox(other));
        }
        let game = self.game()?;
        securing::secure(self.options, &self.prefix, consumers)?;
        let consumers = consumers as usize;
        let mut connections = self.options.connections(consumers);
        let others = self.crowd.pushers as usize + self.crowd.inspectors as usize;
        let more = self
            .options
            .more_connections(self.push_targets, consumers, others);
        connections.extend(more);
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: self.settle,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: self.options,
        };
        let outcome = crew::run(plan, |part| Thread::new(&game, part))?;
        let mut measures = Measures::new();
        let outcome = outcome.each(|thread| measures.add(&thread.measures()));
        Ok(Delivered {
            measures,
            outcome,
            seed: game.seed,
            unsent: game.pushes.left(),
            lost: game.ledger.lost(),
            duplicated: game.ledger.duplicated(),
        })
    }

    fn game(&self) -> Result<Game<'_>, DeliveryError> {
        let whole = self.timing.warmup + self.timing.duration;
        let pushes = Schedule::count_within(self.rate, whole);
        let messages = pushes.saturating_mul(u64::from(self.fan));
        let cells = usize::try_from(messages)
            .ok()
            .filter(|_| messages <= Ledger::PUSHES_MAX)
            .ok_or(DeliveryError::TooManyMessages { messages })?;
        let counted = if self.fan > 1 { pushes } else { 0 };
        Ok(Game {
            setup: self,
            seed: self.options.seed(),
            pushes: Agenda::new(pushes, self.rate),
            inspections: Agenda::new(
                Schedule::count_within(self.inspections, whole),
                self.inspections,
            ),
            first_measured: Schedule::count_within(self.rate, self.timing.warmup),
            ledger: Ledger::new(cells),
            missing: (0..counted).map(|_| AtomicU32::new(self.fan)).collect(),
        })
    }
}

impl Game<'_> {
    /// The queues that a push goes to.
    fn queues_of(&self, push: u64) -> Queues<'_> {
        let ring = self.setup.crowd.consumers();
        self.setup
            .prefix
            .queues(self.first_of(push), self.setup.fan, ring)
    }

    fn first_of(&self, push: u64) -> u32 {
        random::below(self.setup.crowd.consumers(), self.seed, push)
    }

    /// The number of the message of a push in a queue; none if it is none of those that it goes to.
    fn message_of(&self, push: u64, queue: u32) -> Option<u64> {
        let ring = u64::from(self.setup.crowd.consumers());
        let steps = (u64::from(queue) + ring).checked_sub(u64::from(self.first_of(push)))?;
        let step = steps.checked_rem(ring)?;
        let fan = u64::from(self.setup.fan);
        (step < fan).then_some(push.checked_mul(fan)?.checked_add(step)?)
    }

    /// All messages of a push.
    fn messages_of(&self, push: u64) -> impl Iterator<Item = u64> {
        let fan = u64::from(self.setup.fan);
        (0..fan).filter_map(move |step| push.checked_mul(fan)?.checked_add(step))
    }

    /// One more of its queues has the message; whether that was the last one of several.
    fn is_last(&self, push: u64) -> bool {
        usize::try_from(push)
            .ok()
            .and_then(|push| self.missing.get(push))
            .is_some_and(|missing| missing.fetch_sub(1, Ordering::Relaxed) == 1)
    }
}

impl Delivered {
    /// Adds what was done.
    pub(crate) fn report_setup(&self, setup: &Setup<'_>, report: &mut Report) {
        report.count("rate_per_second", u64::from(setup.rate));
        report.count("payload_bytes", setup.payloads.bytes() as u64);
        report.count("seed", self.seed);
    }

    /// Adds what became of the messages.
    pub(crate) fn report_counts(&self, report: &mut Report) {
        report.count("measured", self.measures.deliveries());
        self.measures.lateness.report(report);
        report.count("unsent", self.unsent);
        report.count("pushed", self.outcome.total.pushed);
        report.count("received", self.outcome.total.received);
        report.count("lost", self.lost);
        report.count("duplicated", self.duplicated);
        report.count("empty", self.outcome.total.empty);
        if self.outcome.total.unacked > 0 {
            report.count("unacked", self.outcome.total.unacked);
        }
        self.outcome.finish(report, self.outcome.measured.received);
    }

    /// How much each watched process grew after the warm-up.
    pub(crate) fn growth(&self, warmup: Duration) -> Vec<Growth<'_>> {
        let points = self.outcome.timeline.points();
        let watched = self.outcome.watched.iter().enumerate();
        let grown = watched.filter_map(|(place, watched)| {
            Some(Growth {
                process: &watched.name,
                kib: growth::kib(points, place, warmup)?,
                kib_per_hour: growth::kib_per_hour(points, place, warmup)?,
            })
        });
        grown.collect()
    }

    /// What is wrong where a watched process has ended.
    pub(crate) fn gone(&self) -> Option<String> {
        let gone = &self.outcome.gone;
        (!gone.is_empty()).then(|| format!("ended meanwhile: {}", gone.join(" ")))
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.lost > 0 || self.duplicated > 0 {
            let (lost, duplicated) = (self.lost, self.duplicated);
            Some(format!("{lost} messages lost, {duplicated} duplicated"))
        } else if self.outcome.total.received == 0 {
            Some("no message arrived".to_owned())
        } else if self.unsent > 0 {
            let unsent = self.unsent;
            Some(format!("{unsent} pushes were due and could not be sent"))
        } else {
            None
        }
    }
}
