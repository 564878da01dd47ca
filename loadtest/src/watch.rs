//! The first thread, which looks at the clock, the counters and the watched processes while the others make load.

use std::{
    fmt::Write as _,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::{
    latencies::Latencies,
    phases::Phases,
    process::{Process, Usage},
    recent::Recent,
    report::milliseconds,
    tally::{Counts, Tally},
    timeline::Timeline,
};

/// What there was at one time.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) at: Instant,
    pub(crate) counts: Counts,
    pub(crate) usages: Vec<Usage>,
}

/// What was seen.
pub(crate) struct Seen {
    /// When what is measured began.
    pub(crate) from: Sight,
    /// When it ended.
    pub(crate) until: Sight,
    pub(crate) timeline: Timeline,
    /// Watched processes that had ended.
    pub(crate) gone: Vec<String>,
}

/// Who looks.
pub(crate) struct Watch<'a> {
    pub(crate) processes: &'a [Process],
    pub(crate) phases: Phases,
    pub(crate) tally: &'a Tally,
    /// Of each thread.
    pub(crate) recents: &'a [Recent],
    /// How often progress is shown.
    pub(crate) progress: Duration,
    /// What the processes used when they were last seen.
    pub(crate) usages: Vec<Usage>,
}

impl Watch<'_> {
    /// Looks until so many threads have said that they have ended.
    pub(crate) fn look<T>(mut self, heard: &Receiver<T>, threads: usize) -> Seen {
        let (mut from, mut until) = (None, None);
        let mut running = threads;
        let mut timeline = Timeline::new();
        let mut all = Latencies::new();
        let mut shown = (self.phases.start, self.tally.counts());
        let mut sampled = self.tally.counts();
        let mut show_at = self.phases.start + self.progress;
        let mut sample_at = self.phases.start + timeline.interval();
        while running > 0 {
            let look_at = if from.is_none() {
                Some(self.phases.measured_from)
            } else {
                self.phases.measured_until.filter(|_| until.is_none())
            };
            let next = show_at.min(sample_at);
            let next = look_at.map_or(next, |look_at| look_at.min(next));
            match heard.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(_) => running -= 1,
                Err(RecvTimeoutError::Timeout) => {}
                // The threads hold what the news come through: there are none left.
                Err(RecvTimeoutError::Disconnected) => running = 0,
            }
            let now = Instant::now();
            if look_at.is_some_and(|look_at| now >= look_at) {
                let slot = if from.is_none() {
                    &mut from
                } else {
                    &mut until
                };
                *slot = Some(self.sight());
            }
            if now >= sample_at || running == 0 {
                let sight = self.sight();
                let latencies = self.take_recent();
                all.add(&latencies);
                let end = sight.at.saturating_duration_since(self.phases.start);
                timeline.add(end, sight.counts - sampled, &latencies, &sight.usages);
                sampled = sight.counts;
                // Without a pile of samples where this thread got no processor for a while.
                sample_at = now.max(sample_at) + timeline.interval();
            }
            if now >= show_at {
                let counts = self.tally.counts();
                self.show(now, counts, now - shown.0, counts - shown.1, &all);
                shown = (now, counts);
                show_at = now.max(show_at) + self.progress;
            }
        }
        let until = until.unwrap_or_else(|| self.sight());
        Seen {
            from: from.unwrap_or_else(|| until.clone()),
            until,
            timeline,
            gone: self.gone(),
        }
    }

    fn sight(&mut self) -> Sight {
        for (usage, process) in self.usages.iter_mut().zip(self.processes) {
            // One that has ended stays what it was: the run may be of hours, and is to be reported all the same.
            *usage = process.usage().unwrap_or(*usage);
        }
        Sight {
            at: Instant::now(),
            counts: self.tally.counts(),
            usages: self.usages.clone(),
        }
    }

    fn gone(&self) -> Vec<String> {
        let processes = self.processes.iter();
        let gone = processes.filter(|process| process.usage().is_err());
        gone.map(|process| process.name.clone()).collect()
    }

    fn take_recent(&self) -> Latencies {
        let mut latencies = Latencies::new();
        for recent in self.recents {
            latencies.add(&recent.take());
        }
        latencies
    }

    /// A line on standard error.
    fn show(&self, now: Instant, total: Counts, since: Duration, fresh: Counts, all: &Latencies) {
        let phase = if now < self.phases.measured_from {
            "warm-up"
        } else if self.phases.is_over(now) {
            "the rest"
        } else {
            "measured"
        };
        let rate = |count: u64| {
            let nanoseconds = since.as_nanos().max(1);
            (u128::from(count) * 1_000_000_000 + nanoseconds / 2) / nanoseconds
        };
        let p99 = if all.count() == 0 {
            "-".to_owned()
        } else {
            format!("{:.2} ms", milliseconds(all.at(0.99)))
        };
        let mut memory = String::new();
        for (process, usage) in self.processes.iter().zip(&self.usages) {
            let (name, kibibytes) = (&process.name, usage.resident_bytes / 1024);
            // Writing to a String does not fail.
            let _ = write!(memory, "  {name} {kibibytes} KiB");
        }
        eprintln!(
            "{:4} s  {phase:8}  pushed {}/s  received {}/s  p99 so far {p99}  empty {}  refused {}  dropped {}{memory}",
            now.saturating_duration_since(self.phases.start).as_secs(),
            rate(fresh.pushed),
            rate(fresh.received),
            total.empty,
            total.refused,
            total.dropped,
        );
    }
}
