//! Waiters, each blocked on a queue of its own, are woken by pushes at a fixed rate.
//!
//! The pushes are due at times fixed ahead and latency counts from then: a server that stalls is charged for all that
//! should have happened meanwhile.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{CommandError, Ended, delivery_fault};
use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Part, Plan},
    duration,
    event_loop::Load,
    exchange::{Answer, Asked, Request},
    latencies::Latencies,
    ledger::Ledger,
    options::{Options, PayloadOptions, Timing},
    payload::Payloads,
    phases::Phases,
    queue::Prefix,
    random,
    schedule::Schedule,
    tally::Tally,
    target::Target,
};

/// How often the end of everything is looked for, once all pushes are sent.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug, clap::Args)]
pub(super) struct Wake {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    payload: PayloadOptions,
    /// Waiters, each with a connection and a queue
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    waiters: u32,
    /// Pushes a second, to queues chosen by chance
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Connections that push
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pushers: u32,
    /// A server that is pushed to, if not those that are waited at; may be given several times
    #[arg(long = "push-target", value_name = "URL")]
    push_targets: Vec<Target>,
    /// Seconds a pop waits until it is answered without a message and posted anew; if left out, as long as possible
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: Option<u32>,
    /// From when all waiters wait to the first push
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    settle: Duration,
}

/// What all threads of the run share.
struct Game<'a> {
    wake: &'a Wake,
    prefix: Prefix,
    payloads: Payloads,
    seed: u64,
    /// The next push that nobody has taken on.
    next: AtomicU64,
    /// The first push after the warm-up.
    first_measured: u64,
    ledger: Ledger,
}

impl Wake {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let waiters = self.waiters as usize;
        let pushers = self.pushers as usize;
        let mut connections = self.options.connections(waiters);
        let to_push = &self.push_targets;
        connections.extend(self.options.more_connections(to_push, waiters, pushers));
        let pushing = self.timing.warmup + self.timing.duration;
        let total = Schedule::count_within(self.rate, pushing);
        let ledger = usize::try_from(total)
            .ok()
            .filter(|_| total <= Ledger::PUSHES_MAX)
            .map(Ledger::new)
            .ok_or(CommandError::TooManyPushes { pushes: total })?;
        let game = Game {
            prefix: self.options.prefix("load-wake-"),
            payloads: self.payload.payloads(),
            seed: self.options.seed(),
            next: AtomicU64::new(0),
            first_measured: Schedule::count_within(self.rate, self.timing.warmup),
            ledger,
            wake: &self,
        };
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: self.settle,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            patience: self.options.patience,
            processes: &self.options.processes,
        };
        let outcome = crew::run(plan, |part| Thread::new(&game, part))?;
        let mut latencies = Latencies::new();
        for thread in &outcome.loads {
            latencies.add(&thread.latencies);
        }
        let (lost, duplicated) = (game.ledger.lost(), game.ledger.duplicated());
        let mut report = self.options.report("wake");
        report.count("waiters", u64::from(self.waiters));
        report.count("rate_per_second", u64::from(self.rate));
        report.count("payload_bytes", game.payloads.bytes() as u64);
        report.count("seed", game.seed);
        report.latencies("wake", &latencies);
        report.count("measured", latencies.count());
        report.count("pushed", outcome.total.pushed);
        report.count("received", outcome.total.received);
        report.count("lost", lost);
        report.count("duplicated", duplicated);
        report.count("empty", outcome.total.empty);
        outcome.finish(&mut report, outcome.measured.received);
        Ok(Ended {
            report,
            fault: delivery_fault(lost, duplicated, outcome.total.received),
        })
    }
}

impl Game<'_> {
    /// The queue that a push goes to.
    fn queue_of(&self, push: u64) -> u32 {
        random::below(self.wake.waiters, self.seed, push)
    }
}

/// One thread's waiters and pushers.
struct Thread<'a> {
    game: &'a Game<'a>,
    phases: Phases,
    schedule: Schedule,
    tally: Arc<Tally>,
    latencies: Latencies,
    /// Pushers that nothing is under way on.
    free: Vec<usize>,
    /// For each connection, the push that is under way.
    pushing: Vec<u64>,
}

