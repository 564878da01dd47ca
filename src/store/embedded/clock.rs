//! The time of day, without its jumps.

use std::time::{Duration, Instant};

use crate::{mailbox::UnixMillis, store::time_of_day};

/// A difference to the system's time of day that means that the latter was set.
const STEP: Duration = Duration::from_millis(500);

/// Runs with the monotonic clock from the time of day at its start, and tells when the time of day was set.
#[derive(Debug)]
pub(super) struct Clock {
    anchor: UnixMillis,
    since: Instant,
}

/// By how much the time of day was set, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Forward(u64),
    Back(u64),
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            anchor: time_of_day(),
            since: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.anchor.plus(self.since.elapsed())
    }

    /// Follows the system's time of day if that was set.
    pub(super) fn follow(&mut self) -> Option<Step> {
        self.follow_to(time_of_day())
    }

    fn follow_to(&mut self, truth: UnixMillis) -> Option<Step> {
        let now = self.now();
        if u128::from(now.0.abs_diff(truth.0)) < STEP.as_millis() {
            return None;
        }
        *self = Self {
            anchor: truth,
            since: Instant::now(),
        };
        Some(if truth > now {
            Step::Forward(truth.0 - now.0)
        } else {
            Step::Back(now.0 - truth.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_clock_that_was_set_and_no_other() {
        let mut clock = Clock::new();
        assert_eq!(
            clock.follow_to(clock.now().plus(Duration::from_millis(100))),
            None
        );
        let hour = clock.now().plus(Duration::from_hours(1));
        assert!(matches!(
            clock.follow_to(hour),
            Some(Step::Forward(3_599_000..=3_600_000))
        ));
        assert!(clock.now() >= hour);
        let back = UnixMillis(hour.0 - 7_200_000);
        assert!(matches!(
            clock.follow_to(back),
            Some(Step::Back(7_200_000..=7_201_000))
        ));
    }
}
