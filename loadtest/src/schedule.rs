//! When each push is due.

use std::time::{Duration, Instant};

/// Times at a fixed distance, fixed ahead: a server that stalls does not slow them down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    per_second: u32,
}

impl Schedule {
    /// The first push is due at `start`.
    pub(crate) fn new(start: Instant, per_second: u32) -> Self {
        Self { start, per_second }
    }

    /// When the push with this number is due.
    pub(crate) fn due(&self, number: u64) -> Instant {
        let rate = u64::from(self.per_second.max(1));
        let nanoseconds = (number % rate) * 1_000_000_000 / rate;
        let since = Duration::from_secs(number / rate) + Duration::from_nanos(nanoseconds);
        self.start.checked_add(since).unwrap_or(self.start)
    }

    /// How many pushes are due in the first `duration`; they have the numbers below.
    pub(crate) fn count_within(per_second: u32, duration: Duration) -> u64 {
        let count = duration.as_nanos() * u128::from(per_second);
        u64::try_from(count.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_due_at_a_fixed_distance() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1_000);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(1), start + Duration::from_millis(1));
        assert_eq!(schedule.due(20_000), start + Duration::from_secs(20));
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 3);
        assert_eq!(schedule.due(1), start + Duration::from_nanos(333_333_333));
        assert_eq!(
            schedule.due(3_000_000),
            start + Duration::from_secs(1_000_000)
        );
    }

    #[test]
    fn those_within_a_time_are_those_due_before_its_end() {
        for per_second in [1, 3, 7, 1_000, 999_999] {
            for milliseconds in [0, 1, 500, 999, 1_000, 1_001, 20_000] {
                let within = Duration::from_millis(milliseconds);
                let start = Instant::now();
                let schedule = Schedule::new(start, per_second);
                let count = Schedule::count_within(per_second, within);
                assert!(schedule.due(count) + Duration::from_nanos(1) >= start + within);
                assert!(count == 0 || schedule.due(count - 1) < start + within);
            }
        }
    }
}
