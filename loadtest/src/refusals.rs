//! What the server refused, by status.

use crate::tally::Counter;

/// Below are no statuses, and from the end on none either.
const STATUS_MIN: usize = 100;
const STATUSES: usize = 500;

/// A counter for each status of HTTP, and one for refusals without (Redis has none).
#[derive(Debug)]
pub(crate) struct Refusals {
    by_status: Box<[Counter]>,
    without: Counter,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            by_status: (0..STATUSES).map(|_| Counter::default()).collect(),
            without: Counter::default(),
        }
    }
}

impl Refusals {
    /// One more with this status.
    pub(crate) fn count(&self, status: Option<u16>) {
        status
            .and_then(|status| usize::from(status).checked_sub(STATUS_MIN))
            .and_then(|place| self.by_status.get(place))
            .unwrap_or(&self.without)
            .count();
    }

    /// The statuses there were, with how often; those without a status come last.
    pub(crate) fn counts(&self) -> Vec<(String, u64)> {
        let named = (STATUS_MIN..).zip(&self.by_status);
        named
            .map(|(status, counter)| (status.to_string(), counter.get()))
            .chain([("error".to_owned(), self.without.get())])
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_counted_for_itself() {
        let refusals = Refusals::default();
        for status in [Some(503), Some(429), Some(503), None, Some(7), Some(900)] {
            refusals.count(status);
        }
        let expected = [("429", 1), ("503", 2), ("error", 3)];
        let expected = expected.map(|(status, count)| (status.to_owned(), count));
        assert_eq!(refusals.counts(), expected);
    }
}
