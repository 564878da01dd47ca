//! JSON text without the whitespace that means nothing. Works on the text itself: a tree of values would change
//! numbers and escapes on the way.

use std::borrow::Cow;

/// How deep lists and objects may be nested; whoever reads a stored payload again may have no deeper stack.
const DEPTH_MAX: usize = 128;

/// The same valid JSON with nothing between its tokens.
pub(super) fn compact(text: &str) -> Cow<'_, str> {
    let mut within = WithinString::default();
    if !text.bytes().any(|byte| within.is_insignificant(byte)) {
        return Cow::Borrowed(text);
    }
    let mut within = WithinString::default();
    let mut insignificant =
        |character| u8::try_from(character).is_ok_and(|byte| within.is_insignificant(byte));
    Cow::Owned(
        text.chars()
            .filter(|character| !insignificant(*character))
            .collect(),
    )
}

/// Whether the lists and objects of valid JSON are nested deeper than anybody needs.
pub(super) fn is_too_deep(text: &str) -> bool {
    // Spares the one value that is often long, a payload that is a string, and what is too short: each list takes two
    // brackets.
    if !text.starts_with(['[', '{']) || text.len() <= 2 * DEPTH_MAX {
        return false;
    }
    let mut within = WithinString::default();
    let mut depth = 0_usize;
    for byte in text.bytes() {
        if within.advance(byte) {
            continue;
        }
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Follows where strings of a JSON text begin and end.
#[derive(Default)]
struct WithinString {
    inside: bool,
    escaped: bool,
}

impl WithinString {
    /// Takes the next byte; true if it belongs to a string.
    fn advance(&mut self, byte: u8) -> bool {
        let belongs = self.inside;
        if self.escaped {
            self.escaped = false;
        } else if byte == b'"' {
            self.inside = !self.inside;
        } else if byte == b'\\' {
            self.escaped = self.inside;
        }
        belongs
    }

    fn is_insignificant(&mut self, byte: u8) -> bool {
        !self.advance(byte) && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_between_tokens_goes_and_all_else_stays() {
        for (text, expected) in [
            ("{ \"a\" : [ 1 ,\r\n\t2 ] }", r#"{"a":[1,2]}"#),
            (r#"{"a b":" \" c "}"#, r#"{"a b":" \" c "}"#),
            (r#"[ "a\\" , " b " ]"#, r#"["a\\"," b "]"#),
            ("[ \"é \u{85} ñ\" ]", "[\"é \u{85} ñ\"]"),
            ("[1.50, 1e400, -0]", "[1.50,1e400,-0]"),
            (r#"[ "\u0041\/" ]"#, r#"["\u0041\/"]"#),
            ("17", "17"),
        ] {
            assert_eq!(compact(text), expected);
        }
    }

    #[test]
    fn depth_counts_nesting_outside_strings() {
        assert!(!is_too_deep(&format!("\"{}\"", "[".repeat(1000))));
        assert!(!is_too_deep(&format!("[{}]", "[],".repeat(1000))));
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!is_too_deep(&nested(128)));
        assert!(is_too_deep(&nested(129)));
        assert!(!is_too_deep(&("{\"a\":[".repeat(64) + &"]}".repeat(64))));
        assert!(is_too_deep(&("{\"a\":[".repeat(65) + &"]}".repeat(65))));
    }
}
