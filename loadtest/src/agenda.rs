//! What is due when, and the connections that do it.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{latencies::Latencies, report::Report, schedule::Schedule};

/// Things to do, numbered from 0, each due at a time that is fixed ahead. All threads take from it.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// The first one that nobody has taken on.
    next: AtomicU64,
    total: u64,
    per_second: u32,
}

impl Agenda {
    /// So many things, at so many a second.
    pub(crate) fn new(total: u64, per_second: u32) -> Self {
        Self {
            next: AtomicU64::new(0),
            total,
            per_second,
        }
    }

    /// How many nobody has taken on.
    pub(crate) fn left(&self) -> u64 {
        self.total.saturating_sub(self.next.load(Ordering::Relaxed))
    }
}

/// A thread's connections that take turns at an agenda.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    agenda: &'a Agenda,
    schedule: Schedule,
    /// Those that nothing is under way on, and since when; the one that has been free longest is first.
    free: VecDeque<(usize, Instant)>,
    lateness: Lateness,
}

/// Something that is due, and who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its number.
    pub(crate) number: u64,
    /// The index of the connection.
    pub(crate) hand: usize,
}

impl<'a> Hands<'a> {
    /// None are free yet; the first thing is due at `start`.
    pub(crate) fn new(agenda: &'a Agenda, start: Instant) -> Self {
        Self {
            agenda,
            schedule: Schedule::new(start, agenda.per_second),
            free: VecDeque::new(),
            lateness: Lateness::new(),
        }
    }

    /// When the thing with this number is due.
    pub(crate) fn due(&self, number: u64) -> Instant {
        self.schedule.due(number)
    }

    /// This connection can do something.
    pub(crate) fn is_free(&mut self, hand: usize, now: Instant) {
        self.free.push_back((hand, now));
    }

    /// This connection is gone.
    pub(crate) fn is_gone(&mut self, hand: usize) {
        self.free.retain(|(free, _)| *free != hand);
    }

    /// How late things were begun.
    pub(crate) fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    /// The next thing, if it is due and somebody is free; otherwise when to look again (none: when somebody is).
    pub(crate) fn take(&mut self, now: Instant) -> Result<Task, Option<Instant>> {
        let &(hand, free_since) = self.free.front().ok_or(None)?;
        loop {
            let number = self.agenda.next.load(Ordering::Relaxed);
            if number >= self.agenda.total {
                return Err(None);
            }
            let due = self.schedule.due(number);
            if due > now {
                return Err(Some(due));
            }
            let taken = self.agenda.next.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if taken.is_ok() {
                self.free.pop_front();
                self.lateness.begun(due, free_since, Instant::now());
                return Ok(Task { number, hand });
            }
        }
    }
}

/// From here on something counts as late.
const LATE_AFTER: Duration = Duration::from_millis(1);

/// How late things were begun, and through whom: latencies count from when a thing was due, and what the load
/// generator itself was late by is in them.
#[derive(Debug)]
pub(crate) struct Lateness {
    /// Between when it could have been begun and when it was: the load generator had no processor.
    own: Latencies,
    late: u64,
    /// How often it was due and every connection still waited for an answer.
    busy: u64,
}

impl Lateness {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            own: Latencies::new(),
            late: 0,
            busy: 0,
        }
    }

    fn begun(&mut self, due: Instant, free_since: Instant, now: Instant) {
        let own = now.saturating_duration_since(due.max(free_since));
        self.own.record(own);
        self.late += u64::from(own >= LATE_AFTER);
        self.busy += u64::from(free_since >= due + LATE_AFTER);
    }

    /// Those of another thread, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.own.add(&other.own);
        self.late += other.late;
        self.busy += other.busy;
    }

    /// How many, and how late.
    pub(crate) fn report(&self, report: &mut Report) {
        report.count("late_by_generator", self.late);
        report.latencies("late_by_generator", &self.own);
        report.count("late_for_want_of_connection", self.busy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_taken_once_by_whoever_is_free() {
        let agenda = Agenda::new(3, 1_000);
        let start = Instant::now();
        let mut one = Hands::new(&agenda, start);
        let mut two = Hands::new(&agenda, start);
        assert_eq!(one.take(start), Err(None), "nobody is free");
        assert_eq!(agenda.left(), 3);
        one.is_free(7, start);
        two.is_free(8, start);
        assert_eq!(one.take(start), Ok(Task { number: 0, hand: 7 }));
        assert_eq!(two.take(start), Err(Some(two.due(1))));
        let later = start + Duration::from_millis(2);
        assert_eq!(two.take(later), Ok(Task { number: 1, hand: 8 }));
        one.is_free(7, later);
        one.is_free(9, later);
        one.is_gone(7);
        assert_eq!(one.take(later), Ok(Task { number: 2, hand: 9 }));
        two.is_free(8, later);
        assert_eq!(two.take(later), Err(None), "that was all");
        assert_eq!(agenda.left(), 0);
    }

    #[test]
    fn the_delay_of_the_generator_is_told_from_that_of_the_server() {
        let due = Instant::now();
        let after = |milliseconds| due + Duration::from_millis(milliseconds);
        let mut lateness = Lateness::new();
        lateness.begun(due, due, due);
        assert_eq!((lateness.late, lateness.busy), (0, 0));
        lateness.begun(due, after(50), after(50));
        assert_eq!((lateness.late, lateness.busy), (0, 1), "the server's");
        lateness.begun(due, due, after(50));
        assert_eq!((lateness.late, lateness.busy), (1, 1), "our own");
        assert!(lateness.own.max() >= Duration::from_millis(50));
    }
}
