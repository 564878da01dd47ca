//! Whether a process grows.

use std::time::Duration;

use crate::{report::float, timeline::Point};

/// By how many KiB the memory of the process at this place grew from the first sight after `from` to the last; less
/// than nothing if it shrank. None if too little was seen.
pub(crate) fn kib(points: &[Point], place: usize, from: Duration) -> Option<f64> {
    let seen = seen(points, place, from);
    Some(seen.last()?.1 - seen.first()?.1)
}

/// How much the memory of the process at this place grew in an hour, in KiB: the slope of the line that fits best
/// through what was seen from `from` on. None if too little was seen.
pub(crate) fn kib_per_hour(points: &[Point], place: usize, from: Duration) -> Option<f64> {
    slope(&seen(points, place, from))
}

/// Hours since the beginning, and KiB.
fn seen(points: &[Point], place: usize, from: Duration) -> Vec<(f64, f64)> {
    let points = points.iter().filter(|point| point.end >= from);
    points
        .filter_map(|point| {
            let bytes = *point.resident_bytes.get(place)?;
            Some((point.end.as_secs_f64() / 3_600.0, float(bytes) / 1_024.0))
        })
        .collect()
}

fn slope(seen: &[(f64, f64)]) -> Option<f64> {
    let count = float(seen.len() as u64);
    let (hours, kibibytes) = seen
        .iter()
        .fold((0.0, 0.0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
    let (mean_hours, mean_kibibytes) = (hours / count, kibibytes / count);
    let (mut products, mut squares) = (0.0, 0.0);
    for (hour, kibibyte) in seen {
        products += (hour - mean_hours) * (kibibyte - mean_kibibytes);
        squares += (hour - mean_hours) * (hour - mean_hours);
    }
    (squares > 0.0).then(|| products / squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let line: Vec<(f64, f64)> = [0.0, 0.5, 1.0, 2.0]
            .map(|hour| (hour, 7.0 + 30.0 * hour))
            .to_vec();
        let found = slope(&line).unwrap();
        assert!((found - 30.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn of_one_sight_there_is_no_growth() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 5.0)]), None);
    }
}
