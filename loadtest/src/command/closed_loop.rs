//! One kind of request over and over again, each connection as fast as it is answered.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::Part,
    event_loop::Load,
    exchange::{Answer, Asked},
    latencies::Latencies,
    phases::Phases,
    recent::Recent,
    tally::{Counter, Tally},
};

/// What is asked for.
pub(super) trait Repeated {
    /// What kind of request it is.
    const ASKED: Asked;
    /// The answer to one that the server has done.
    const DONE: Answer<'static>;

    /// Asks for the next one.
    fn ask(&mut self, connection: &mut Connection, now: Instant);

    /// Where those that are done are counted.
    fn done(tally: &Tally) -> &Counter;
}

/// One thread's connections.
pub(super) struct ClosedLoop<R> {
    repeated: R,
    phases: Phases,
    tally: Arc<Tally>,
    latencies: Latencies,
    recent: Recent,
    under_way: usize,
}

impl<R: Repeated> ClosedLoop<R> {
    pub(super) fn new(part: &Part, repeated: R) -> Self {
        Self {
            repeated,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            latencies: Latencies::new(),
            recent: part.recent.clone(),
            under_way: 0,
        }
    }

    /// Those of all threads.
    pub(super) fn latencies(threads: &[Self]) -> Latencies {
        let mut latencies = Latencies::new();
        for thread in threads {
            latencies.add(&thread.latencies);
        }
        latencies
    }
}

impl<R: Repeated> Load for ClosedLoop<R> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        if self.phases.is_over(now) {
            return;
        }
        self.repeated.ask(connection, now);
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
        if answer == R::DONE {
            R::done(&self.tally).count();
            if self.phases.is_measured(now) {
                let latency = now - asked.since;
                self.latencies.record(latency);
                self.recent.record(latency);
            }
            self.ready(connection, now);
        } else {
            self.tally.refuse(&answer);
            connection.pause();
        }
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        if connection.asked() == Some(R::ASKED) {
            self.tally.unknown.count();
            self.under_way -= 1;
        }
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        self.phases.closed_loop(now, self.under_way)
    }
}
