//! How a run went, second by second.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    latencies::Latencies,
    process::Usage,
    report::{float, milliseconds, rounded},
    tally::Counts,
};

/// What happened in one interval.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Its end, counted from the beginning of the run.
    pub(crate) end: Duration,
    length: Duration,
    counts: Counts,
    p50: Duration,
    p99: Duration,
    max: Duration,
    /// Memory of each of the watched processes at its end.
    pub(crate) resident_bytes: Vec<u64>,
}

/// Intervals in the order of time.
#[derive(Debug)]
pub(crate) struct Timeline {
    points: Vec<Point>,
    interval: Duration,
}

/// Past this many, two intervals become one.
const POINTS_MAX: usize = 600;

/// The length of intervals at first.
const INTERVAL: Duration = Duration::from_secs(1);

impl Timeline {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            points: Vec::new(),
            interval: INTERVAL,
        }
    }

    /// How long the next interval is to be.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// What happened up to `end`.
    pub(crate) fn add(
        &mut self,
        end: Duration,
        counts: Counts,
        latencies: &Latencies,
        usages: &[Usage],
    ) {
        let before = self.points.last().map_or(Duration::ZERO, |last| last.end);
        self.points.push(Point {
            end,
            length: end.saturating_sub(before),
            counts,
            p50: latencies.at(0.5),
            p99: latencies.at(0.99),
            max: latencies.max(),
            resident_bytes: usages.iter().map(|usage| usage.resident_bytes).collect(),
        });
        if self.points.len() >= POINTS_MAX {
            self.points = self.points.chunks(2).filter_map(merged).collect();
            self.interval *= 2;
        }
    }

    /// The intervals.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// As JSON.
    pub(crate) fn to_json(&self, processes: &[String]) -> Value {
        let points = self.points.iter();
        points.map(|point| point.to_json(processes)).collect()
    }
}

/// The two as one. Shares of latencies cannot be put together: the worse of the two stands for both.
fn merged(points: &[Point]) -> Option<Point> {
    let mut points = points.iter().cloned();
    let first = points.next()?;
    Some(points.fold(first, |one, two| Point {
        end: two.end,
        length: one.length + two.length,
        counts: one.counts + two.counts,
        p50: one.p50.max(two.p50),
        p99: one.p99.max(two.p99),
        max: one.max.max(two.max),
        resident_bytes: two.resident_bytes,
    }))
}

impl Point {
    fn to_json(&self, processes: &[String]) -> Value {
        let seconds = self.length.as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = |count: u64| rounded(float(count) / seconds);
        let resident = self.resident_bytes.iter().map(|bytes| bytes / 1024);
        let resident = processes.iter().cloned().zip(resident.map(Value::from));
        json!({
            "second": rounded(self.end.as_secs_f64()),
            "pushed_per_second": rate(self.counts.pushed),
            "received_per_second": rate(self.counts.received),
            "refused_per_second": rate(self.counts.refused),
            "dropped": self.counts.dropped,
            "ms_p50": rounded(milliseconds(self.p50)),
            "ms_p99": rounded(milliseconds(self.p99)),
            "ms_max": rounded(milliseconds(self.max)),
            "resident_kib": resident.collect::<serde_json::Map<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_kept_in_few_points_and_nothing_is_left_out() {
        let mut timeline = Timeline::new();
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(3));
        let counts = Counts {
            pushed: 1,
            ..Counts::default()
        };
        let mut end = Duration::ZERO;
        let mut added = 0;
        while end < Duration::from_hours(24) {
            end += timeline.interval();
            timeline.add(end, counts, &latencies, &[]);
            added += 1;
        }
        let points = timeline.points();
        assert!(points.len() < POINTS_MAX);
        assert_eq!(points.iter().map(|it| it.counts.pushed).sum::<u64>(), added);
        assert_eq!(points.iter().map(|it| it.length).sum::<Duration>(), end);
        assert!(points.iter().all(|it| it.max == latencies.max()));
    }
}
