//! One page, put together piece by piece.

use std::{
    fmt::{Display, Write},
    time::{Duration, UNIX_EPOCH},
};

use super::{Paths, escaped::Escaped, style::STYLE};

/// The last second whose date can be written with four digits for the year.
const WRITABLE_SECOND_MAX: u64 = 253_402_300_799;

/// A page under way. Markup can only be a literal of the source, everything else is escaped.
pub(super) struct Page {
    html: String,
}

impl Page {
    /// A page with its head, a link to the home page, and a heading.
    pub(super) fn new(title: &str, paths: &Paths) -> Self {
        let mut page = Self {
            html: String::with_capacity(4096),
        };
        page.markup("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
            .markup(
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>",
            )
            .text(title)
            .markup("</title><style>")
            .markup(STYLE)
            .markup("</style></head>\n<body><header>")
            .link(&paths.home(), "popbox");
        if let Some(tenant) = &paths.tenant().0 {
            page.markup(" <small>").text(tenant).markup("</small>");
        }
        page.markup("</header>\n<main><h1>")
            .text(title)
            .markup("</h1>\n");
        page
    }

    /// Appends markup.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.html.push_str(markup);
        self
    }

    /// Appends text, escaped.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.html, "{}", Escaped(text));
        self
    }

    /// Appends a link.
    pub(super) fn link(&mut self, path: &str, text: impl Display) -> &mut Self {
        self.markup("<a href=\"")
            .text(path)
            .markup("\">")
            .text(text)
            .markup("</a>")
    }

    /// Appends a term of a description list and what it says.
    pub(super) fn fact(&mut self, term: &str, says: impl Display) -> &mut Self {
        self.markup("<dt>")
            .text(term)
            .markup("</dt><dd>")
            .text(says)
            .markup("</dd>\n")
    }

    /// Appends the first bytes of a text that may be long, and how much is missing.
    pub(super) fn beginning(&mut self, text: &str, bytes_max: usize) -> &mut Self {
        let shown = text
            .get(..text.floor_char_boundary(bytes_max))
            .unwrap_or_default();
        self.text(shown);
        if shown.len() < text.len() {
            self.text(format_args!("… ({} of {} bytes)", shown.len(), text.len()));
        }
        self
    }

    /// The page.
    pub(super) fn finish(mut self) -> String {
        self.markup("</main></body></html>\n");
        self.html
    }
}

/// A date and time for people.
pub(super) fn date(seconds: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(WRITABLE_SECOND_MAX));
    httpdate::fmt_http_date(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut page = Page {
            html: String::new(),
        };
        page.beginning("ééé", 3);
        assert_eq!(page.html, "é… (2 of 6 bytes)");
        let mut page = Page {
            html: String::new(),
        };
        page.beginning("<é>", 4);
        assert_eq!(page.html, "&lt;é&gt;");
    }

    #[test]
    fn dates_of_any_second() {
        assert_eq!(date(1_795_278_630), "Sat, 21 Nov 2026 16:30:30 GMT");
        assert_eq!(date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
