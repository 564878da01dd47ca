//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::float;

/// What is shorter than a microsecond, or longer than an hour, is not told apart.
const NANOSECONDS_MIN: u64 = 1_000;
const NANOSECONDS_MAX: u64 = 3_600_000_000_000;

/// Digits that are exact.
const DIGITS: u8 = 3;

/// A distribution of durations.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// The shares that are reported, with their names.
pub(crate) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Points of a curve from 90 to 99 %, from 99 to 99.9 %, and so on.
const CURVE_STEPS: f64 = 10.0;

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(NANOSECONDS_MIN, NANOSECONDS_MAX, DIGITS);
        Self(histogram.expect("constant bounds that a histogram can have"))
    }

    /// One more.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    /// Those of another thread, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("two histograms with the same bounds");
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// What this share of them did not exceed.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        // The bucket's end may lie above everything that was recorded.
        let value = self.0.value_at_quantile(quantile).min(self.0.max());
        Duration::from_nanos(value)
    }

    /// What more and more of them did not exceed: shares, each a little nearer to all of them as far as there are
    /// enough to tell, with the duration.
    pub(crate) fn curve(&self) -> impl Iterator<Item = (f64, Duration)> {
        // A hundredth of the shortest, a tenth of them and so on are as far apart as 99 % and 99.9 %.
        let shares = (0..)
            .map(|step| 1.0 - 10_f64.powf(-f64::from(step) / CURVE_STEPS))
            .take_while(|share| (1.0 - share) * float(self.count()) >= 1.0)
            .chain((self.count() > 0).then_some(1.0));
        shares.map(|share| (share, self.at(share)))
    }

    /// The mean; none of none.
    pub(crate) fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.0.mean() / 1e9).unwrap_or_default()
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut even = Latencies::new();
        let mut odd = Latencies::new();
        for microseconds in 1..=10_000 {
            let one = if microseconds % 2 == 0 {
                &mut even
            } else {
                &mut odd
            };
            one.record(Duration::from_micros(microseconds));
        }
        even.add(&odd);
        assert_eq!(even.count(), 10_000);
        for (quantile, microseconds) in [(0.5, 5_000_i128), (0.99, 9_900), (0.999, 9_990)] {
            let found = i128::try_from(even.at(quantile).as_nanos()).unwrap();
            let off = (found - microseconds * 1_000).abs();
            assert!(off <= microseconds, "{quantile}: {found} ns");
        }
        assert!(even.at(1.0) <= even.max());
    }

    #[test]
    fn what_is_out_of_bounds_is_recorded_at_the_bound() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert_eq!(latencies.count(), 2);
    }
}
