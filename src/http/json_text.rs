//! Text as it stands in JSON.

/// Writes `text` as a JSON string, quotes included. Escapes what JSON makes one escape, and nothing else: all other
/// characters stay as they are, in UTF-8.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = find_escaped(rest) {
        let (run, escaped) = rest.split_at(at); // found in it
        out.extend_from_slice(run);
        let Some((&byte, after)) = escaped.split_first() else {
            break;
        };
        write_escaped(byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

const BLOCK_BYTES: usize = 32;

/// Where the first byte is that has to be escaped.
fn find_escaped(bytes: &[u8]) -> Option<usize> {
    let mut skipped = 0;
    // Whole blocks without a branch for each byte: the compiler makes vector instructions of it.
    for block in bytes.chunks_exact(BLOCK_BYTES) {
        if block
            .iter()
            .fold(false, |found, &byte| found | is_escaped(byte))
        {
            break;
        }
        skipped += BLOCK_BYTES;
    }
    let rest = bytes.get(skipped..)?;
    let at = rest.iter().position(|&byte| is_escaped(byte))?;
    Some(skipped + at)
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let [high, low] = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]); // both below 16
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        write_json_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_it_must() {
        assert_eq!(json(""), r#""""#);
        assert_eq!(json("a\"b\\c/d"), r#""a\"b\\c/d""#);
        assert_eq!(
            json("\0\n\r\t\u{8}\u{c}\u{1f}\u{7f}"),
            "\"\\u0000\\n\\r\\t\\b\\f\\u001f\u{7f}\""
        );
        assert_eq!(json("é€😀\u{2028}"), "\"é€😀\u{2028}\"");
    }

    #[test]
    fn reads_back_as_it_was() {
        let every: String = (0..0x300).filter_map(char::from_u32).collect();
        // Each offset puts the bytes at other places of the blocks.
        for offset in 0..70 {
            let text = format!("{}{every}{}", "x".repeat(offset), "y".repeat(offset));
            let read: String = serde_json::from_str(&json(&text)).unwrap();
            assert_eq!(read, text);
            assert_eq!(json(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
