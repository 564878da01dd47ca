//! How long to wait before the next attempt.

use std::time::Duration;

use uuid::Uuid;

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(2);

/// Waits that double up to a bound, each shortened at random, so that a server that comes back is not met by everybody
/// at once.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// It worked: the next trouble is another one.
    pub(super) fn reset(&mut self) {
        self.0 = FIRST;
    }

    pub(super) fn next(&mut self) -> Duration {
        let whole = self.0;
        self.0 = (whole * 2).min(LAST);
        jittered(whole)
    }
}

/// Between half of a duration and all of it.
pub(in crate::store::redis) fn jittered(whole: Duration) -> Duration {
    let random = u32::from(Uuid::new_v4().into_bytes()[0]);
    whole / 2 + whole / 2 * random / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_again() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..8).map(|_| backoff.next()).collect();
        for (wait, whole_ms) in waits.iter().zip([50, 100, 200, 400, 800, 1600, 2000, 2000]) {
            let whole = Duration::from_millis(whole_ms);
            assert!((whole / 2..=whole).contains(wait), "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
