//! What may stand in a `Host`.

/// Whether `text` can be the `uri-host [":" port]` of RFC 9110: it is echoed into links, so nothing else passes.
///
/// It is not said that the host exists; and `'` and `&` are allowed in a host, so a page still has to escape it.
pub(super) fn is_host(text: &[u8]) -> bool {
    if let Some(literal) = text.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', literal) else {
            return false;
        };
        let (address, after) = literal.split_at(end); // `end` was found in it
        return !address.is_empty()
            && address
                .iter()
                .all(|&byte| is_name_byte(byte) || byte == b':')
            && match after {
                [b']'] => true,
                [b']', b':', port @ ..] => is_port(port),
                _ => false,
            };
    }
    let mut parts = text.splitn(2, |&byte| byte == b':');
    let name = parts.next().unwrap_or_default();
    is_name(name) && parts.next().is_none_or(is_port)
}

/// `reg-name`, not empty.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            _ if is_name_byte(byte) => after,
            _ => return false,
        };
    }
    !name.is_empty()
}

/// unreserved or sub-delims.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

/// May be empty, by the grammar.
fn is_port(port: &[u8]) -> bool {
    port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "a",
            "localhost:3001",
            "a.example.com",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:3001",
            "[v1.a:b]",
            "my_host:",
            "a%20b",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "a?b", "a#b", "a@b", "a\"b", "a<b>", "a\\b", "a:b", "a:1:2",
            "::1", "[::1", "[]", "[::1]x", "[::1]:x", "a%2", "a%zz", "é", "a:123456", "a\tb",
            "a, b",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
