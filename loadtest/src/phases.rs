//! The parts of a run.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Warm-up, then what is measured, then the rest of what is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phases {
    /// The warm-up begins.
    pub(crate) start: Instant,
    /// What is measured begins.
    pub(crate) measured_from: Instant,
    /// Nothing new is asked from here on; none where a run ends when there is nothing more to do.
    pub(crate) measured_until: Option<Instant>,
    /// After the end, how long answers that have not come are waited for.
    pub(crate) patience: Duration,
}

impl Phases {
    /// Whether what happened at `time` counts.
    pub(crate) fn is_measured(&self, time: Instant) -> bool {
        time >= self.measured_from && self.measured_until.is_none_or(|until| time < until)
    }

    /// Whether nothing new is to be asked at `time`.
    pub(crate) fn is_over(&self, time: Instant) -> bool {
        self.measured_until.is_some_and(|until| time >= until)
    }

    /// When to give up what has not come.
    pub(crate) fn given_up_at(&self) -> Option<Instant> {
        self.measured_until?.checked_add(self.patience)
    }

    /// For a load that asks when it is answered: whether to go on at `now` with so many requests under way, and when to
    /// look again.
    pub(crate) fn closed_loop(
        &self,
        now: Instant,
        under_way: usize,
    ) -> ControlFlow<(), Option<Instant>> {
        if !self.is_over(now) {
            return ControlFlow::Continue(self.measured_until);
        }
        let given_up_at = self.given_up_at();
        if under_way == 0 || given_up_at.is_none_or(|given_up_at| now >= given_up_at) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(given_up_at)
    }
}
