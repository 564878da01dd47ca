//! One JSON value, still as text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::compact::compact;

/// A value whose JSON is known to be valid. It is kept as the client wrote it, so that nothing is lost.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    pub(super) fn new(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }

    /// The JSON itself.
    pub fn source(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The content of a string.
    pub fn string(self) -> Option<Cow<'a, str>> {
        let quoted = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', quoted.as_bytes()).is_none() {
            return Some(Cow::Borrowed(quoted));
        }
        let text = serde_json::from_str(self.0)
            .or_else(|_| serde_json::from_str(&mend_surrogates(self.0)));
        text.ok().map(Cow::Owned)
    }

    /// A string as it is, anything else as its JSON without insignificant whitespace.
    pub fn text(self) -> Cow<'a, str> {
        self.string().unwrap_or_else(|| compact(self.0))
    }

    /// A number, or a string that spells one. Beyond what a float can hold it is infinite.
    pub fn number(self) -> Option<f64> {
        let text = self.string().unwrap_or(Cow::Borrowed(self.0));
        let text = text.trim();
        // `parse` would take words such as "nan" too.
        let spells_number = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if spells_number {
            text.parse().ok()
        } else {
            None
        }
    }

    /// Whether `JavaScript`, the language of many clients, takes it for "nothing given".
    pub fn is_nothing(self) -> bool {
        matches!(self.0, "null" | "false" | "\"\"")
            || (!self.0.starts_with('"') && self.number() == Some(0.0))
    }

    /// Whether it is a list.
    pub(super) fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// Passes each element of a list to `each`; not collected here, since a list can be much longer than what is
    /// wanted of it. Nothing happens if it is no list.
    pub(super) fn for_each_element(self, each: impl FnMut(Json<'a>)) {
        if self.is_list() {
            let mut deserializer = serde_json::Deserializer::from_str(self.0);
            // The JSON is valid and the visitor refuses nothing.
            let _ = deserializer.deserialize_seq(Elements(each));
        }
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(Json<'de>)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element()? {
            (self.0)(Json::new(raw));
        }
        Ok(())
    }
}

/// A JSON string in which each escaped half of a surrogate pair without its other half has become U+FFFD.
/// `JavaScript` can hold such halves, UTF-8 cannot.
fn mend_surrogates(quoted: &str) -> String {
    let mut mended = String::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(start) = rest.find('\\') {
        mended.push_str(&rest[..start]);
        rest = &rest[start..];
        let unit = escaped_unit(rest);
        let follower = rest.get(6..).and_then(escaped_unit);
        let length = match (unit, follower) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                mended.push('\u{FFFD}');
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        // In valid JSON an escape is ASCII and whole.
        let (escape, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        mended.push_str(escape);
        rest = after;
    }
    mended.push_str(rest);
    mended
}

/// The UTF-16 unit that an escape of the form `\uXXXX` at the start of `text` stands for.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn text_is_a_string_or_compact_json() {
        for (source, text) in [
            (r#""plain""#, "plain"),
            (r#""a\nb\u00e9\ud83d\ude00""#, "a\nbé😀"),
            (
                r#""lone \ud83d, \udc00\\ud800""#,
                "lone \u{fffd}, \u{fffd}\\ud800",
            ),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
            ("null", "null"),
            ("1e400", "1e400"),
            ("12345678901234567890", "12345678901234567890"),
            ("{ \"a\": [1, 2] }", r#"{"a":[1,2]}"#),
        ] {
            assert_eq!(json(source).text(), text);
        }
    }

    #[test]
    fn numbers_may_be_spelled_in_strings() {
        assert_eq!(json("2.5").number(), Some(2.5));
        assert_eq!(json("\" 2.5 \"").number(), Some(2.5));
        assert_eq!(json("1e400").number(), Some(f64::INFINITY));
        for source in [
            "\"nan\"", "\"inf\"", "\"\"", "true", "[1]", "\"1 2\"", "null",
        ] {
            assert_eq!(json(source).number(), None, "{source}");
        }
    }

    #[test]
    fn nothing_is_what_is_false_in_javascript() {
        for source in ["null", "false", "0", "-0", "0.0", "\"\""] {
            assert!(json(source).is_nothing(), "{source}");
        }
        for source in ["true", "1", "\"0\"", "[]", "{}", "\" \""] {
            assert!(!json(source).is_nothing(), "{source}");
        }
    }

    #[test]
    fn elements_come_in_order() {
        let mut seen = Vec::new();
        json(r#"[ 1, "b", {"c": [2]}, null ]"#).for_each_element(|element| seen.push(element.0));
        assert_eq!(seen, ["1", "\"b\"", "{\"c\": [2]}", "null"]);
        json("{}").for_each_element(|_| panic!("no list"));
    }
}
