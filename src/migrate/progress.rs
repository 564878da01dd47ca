//! Tells whoever waits how far it is, about once a second.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(1);

/// Lines about how far it is; those that come too soon after another one are left out.
pub struct Progress<'a> {
    tell: &'a mut dyn FnMut(String),
    interval: Duration,
    told: Instant,
    last: String,
}

impl<'a> Progress<'a> {
    /// Lines go to `tell`.
    pub fn new(tell: &'a mut dyn FnMut(String)) -> Self {
        Self {
            tell,
            interval: INTERVAL,
            told: Instant::now(),
            last: String::new(),
        }
    }

    /// Something has changed; `line` says how far it is now.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.told.elapsed() < self.interval {
            return;
        }
        self.told = Instant::now();
        let line = line();
        if line != self.last {
            (self.tell)(line.clone());
            self.last = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of these lines.
    fn told(interval: Duration, lines: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |line| told.push(line);
        let mut progress = Progress::new(&mut tell);
        progress.interval = interval;
        for line in lines {
            progress.tell(|| (*line).to_owned());
        }
        told
    }

    #[test]
    fn only_changes_are_told_and_not_too_often() {
        let lines = ["1", "1", "2"];
        assert_eq!(told(Duration::ZERO, &lines), ["1", "2"]);
        assert!(told(Duration::from_hours(1), &lines).is_empty());
    }
}
