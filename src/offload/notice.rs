//! What is told once a minute at most, however often it happens.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is told.
pub(super) const EVERY: Duration = Duration::from_mins(1);

/// When it was told last.
#[derive(Default)]
pub(super) struct Notice(Option<Instant>);

impl Notice {
    /// Whether it is to be told now; if so, it counts as told.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|told| now.duration_since(told) >= EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_once_a_minute() {
        let mut notice = Notice::default();
        let start = Instant::now();
        let told: Vec<_> = (0..150)
            .filter(|&second| notice.is_due(start + Duration::from_secs(second)))
            .collect();
        assert_eq!(told, [0, 60, 120]);
    }
}
