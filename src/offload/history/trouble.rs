//! A trouble that may last: how long to wait until the next try, and telling of it.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use crate::offload::jitter::jittered;
use crate::offload::notice::Notice;

/// The first wait; each further one is twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(50);

/// A trouble that may last.
pub(super) struct Trouble {
    what: &'static str,
    wait: Duration,
    wait_max: Duration,
    since: Option<Instant>,
    notice: Notice,
}

impl Trouble {
    /// None as yet. `what` is what cannot be done then.
    pub(super) fn new(what: &'static str, wait_max: Duration) -> Self {
        Self {
            what,
            wait: WAIT_FIRST.min(wait_max),
            wait_max,
            since: None,
            notice: Notice::default(),
        }
    }

    /// It failed, again; how long to wait.
    pub(super) fn lasts(&mut self, now: Instant, error: &dyn Display) -> Duration {
        self.since.get_or_insert(now);
        if self.notice.is_due(now) {
            tracing::warn!("history: cannot {}, and tries again: {error}", self.what);
        }
        let whole = self.wait;
        self.wait = (whole * 2).min(self.wait_max);
        jittered(whole)
    }

    /// It worked.
    pub(super) fn is_over(&mut self, now: Instant) {
        if let Some(since) = self.since {
            let seconds = now.duration_since(since).as_secs();
            tracing::info!(seconds, "history: can {} again", self.what);
            *self = Self::new(self.what, self.wait_max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_again() {
        let mut trouble = Trouble::new("write", Duration::from_millis(300));
        let now = Instant::now();
        for whole_ms in [50, 100, 200, 300, 300] {
            let whole = Duration::from_millis(whole_ms);
            let wait = trouble.lasts(now, &"error");
            assert!((whole / 2..=whole).contains(&wait), "{wait:?} of {whole:?}");
        }
        trouble.is_over(now);
        assert!(trouble.lasts(now, &"error") <= WAIT_FIRST);
    }
}