impl<'a> Thread<'a> {
    fn new(game: &'a Game<'a>, part: &Part) -> Self {
        Self {
            game,
            phases: part.phases,
            schedule: Schedule::new(part.phases.start, game.wake.rate),
            tally: Arc::clone(&part.tally),
            latencies: Latencies::new(),
            free: Vec::new(),
            pushing: vec![0; part.connections],
        }
    }

    /// The queue of a waiter; none for a pusher.
    fn waits_at(&self, connection: &Connection) -> Option<u32> {
        u32::try_from(connection.number())
            .ok()
            .filter(|number| *number < self.game.wake.waiters)
    }

    fn wait(&self, connection: &mut Connection, queue: u32, now: Instant) {
        let request = Request::Wait {
            queue: self.game.prefix.queue(queue),
            seconds: self.game.wake.timeout,
        };
        connection.ask(&request, now);
    }

    fn receive(&mut self, payload: &str, queue: u32, now: Instant) {
        let number = self.game.payloads.number(payload);
        let Some(number) = number.filter(|number| self.game.queue_of(*number) == queue) else {
            self.tally.foreign.count();
            return;
        };
        self.tally.received.count();
        self.game.ledger.arrived(number);
        if number >= self.game.first_measured {
            let due = self.schedule.due(number);
            self.latencies.record(now.saturating_duration_since(due));
        }
    }

    /// The next push, if it is due; otherwise when to look again.
    fn take_due(&self, now: Instant) -> Result<u64, Instant> {
        loop {
            let number = self.game.next.load(Ordering::Relaxed);
            let due = self.schedule.due(number);
            if due > now {
                return Err(due);
            }
            if number >= self.game.ledger.pushes() {
                return Err(now + LOOK_INTERVAL);
            }
            let taken = self.game.next.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if taken.is_ok() {
                return Ok(number);
            }
        }
    }
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        match self.waits_at(connection) {
            Some(queue) => self.wait(connection, queue, now),
            None => self.free.push(connection.index()),
        }
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        _asked: UnderWay,
        now: Instant,
    ) {
        let Some(queue) = self.waits_at(connection) else {
            let index = connection.index();
            if answer == Answer::Pushed {
                self.tally.pushed.count();
                if let Some(number) = self.pushing.get(index) {
                    self.game.ledger.stored(*number);
                }
            } else {
                self.tally.refuse(&answer);
                self.game.ledger.settled();
            }
            self.free.push(index);
            return;
        };
        if let Answer::Messages(payloads) = answer {
            if payloads.is_empty() {
                self.tally.empty.count();
            }
            for payload in payloads {
                self.receive(&payload, queue, now);
            }
            self.wait(connection, queue, now);
        } else {
            self.tally.refuse(&answer);
            connection.pause();
        }
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        let index = connection.index();
        self.free.retain(|free| *free != index);
        if connection.asked() == Some(Asked::Push) {
            self.tally.unknown.count();
            self.game.ledger.settled();
        }
    }

    fn turn(
        &mut self,
        connections: &mut [Connection],
        now: Instant,
    ) -> ControlFlow<(), Option<Instant>> {
        let is_over = self.phases.is_over(now);
        let given_up_at = self.phases.given_up_at();
        let is_given_up = given_up_at.is_some_and(|given_up_at| now >= given_up_at);
        if is_given_up || (is_over && self.game.ledger.is_complete()) {
            return ControlFlow::Break(());
        }
        let mut look_at = if is_over {
            Some(now + LOOK_INTERVAL)
        } else {
            self.phases.measured_until
        };
        while let Some(&index) = self.free.last() {
            match self.take_due(now) {
                Ok(number) => {
                    self.free.pop();
                    let game = self.game;
                    let request = Request::Push {
                        queue: game.prefix.queue(game.queue_of(number)),
                        payloads: &game.payloads,
                        number,
                    };
                    if let Some(pushing) = self.pushing.get_mut(index) {
                        *pushing = number;
                    }
                    if let Some(pusher) = connections.get_mut(index) {
                        pusher.ask(&request, now);
                    }
                }
                Err(due) => {
                    look_at = look_at.map(|look_at| look_at.min(due));
                    break;
                }
            }
        }
        ControlFlow::Continue(look_at)
    }
}
