//! Which faults happen when: the same for the same seed.

use std::time::Duration;

use popbox_test_support::Random;

use super::fault::Fault;

/// In a bout of several, how much later than the first another one may begin.
const LATER_MAX_MS: usize = 1_500;

/// Between one bout and the next: time for work to be under way again.
const PAUSE_MIN_MS: usize = 300;
const PAUSE_MAX_MS: usize = 1_500;

/// One fault to come.
pub(crate) struct Strike {
    /// Its place in the repertoire.
    pub(crate) fault: usize,
    pub(crate) after: Duration,
    pub(crate) lasts: Duration,
    /// For what else it decides by dice.
    pub(crate) random: Random,
}

/// Faults that come together: each kind at most once.
pub(crate) struct Bout {
    pub(crate) pause: Duration,
    pub(crate) strikes: Vec<Strike>,
}

/// Bouts without an end.
pub(crate) struct Schedule {
    random: Random,
    /// Those of the repertoire that have not been alone yet.
    fresh: Vec<usize>,
}

impl Schedule {
    pub(crate) fn new(random: Random, repertoire: &[Box<dyn Fault>]) -> Self {
        Self {
            random,
            fresh: (0..repertoire.len()).collect(),
        }
    }

    /// At first each fault alone, in any order; then one to three of them.
    pub(crate) fn next(&mut self, repertoire: &[Box<dyn Fault>]) -> Bout {
        let pause = PAUSE_MIN_MS + self.random.below(PAUSE_MAX_MS - PAUSE_MIN_MS);
        let chosen = if self.fresh.is_empty() {
            let count = [1, 1, 1, 2, 2, 3][self.random.below(6)].min(repertoire.len());
            let mut all: Vec<usize> = (0..repertoire.len()).collect();
            (0..count)
                .map(|_| all.swap_remove(self.random.below(all.len())))
                .collect()
        } else {
            vec![self.fresh.swap_remove(self.random.below(self.fresh.len()))]
        };
        let strikes = chosen
            .into_iter()
            .enumerate()
            .map(|(place, fault)| {
                let span = repertoire[fault].lasts_ms();
                let lasts = span.start + self.random.below(span.len().max(1));
                let after = if place == 0 {
                    0
                } else {
                    self.random.below(LATER_MAX_MS)
                };
                Strike {
                    fault,
                    after: Duration::from_millis(after as u64),
                    lasts: Duration::from_millis(lasts as u64),
                    random: self.random.split(),
                }
            })
            .collect();
        Bout {
            pause: Duration::from_millis(pause as u64),
            strikes,
        }
    }
}
