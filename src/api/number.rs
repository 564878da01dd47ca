//! Numbers as the clients' `JavaScript` reads them: as far as the text makes sense.

/// The whole number that the text begins with, as `parseInt` reads it. One too large for any use is the largest.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = unsigned.get(..digits(unsigned))?;
    if digits.is_empty() {
        return None;
    }
    // Only a number too large can fail here.
    Some(sign * digits.parse().unwrap_or(i64::MAX))
}

/// The number that the text begins with, as `parseFloat` reads it.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let mut end = usize::from(text.starts_with(['+', '-']));
    end += digits(text.get(end..)?);
    if let Some(fraction) = text.get(end..)?.strip_prefix('.') {
        end += 1 + digits(fraction);
    }
    if let Some(exponent) = text.get(end..)?.strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = digits(exponent.get(sign..)?);
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    text.get(..end)?.parse().ok()
}

/// How many digits the text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, number) in [
            ("5", Some(5)),
            ("2.7", Some(2)),
            ("5abc", Some(5)),
            (" 7 ", Some(7)),
            ("-3", Some(-3)),
            ("-0.5", Some(0)),
            ("+4", Some(4)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(-i64::MAX)),
            ("", None),
            ("abc", None),
            ("-", None),
            (".5", None),
            ("é", None),
            ("--1", None),
            ("inf", None),
        ] {
            assert_eq!(parse_integer(text), number, "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, number) in [
            ("2.5", Some(2.5)),
            ("2.5s", Some(2.5)),
            (" .5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-1.5", Some(-1.5)),
            ("1e2", Some(100.0)),
            ("1e", Some(1.0)),
            ("1e+", Some(1.0)),
            ("1.2.3", Some(1.2)),
            ("1e400", Some(f64::INFINITY)),
            ("", None),
            (".", None),
            ("e5", None),
            ("-", None),
            ("NaN", None),
            ("inf", None),
            ("é1", None),
        ] {
            assert_eq!(parse_float(text), number, "{text}");
        }
    }
}
