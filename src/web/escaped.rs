//! Text within HTML.

use std::fmt::{self, Display, Write};

/// Shows something as HTML text, or as an attribute's value between double or single quotes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(formatter), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(|character| entity(character).is_some()) {
            let last = piece.chars().next_back();
            match last.and_then(|character| Some((character, entity(character)?))) {
                Some((character, entity)) => {
                    self.0.write_str(piece.trim_end_matches(character))?;
                    self.0.write_str(entity)?;
                }
                None => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

/// What stands for a character that must not stand for itself.
fn entity(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        // No HTML may hold it.
        '\0' => Some("\u{FFFD}"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_leave_its_place() {
        assert_eq!(
            Escaped("<script>alert(\"1\")</script>").to_string(),
            "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"
        );
        assert_eq!(Escaped("' onclick='x").to_string(), "&#39; onclick=&#39;x");
        assert_eq!(Escaped("&amp;<<").to_string(), "&amp;amp;&lt;&lt;");
        assert_eq!(Escaped("a\0b é 😀").to_string(), "a\u{FFFD}b é 😀");
        assert_eq!(
            Escaped(format_args!("{}<{}", 1, "<")).to_string(),
            "1&lt;&lt;"
        );
        assert_eq!(Escaped("").to_string(), "");
    }
}
