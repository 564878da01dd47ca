//! Logins that were found right lately, so that a client that comes back in a moment costs no hash.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

/// What was found of a key, for a while. Full, it forgets the oldest.
#[derive(Debug)]
pub(super) struct Known<K, V> {
    found: HashMap<K, (Instant, V)>,
    /// By when they were found. One that was found again is here twice, and counts from the later time.
    order: VecDeque<(Instant, K)>,
    life: Duration,
    count_max: usize,
}

impl<K: Copy + Eq + Hash, V: Clone> Known<K, V> {
    /// Of nothing yet.
    pub(super) fn new(life: Duration, count_max: usize) -> Self {
        Self {
            found: HashMap::new(),
            order: VecDeque::new(),
            life,
            count_max,
        }
    }

    /// What was found, unless that is too long ago.
    pub(super) fn find(&self, key: &K, now: Instant) -> Option<V> {
        let (since, value) = self.found.get(key)?;
        (now.saturating_duration_since(*since) < self.life).then(|| value.clone())
    }

    /// Keeps what was found.
    pub(super) fn note(&mut self, key: K, value: V, now: Instant) {
        while let Some(&(since, oldest)) = self.order.front()
            && (self.order.len() >= self.count_max
                || now.saturating_duration_since(since) >= self.life)
        {
            self.order.pop_front();
            if self
                .found
                .get(&oldest)
                .is_some_and(|found| found.0 == since)
            {
                self.found.remove(&oldest);
            }
        }
        self.order.push_back((now, key));
        self.found.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_mins(1);

    #[test]
    fn what_was_found_is_known_for_its_time() {
        let start = Instant::now();
        let mut known = Known::new(LIFE, 10);
        known.note(1, 'a', start);
        assert_eq!(known.find(&1, start + LIFE / 2), Some('a'));
        assert_eq!(known.find(&1, start + LIFE), None);
        assert_eq!(known.find(&2, start), None);
        known.note(1, 'b', start + LIFE / 2);
        assert_eq!(known.find(&1, start + LIFE), Some('b'));
        known.note(2, 'c', start + LIFE);
        assert_eq!(
            known.find(&1, start + LIFE),
            Some('b'),
            "only its first time is over"
        );
    }

    #[test]
    fn there_are_never_more_than_there_may_be() {
        let now = Instant::now();
        let mut known = Known::new(LIFE, 3);
        for key in 0..10 {
            known.note(key, (), now);
            known.note(9, (), now);
            assert!(known.found.len() <= 3 && known.order.len() <= 3);
        }
        assert!(known.find(&9, now).is_some());
        assert!(known.find(&0, now).is_none());
    }
}
