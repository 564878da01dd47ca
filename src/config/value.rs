//! What a TOML value means where a number, a size or a list is expected. The environment and `--set` give strings
//! only, so each of these may also be written as a string.

use std::time::Duration;

use toml::{Table, Value};

use super::duration;
use super::size::Size;

/// How many characters of a value a fault shows: enough to know it by.
const SHOWN: usize = 100;

/// What values with a password or a hash have in them: an address with a user, or a line for `auth.admin`.
const MARKS_OF_SECRETS: [&str; 2] = ["@", "$argon2"];

/// What keys of secrets have in their names.
const SECRET_KEY: &str = "secret";

/// The value of a key that does not exist, as [`show`] does, and left out where the key is called a secret: its
/// section or itself may be misspelled.
pub(super) fn show_of(key: &str, value: &Value) -> String {
    if key.contains(SECRET_KEY) {
        return "(hidden)".to_owned();
    }
    show(value)
}

/// The value as it would be written in the file, cut short where it is long, and left out where it may be a secret:
/// faults go to logs.
pub(super) fn show(value: &Value) -> String {
    // TOML would write a string with line breaks on several lines; a fault is one line.
    let text = match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    if MARKS_OF_SECRETS.iter().any(|mark| text.contains(mark)) {
        return "(hidden: it may hold a password)".to_owned();
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(boolean) => Some(*boolean),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A whole number, not negative; in a string too with TOML's `_` between digits.
pub(super) fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(integer) => usize::try_from(*integer).ok(),
        Value::String(text) => text.replace('_', "").parse().ok(),
        _ => None,
    }
}

/// A number of bytes.
pub(super) fn size(value: &Value) -> Option<Size> {
    match value {
        Value::Integer(integer) => Some(Size::from_bytes(usize::try_from(*integer).ok()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A span of time; a bare number is seconds.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Integer(seconds) => duration::parse(&seconds.to_string()),
        Value::Float(seconds) => duration::parse(&seconds.to_string()),
        Value::String(text) => duration::parse(text),
        _ => None,
    }
}

/// A list of strings; in a string either TOML's `["a", "b"]` or `a, b`, and nothing for the empty list.
pub(super) fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Value::String(text) if text.trim_start().starts_with('[') => {
            let table = format!("list = {text}").parse::<Table>().ok()?;
            let array = table.get("list").filter(|list| list.is_array())?;
            list(array)
        }
        Value::String(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::String(text) => Some(text.split(',').map(|item| item.trim().to_owned()).collect()),
        _ => None,
    }
}

/// A list of tables; in a string as TOML has it inline, and nothing for the empty list.
pub(super) fn tables(value: &Value) -> Option<Vec<Table>> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_table().cloned()).collect(),
        Value::String(text) if text.trim().is_empty() => Some(Vec::new()),
        Value::String(text) => {
            let table = format!("list = {text}").parse::<Table>().ok()?;
            let array = table.get("list").filter(|list| list.is_array())?;
            tables(array)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn numbers_may_be_strings() {
        assert_eq!(count(&Value::Integer(7)), Some(7));
        assert_eq!(count(&text("10_000")), Some(10_000));
        for wrong in ["", "x", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(count(&text(wrong)), None, "{wrong:?}");
        }
        assert_eq!(count(&Value::Integer(-1)), None);
        assert_eq!(count(&Value::Float(1.0)), None);
        assert_eq!(boolean(&text("true")), Some(true));
        assert_eq!(boolean(&text("yes")), None);
    }

    #[test]
    fn bare_numbers_are_seconds_and_bytes() {
        assert_eq!(duration(&Value::Integer(3)), Some(Duration::from_secs(3)));
        assert_eq!(
            duration(&Value::Float(0.25)),
            Some(Duration::from_millis(250))
        );
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(duration(&Value::Float(wrong)), None, "{wrong}");
        }
        assert_eq!(size(&Value::Integer(512)), Some(Size::from_bytes(512)));
        assert_eq!(size(&Value::Integer(-1)), None);
    }

    #[test]
    fn lists_are_written_in_three_ways() {
        let expected = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(list(&Value::Array(vec![text("a"), text("b")])), expected);
        assert_eq!(list(&text(" a ,b")), expected);
        assert_eq!(list(&text(r#"["a", "b"]"#)), expected);
        assert_eq!(list(&text("")), Some(Vec::new()));
        assert_eq!(list(&text("[]")), Some(Vec::new()));
        for wrong in ["[1]", "[", "[]\nother = 1\nlist = 2", "[] x"] {
            assert_eq!(list(&text(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let shown = show(&text(&"é".repeat(1000)));
        assert_eq!(shown.chars().count(), SHOWN + 1);
    }
}
