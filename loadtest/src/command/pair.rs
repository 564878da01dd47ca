//! Each connection pushes a message to a queue of its own and pops it back.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CommandError, Ended, delivery_fault,
    filling::Filling,
    lane::{Arrival, Lane},
    push::Numbers,
};
use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Part, Plan},
    event_loop::Load,
    exchange::{Answer, Asked, Request},
    latencies::Latencies,
    options::{Options, PayloadOptions, Timing},
    payload::Payloads,
    phases::Phases,
    queue::Prefix,
    recent::Recent,
    securing,
    tally::Tally,
};

/// How long a pop waits for the message, which is there.
const WAIT_SECONDS: u32 = 1;

/// More messages in a queue are more than a run has time to push.
const DEPTH_MAX: i64 = 10_000_000;

#[derive(Debug, clap::Args)]
pub(super) struct Pair {
    #[command(flatten)]
    pub(super) options: Options,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    payload: PayloadOptions,
    /// Connections, each with a queue
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Messages that each queue has already, which are pushed first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=DEPTH_MAX))]
    depth: u32,
}

impl Pair {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let connections = self.options.connections(self.connections as usize);
        let payloads = self.payload.payloads();
        let prefix = self.options.prefix("load-pair-");
        securing::secure(&self.options, &prefix, self.connections)?;
        if self.depth > 0 {
            let filling = Filling {
                options: &self.options,
                connections: connections.clone(),
                prefix: &prefix,
                payloads: &payloads,
                messages: self.depth,
            };
            filling.run()?;
        }
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| Thread::new(&self, &prefix, &payloads, part))?;
        let mut pairs = Latencies::new();
        let mut pushes = Latencies::new();
        let mut pops = Latencies::new();
        let (mut lost, mut duplicated) = (0, 0);
        for thread in &outcome.loads {
            pairs.add(&thread.pairs);
            pushes.add(&thread.pushes);
            pops.add(&thread.pops);
            duplicated += thread.duplicated;
            lost += thread.owners.iter().map(|it| it.lane.lost()).sum::<u64>();
        }
        let mut report = self.options.report("pair");
        report.count("connections", u64::from(self.connections));
        report.count("depth", u64::from(self.depth));
        report.count("payload_bytes", payloads.bytes() as u64);
        report.rate(
            "pairs_per_second",
            outcome.measured.received,
            outcome.elapsed,
        );
        report.latencies("pair", &pairs);
        report.latencies("push", &pushes);
        report.latencies("pop", &pops);
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

/// One thread's connections.
struct Thread<'a> {
    prefix: &'a Prefix,
    payloads: &'a Payloads,
    phases: Phases,
    tally: Arc<Tally>,
    recent: Recent,
    pairs: Latencies,
    pushes: Latencies,
    pops: Latencies,
    next: Numbers,
    owners: Vec<Owner>,
    under_way: usize,
    duplicated: u64,
}

/// A connection and its queue.
struct Owner {
    /// The push that is under way, or whose pair is to be ended by a pop.
    number: u64,
    begun_at: Instant,
    lane: Lane,
}

impl<'a> Thread<'a> {
    fn new(pair: &Pair, prefix: &'a Prefix, payloads: &'a Payloads, part: &Part) -> Self {
        // Connections are dealt out to the threads in turn.
        let numbers = (part.thread..).step_by(part.threads);
        let owner = |connection| Owner {
            number: 0,
            begun_at: part.phases.start,
            lane: Lane::holding(Filling::numbers(connection, pair.depth)),
        };
        let filled = u64::from(pair.connections) * u64::from(pair.depth);
        Self {
            prefix,
            payloads,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            recent: part.recent.clone(),
            pairs: Latencies::new(),
            pushes: Latencies::new(),
            pops: Latencies::new(),
            next: Numbers::of(part).beyond(filled),
            owners: numbers.take(part.connections).map(owner).collect(),
            under_way: 0,
            duplicated: 0,
        }
    }

    fn pop(&mut self, connection: &mut Connection, now: Instant) {
        let request = Request::Wait {
            queue: self.prefix.queue(queue_of(connection)),
            seconds: Some(WAIT_SECONDS),
        };
        connection.ask(&request, now);
        self.under_way += 1;
    }

    /// Whether this is a message that the queue owes.
    fn receive(&mut self, index: usize, payload: &str) -> bool {
        let Some(owner) = self.owners.get_mut(index) else {
            return false;
        };
        let Some(number) = self.payloads.number(payload) else {
            self.tally.foreign.count();
            return false;
        };
        self.tally.received.count();
        let arrival = owner.lane.arrived(number);
        self.duplicated += u64::from(arrival == Arrival::Repeated);
        arrival == Arrival::Expected
    }
}

/// The queue of a connection. There are no more connections than a u32 counts.
fn queue_of(connection: &Connection) -> u32 {
    u32::try_from(connection.number()).unwrap_or(u32::MAX)
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        if self.phases.is_over(now) {
            return;
        }
        let number = self.next.take();
        if let Some(owner) = self.owners.get_mut(connection.index()) {
            owner.number = number;
            owner.begun_at = now;
        }
        let request = Request::Push {
            queues: self.prefix.only(queue_of(connection)),
            payloads: self.payloads,
            number,
        };
        connection.ask(&request, now);
        self.under_way += 1;
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        self.under_way -= 1;
        let index = connection.index();
        let is_measured = self.phases.is_measured(now);
        match answer {
            Answer::Pushed => {
                self.tally.pushed.count();
                if let Some(owner) = self.owners.get_mut(index) {
                    owner.lane.stored(owner.number);
                }
                if is_measured {
                    self.pushes.record(now - asked.since);
                }
                self.pop(connection, now);
            }
            Answer::Messages(payloads) => {
                let mut has_come = false;
                for payload in &payloads {
                    has_come |= self.receive(index, payload);
                }
                if payloads.is_empty() {
                    self.tally.empty.count();
                    if let Some(owner) = self.owners.get_mut(index) {
                        owner.lane.is_empty_now();
                    }
                } else if !has_come {
                    return self.pop(connection, now);
                } else if is_measured && let Some(owner) = self.owners.get(index) {
                    self.pops.record(now - asked.since);
                    let latency = now - owner.begun_at;
                    self.pairs.record(latency);
                    self.recent.record(latency);
                }
                self.ready(connection, now);
            }
            _ => {
                self.tally.refuse(&answer);
                connection.pause();
            }
        }
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        let asked = connection.asked();
        if !matches!(asked, Some(Asked::Push | Asked::Wait)) {
            return;
        }
        self.tally.unknown.count();
        self.under_way -= 1;
        if let Some(owner) = self.owners.get_mut(connection.index()) {
            if asked == Some(Asked::Push) {
                owner.lane.unknown(owner.number);
            } else {
                owner.lane.cut_off();
            }
        }
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        self.phases.closed_loop(now, self.under_way)
    }
}
