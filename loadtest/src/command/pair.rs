//! Each connection pushes a message to a queue of its own and pops it back.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CommandError, Ended, delivery_fault, push::Numbers};
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
    tally::Tally,
};

/// How long a pop waits for the message, which is there.
const WAIT_SECONDS: u32 = 1;

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
}

impl Pair {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        let connections = self.options.connections(self.connections as usize);
        let payloads = self.payload.payloads();
        let prefix = self.options.prefix("load-pair-");
        let plan = Plan {
            threads: self.options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: self.timing.warmup,
            duration: Some(self.timing.duration),
            options: &self.options,
        };
        let outcome = crew::run(plan, |part| Thread::new(&prefix, &payloads, part))?;
        let mut pairs = Latencies::new();
        let mut pushes = Latencies::new();
        let mut pops = Latencies::new();
        let (mut lost, mut duplicated) = (0, 0);
        for thread in &outcome.loads {
            pairs.add(&thread.pairs);
            pushes.add(&thread.pushes);
            pops.add(&thread.pops);
            duplicated += thread.duplicated;
            let missing = thread.lanes.iter().flat_map(|lane| &lane.missing);
            lost += missing.filter(|missing| missing.is_stored).count() as u64;
        }
        let mut report = self.options.report("pair");
        report.count("connections", u64::from(self.connections));
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
    lanes: Vec<Lane>,
    under_way: usize,
    duplicated: u64,
}

/// A connection and its queue.
struct Lane {
    /// The push that is under way, or whose message is to be popped.
    number: u64,
    begun_at: Instant,
    /// Pushes whose message has not come.
    missing: Vec<Missing>,
}

struct Missing {
    number: u64,
    /// Whether the message must be somewhere; otherwise it may have gone with its connection.
    is_stored: bool,
}

impl<'a> Thread<'a> {
    fn new(prefix: &'a Prefix, payloads: &'a Payloads, part: &Part) -> Self {
        let lane = || Lane {
            number: 0,
            begun_at: part.phases.start,
            missing: Vec::new(),
        };
        Self {
            prefix,
            payloads,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            recent: part.recent.clone(),
            pairs: Latencies::new(),
            pushes: Latencies::new(),
            pops: Latencies::new(),
            next: Numbers::of(part),
            lanes: (0..part.connections).map(|_| lane()).collect(),
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

    /// Whether this is the message that the lane waits for.
    fn receive(&mut self, index: usize, payload: &str) -> bool {
        let Some(lane) = self.lanes.get_mut(index) else {
            return false;
        };
        let Some(number) = self.payloads.number(payload) else {
            self.tally.foreign.count();
            return false;
        };
        self.tally.received.count();
        if number == lane.number {
            return true;
        }
        let before = lane.missing.iter().position(|it| it.number == number);
        match before {
            Some(place) => drop(lane.missing.swap_remove(place)),
            None => self.duplicated += 1,
        }
        false
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
        if let Some(lane) = self.lanes.get_mut(connection.index()) {
            lane.number = number;
            lane.begun_at = now;
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
                    if let Some(lane) = self.lanes.get_mut(index) {
                        let number = lane.number;
                        lane.missing.push(Missing {
                            number,
                            is_stored: true,
                        });
                    }
                } else if !has_come {
                    return self.pop(connection, now);
                } else if is_measured && let Some(lane) = self.lanes.get(index) {
                    self.pops.record(now - asked.since);
                    let latency = now - lane.begun_at;
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
        if !matches!(connection.asked(), Some(Asked::Push | Asked::Wait)) {
            return;
        }
        self.tally.unknown.count();
        self.under_way -= 1;
        if let Some(lane) = self.lanes.get_mut(connection.index()) {
            let number = lane.number;
            lane.missing.push(Missing {
                number,
                is_stored: false,
            });
        }
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        self.phases.closed_loop(now, self.under_way)
    }
}
