//! Durations on the command line: `500ms`, `20s`, `5m`, `1h`; a bare number is seconds.

use std::time::Duration;

/// Longer than anybody waits, and short enough to be added to any time.
const DURATION_MAX: Duration = Duration::from_hours(24 * 30);

/// Reads a duration, for clap.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let milliseconds_of_unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a duration is written as 500ms, 20s, 5m or 1h".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds_of_unit))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| "a duration is a whole number and a unit, at most 30 days".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("3", 3_000),
            ("500ms", 500),
            ("20s", 20_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "1.5s",
            "-1s",
            "1d",
            "1 s",
            "99999999999999999999",
            "9999999h",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
