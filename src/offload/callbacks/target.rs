//! Where a callback goes.

use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;

use super::address::admit;
use super::failure::Failure;
use crate::mailbox::CALLBACK_BYTES_MAX;

/// A callback's URL, as its producer gave it and as it is read.
#[derive(Debug)]
pub(super) struct Target {
    text: Box<str>,
    url: Url,
    host: Arc<str>,
    /// Where its host is an address and no name.
    address: Option<IpAddr>,
}

/// Longer than any name that can be looked up. Hosts are logged.
const HOST_BYTES_MAX: usize = 255;

impl Target {
    /// Reads a URL, and refuses what cannot be called at all.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        if text.len() > CALLBACK_BYTES_MAX {
            return Err(Failure::TooLong);
        }
        let url = Url::parse(text).map_err(|_| Failure::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Scheme);
        }
        let name = url.host_str().ok_or(Failure::NotAUrl)?;
        if url.as_str().len() > CALLBACK_BYTES_MAX || name.len() > HOST_BYTES_MAX {
            return Err(Failure::TooLong);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        // Whichever way an address was spelled, it is one by now.
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            text: text.into(),
            host: format!("{name}:{port}").into(),
            address: literal.parse().ok(),
            url,
        })
    }

    /// What the producer gave.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What to call.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port, which may be shown; the rest of a URL may hold secrets.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Refuses an address that must not be called. Where a name leads to is seen when it is looked up.
    pub(super) fn admit(&self) -> Result<(), Failure> {
        self.address.map_or(Ok(()), admit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        Target::read(text).unwrap().host().to_string()
    }

    #[test]
    fn a_target_is_known_by_host_and_port() {
        for (text, expected) in [
            ("http://Example.COM", "example.com:80"),
            ("https://user:pass@example.com/p?q#f", "example.com:443"),
            ("http://example.com:8080/", "example.com:8080"),
            ("http://[2606:4700::1111]/", "[2606:4700::1111]:80"),
            ("http://0x01.1/", "1.0.0.1:80"),
            (" http:\\\\bücher.example ", "xn--bcher-kva.example:80"),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
        let target = Target::read("http://Example.COM").unwrap();
        assert_eq!(target.text(), "http://Example.COM");
    }

    #[test]
    fn every_spelling_of_an_address_is_known_for_what_it_is() {
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "0",
            "%31%32%37.0.0.1",
            "①②⑦.⓪.⓪.①",
            "user@10.0.0.1",
            "169.254.169.254:80",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[64:ff9b::10.0.0.1]",
            "[fd00::1]:8080",
        ] {
            let text = format!("http://{host}/");
            let admitted = Target::read(&text).unwrap().admit();
            assert!(matches!(admitted, Err(Failure::Refused)), "{text}");
        }
        for host in ["1.1.1.1", "16843009", "[2606:4700::1111]", "localhost"] {
            let text = format!("http://{host}/");
            let admitted = Target::read(&text).unwrap().admit();
            assert!(!matches!(admitted, Err(Failure::Refused)), "{text}");
        }
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for text in [
            "",
            "c",
            "//host/",
            "http://",
            "http://a b/",
            "http://[::1",
            "http://1.2.3.4.5",
        ] {
            let refused = Target::read(text);
            assert!(
                matches!(refused, Err(Failure::NotAUrl)),
                "{text}: {refused:?}"
            );
        }
        for text in [
            "ftp://host/",
            "file:///etc/passwd",
            "data:,a",
            "httpx://host",
        ] {
            let refused = Target::read(text);
            assert!(
                matches!(refused, Err(Failure::Scheme)),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_refused_also_if_it_is_so_only_when_it_is_sent() {
        let path = |character: &str, count| format!("http://host/{}", character.repeat(count));
        let host = |count| format!("http://{}/", "x".repeat(count));
        let rest = CALLBACK_BYTES_MAX - "http://host/".len();
        for fits in [path("x", rest), path("é", rest / 6), host(HOST_BYTES_MAX)] {
            assert!(Target::read(&fits).is_ok(), "{fits}");
        }
        for long in [
            path("x", rest + 1),
            path("é", rest / 6 + 1),
            path("\t", rest + 1),
            host(HOST_BYTES_MAX + 1),
        ] {
            let refused = Target::read(&long);
            assert!(matches!(refused, Err(Failure::TooLong)), "{long}");
        }
    }
}
