//! How often somebody may be wrong: so many times a minute for each address and thing to log in to.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

/// For how long failures count.
const WINDOW: Duration = Duration::from_mins(1);

/// Addresses and things with failures that are remembered; past it the oldest are forgotten first. Whoever can fill
/// this has as many addresses, and is not stopped by what one of them may do.
const REMEMBERED_MAX: usize = 100_000;

/// Failures lately, by who failed at what.
#[derive(Debug)]
pub(super) struct Failures<K> {
    windows: HashMap<K, Window>,
    /// By when their window began; with those that have been replaced meanwhile.
    order: VecDeque<(Instant, K)>,
    count_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    count: usize,
}

impl<K: Copy + Eq + Hash> Failures<K> {
    /// None yet; so many are allowed.
    pub(super) fn new(count_max: usize) -> Self {
        Self {
            windows: HashMap::new(),
            order: VecDeque::new(),
            count_max,
        }
    }

    /// How long to wait before the next attempt, if there is to be none now.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let window = self.windows.get(key)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(window.began))?;
        (window.count >= self.count_max && !left.is_zero()).then_some(left)
    }

    /// Counts an attempt as failed, perhaps before that is known.
    pub(super) fn note(&mut self, key: K, now: Instant) {
        self.forget_old(now);
        if let Some(window) = self.windows.get_mut(&key) {
            window.count += 1;
            return;
        }
        let window = Window {
            began: now,
            count: 1,
        };
        self.windows.insert(key, window);
        self.order.push_back((now, key));
    }

    /// One that was counted was none.
    pub(super) fn take_back(&mut self, key: &K) {
        if let Some(window) = self.windows.get_mut(key) {
            window.count = window.count.saturating_sub(1);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(&(began, key)) = self.order.front()
            && (now.saturating_duration_since(began) >= WINDOW
                || self.order.len() >= REMEMBERED_MAX)
        {
            self.order.pop_front();
            self.windows.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_have_to_wait_for_the_rest_of_the_minute() {
        let start = Instant::now();
        let mut failures = Failures::new(2);
        failures.note('a', start);
        assert_eq!(failures.wait(&'a', start), None);
        failures.note('a', start + WINDOW / 2);
        assert_eq!(failures.wait(&'a', start + WINDOW / 2), Some(WINDOW / 2));
        assert_eq!(failures.wait(&'b', start), None);
        assert_eq!(failures.wait(&'a', start + WINDOW), None);
        failures.note('a', start + WINDOW);
        assert_eq!(failures.wait(&'a', start + WINDOW), None, "a new minute");
    }

    #[test]
    fn what_was_right_does_not_count() {
        let now = Instant::now();
        let mut failures = Failures::new(1);
        failures.note('a', now);
        assert!(failures.wait(&'a', now).is_some());
        failures.take_back(&'a');
        assert_eq!(failures.wait(&'a', now), None);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let now = Instant::now();
        let mut failures = Failures::new(1);
        for key in 0..REMEMBERED_MAX + 10 {
            failures.note(key, now);
        }
        assert!(failures.windows.len() <= REMEMBERED_MAX);
        assert!(failures.wait(&0, now).is_none());
        assert!(failures.wait(&(REMEMBERED_MAX + 9), now).is_some());
    }
}
