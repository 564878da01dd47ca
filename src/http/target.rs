//! What a request is about: a path and a query.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::error::RequestError;

/// The path and the query of a request, as they came: nothing is decoded before it is asked for.
#[derive(Clone)]
pub struct Target {
    /// The path from its first `/`, and the query with its `?`. Valid UTF-8: it is a piece of a `str`.
    text: Bytes,
}

/// As many pieces have most paths, and few have more.
const SEGMENTS_USUAL: usize = 4;

/// A path with a `%` that two hexadecimal digits do not follow, or that does not decode to UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("undecodable path")]
pub struct UndecodablePath;

impl Target {
    /// The path, raw.
    pub fn path(&self) -> &str {
        match self.split().0 {
            // `http://host` and `http://host?query` mean the root.
            "" => "/",
            path => path,
        }
    }

    /// The path in pieces: split at `/` first and decoded then, so `a%2Fb` is the one piece `a/b`. One trailing slash
    /// is dropped, `/` has no piece, `//` has an empty one. A decoded piece may hold any character, NUL too.
    pub fn segments(&self) -> Result<Vec<Cow<'_, str>>, UndecodablePath> {
        let path = self.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Vec::new());
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = Vec::with_capacity(SEGMENTS_USUAL);
        let mut rest = path;
        while let Some((segment, after)) = cut(rest, b'/') {
            segments.push(decode_segment(segment)?);
            rest = after;
        }
        segments.push(decode_segment(rest)?);
        Ok(segments)
    }

    /// The query, raw; empty if there is none.
    pub fn raw_query(&self) -> &str {
        self.split().1.unwrap_or_default()
    }

    /// The first value of that name in the query, as [`form_value`] finds it.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        form_value(self.raw_query(), name)
    }

    /// `text` is what [`split_target`] gave, cut from the head's bytes.
    pub(super) fn new(text: Bytes) -> Self {
        Self { text }
    }

    fn split(&self) -> (&str, Option<&str>) {
        // It was a `str` in the head, and unsafe code is not allowed here: look again rather than trust.
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        match cut(text, b'?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        }
    }
}

/// The first value of that name in a form or a query, `a=1&b=2`; empty for a name without `=`. `+` is a space, and what
/// is not UTF-8 becomes U+FFFD.
pub fn form_value<'a>(form: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = form;
    while !rest.is_empty() {
        let (pair, after) = cut(rest, b'&').unwrap_or((rest, ""));
        let (key, value) = cut(pair, b'=').unwrap_or((pair, ""));
        if !pair.is_empty() && decode_form(key) == name {
            return Some(decode_form(value));
        }
        rest = after;
    }
    None
}

/// What is before the first of these ASCII characters, and what is behind it. Targets are short: byte by byte takes
/// less than getting ready to look at many at once.
fn cut(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Takes a request line's target apart: the host it names itself, if any, and the path with the query. It may be a path
/// (origin-form) or an `http` or `https` URI (absolute-form, as proxies get it). A raw `#` is refused: a fragment is
/// never sent, so it is a queue's name that somebody forgot to encode.
pub(super) fn split_target(raw: &str) -> Result<(Option<&str>, &str), RequestError> {
    if memchr::memchr(b'#', raw.as_bytes()).is_some() {
        return Err(RequestError::Target);
    }
    if raw.starts_with('/') {
        return Ok((None, raw));
    }
    let (scheme, rest) = raw.split_once("://").ok_or(RequestError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(RequestError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end); // found in it, or its length
    if super::host::is_host(authority.as_bytes()) {
        Ok((Some(authority), path))
    } else {
        Err(RequestError::Target)
    }
}

fn decode_segment(raw: &str) -> Result<Cow<'_, str>, UndecodablePath> {
    if !raw.bytes().any(|byte| byte == b'%') {
        return Ok(Cow::Borrowed(raw));
    }
    // percent_decode_str lets a `%` without two digits through as it is; `decodeURIComponent` and we do not.
    let mut pieces = raw.as_bytes().split(|&byte| byte == b'%');
    pieces.next(); // what is before the first `%`
    let is_encoded = |piece: &[u8]| {
        let digits = piece.first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !pieces.all(is_encoded) {
        return Err(UndecodablePath);
    }
    percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| UndecodablePath)
}

fn decode_form(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    if !raw.contains('+') {
        return percent_decode_str(raw).decode_utf8_lossy();
    }
    let spaced = raw.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &'static str) -> Target {
        Target::new(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn segments_are_split_before_they_are_decoded() {
        let cases: [(&'static str, &[&str]); 11] = [
            ("/", &[]),
            ("", &[]),
            ("/queue/a", &["queue", "a"]),
            ("/queue/a/?x=1/2", &["queue", "a"]),
            ("/queue/a%2Fb/pop", &["queue", "a/b", "pop"]),
            ("//", &[""]),
            ("/a//", &["a", ""]),
            ("//a", &["", "a"]),
            ("/a%00b", &["a\0b"]),
            ("/%E2%82%ac+€", &["€+€"]),
            ("/a%25%32%46", &["a%2F"]),
        ];
        for (text, segments) in cases {
            assert_eq!(target(text).segments().unwrap(), segments, "{text}");
        }
    }

    #[test]
    fn undecodable_segments() {
        for text in [
            "/%",
            "/a%2",
            "/%zz",
            "/%+1",
            "/a/%ff",
            "/%E2%82",
            "/%ED%A0%80",
        ] {
            assert_eq!(target(text).segments(), Err(UndecodablePath), "{text}");
        }
    }

    #[test]
    fn queries() {
        let target = target("/p?max=3&a+b=c%20d+e&&max=4&flag&x==%ff&u=?");
        assert_eq!(target.path(), "/p");
        assert_eq!(target.query("max").unwrap(), "3");
        assert_eq!(target.query("a b").unwrap(), "c d e");
        assert_eq!(target.query("flag").unwrap(), "");
        assert_eq!(target.query("x").unwrap(), "=\u{fffd}");
        assert_eq!(target.query("u").unwrap(), "?");
        assert_eq!(target.query("none"), None);
        assert_eq!(target.query(""), None);
    }

    #[test]
    fn forms_of_target() {
        assert_eq!(split_target("/a?b"), Ok((None, "/a?b")));
        assert_eq!(split_target("//a"), Ok((None, "//a")));
        assert_eq!(split_target("http://h:1/a"), Ok((Some("h:1"), "/a")));
        assert_eq!(split_target("HTTPS://h"), Ok((Some("h"), "")));
        assert_eq!(split_target("http://h?q=/"), Ok((Some("h"), "?q=/")));
        assert_eq!(target("?q=/").path(), "/");
        for bad in [
            "*",
            "h:80",
            "http:/a",
            "http:///a",
            "ftp://h/a",
            "http://u@h/a",
            "/a#b",
            "a",
            "?a",
        ] {
            assert_eq!(split_target(bad), Err(RequestError::Target), "{bad}");
        }
    }
}
