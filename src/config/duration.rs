//! Durations as an operator writes them: `500ms`, `10s`, `5m`, `1h`, `30d`; a bare number is seconds.

use std::time::Duration;

/// Units with their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration, to the millisecond; none where the text is not one.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let milliseconds_of_unit = match unit.trim_start() {
        "" => 1_000,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    if let Ok(whole) = number.parse::<u64>() {
        let milliseconds = whole.checked_mul(milliseconds_of_unit)?;
        return Some(Duration::from_millis(milliseconds));
    }
    let (whole, fraction) = number.split_once('.')?;
    let is_number = |digits: &str| !digits.is_empty() && !digits.contains('.');
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let unit = Duration::from_millis(milliseconds_of_unit);
    let seconds = number.parse::<f64>().ok()? * unit.as_secs_f64();
    let exact = Duration::try_from_secs_f64(seconds).ok()?;
    let rounded = exact.checked_add(Duration::from_micros(500))?;
    Some(Duration::from_millis(
        u64::try_from(rounded.as_millis()).ok()?,
    ))
}

/// Writes a duration in the largest unit that leaves no fraction, so that [`parse`] gives it back.
pub(super) fn text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let (unit, divisor) = UNITS
        .into_iter()
        .find(|(_, divisor)| milliseconds.is_multiple_of(u128::from(*divisor)))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", milliseconds / u128::from(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
            ("20", 20_000),
            ("0.25", 250),
            ("1.5h", 5_400_000),
            ("0.0004", 0),
            (" 10 s ", 10_000),
            ("0", 0),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "s",
            "x",
            "-1s",
            "+1s",
            "1.",
            ".5",
            "1.2.3",
            "1 h 5 m",
            "10S",
            "1w",
            "NaN",
            "inf",
            "1e3",
            "99999999999999999999d",
            "99999999999999999999.5d",
            "18446744073709551615d",
            "é",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for milliseconds in [
            0,
            1,
            999,
            1_000,
            1_500,
            60_000,
            90_000,
            86_400_000,
            u64::MAX,
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(&text(duration)), Some(duration));
        }
        assert_eq!(text(Duration::from_secs(90)), "90s");
        assert_eq!(text(Duration::from_hours(2)), "2h");
    }
}
