//! JSON written piece by piece, in order and without a tree.

use crate::{
    http::{write_decimal, write_json_string},
    mailbox::TransactionId,
};

/// An object under way.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Begins an object.
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Begins the object of an answer that is fine.
    pub(super) fn begin_ok(out: &'a mut Vec<u8>) -> Self {
        let mut object = Self::begin(out);
        object.boolean("ok", true);
        object
    }

    /// A field whose value is written by the caller.
    pub(super) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_json_string(name, self.out);
        self.out.push(b':');
        self.out
    }

    /// A field with a string.
    pub(super) fn string(&mut self, name: &str, value: &str) -> &mut Self {
        write_json_string(value, self.field(name));
        self
    }

    /// A field with a string of characters that need no escape.
    pub(super) fn word(&mut self, name: &str, word: &str) -> &mut Self {
        write_word(word, self.field(name));
        self
    }

    /// A field with the id of a transaction.
    pub(super) fn id(&mut self, name: &str, id: TransactionId) -> &mut Self {
        self.word(name, id.write_to(&mut [0; 36]))
    }

    /// A field with the text of a payload.
    pub(super) fn payload(&mut self, name: &str, payload: &[u8]) -> &mut Self {
        write_payload(payload, self.field(name));
        self
    }

    /// A field with a whole number.
    pub(super) fn number(&mut self, name: &str, value: impl Number) -> &mut Self {
        write_number(value, self.field(name));
        self
    }

    /// A field with a whole number that is a string, as old clients know it.
    pub(super) fn quoted_number(&mut self, name: &str, value: impl Number) -> &mut Self {
        let out = self.field(name);
        out.push(b'"');
        write_number(value, out);
        out.push(b'"');
        self
    }

    /// A field with true or false.
    pub(super) fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.field(name).extend_from_slice(word);
        self
    }

    /// A field with a list.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        write: impl FnMut(T, &mut Vec<u8>),
    ) -> &mut Self {
        write_list(elements, write, self.field(name));
        self
    }

    /// Ends the object.
    pub(super) fn end(&mut self) {
        self.out.push(b'}');
    }
}

/// Writes a list.
pub(super) fn write_list<T>(
    elements: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

/// Writes a string of characters that need no escape.
pub(super) fn write_word(word: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

/// Writes the text of a payload. What is not UTF-8 in it, which no client can have sent, becomes U+FFFD.
pub(super) fn write_payload(payload: &[u8], out: &mut Vec<u8>) {
    // Checked whole first: looking for what to repair takes several times as long.
    match std::str::from_utf8(payload) {
        Ok(text) => write_json_string(text, out),
        Err(_) => write_json_string(&String::from_utf8_lossy(payload), out),
    }
}

/// Writes a whole number.
pub(super) fn write_number(value: impl Number, out: &mut Vec<u8>) {
    write_decimal(value.into_u64(), out);
}

/// What JSON has as a whole number.
pub(super) trait Number {
    fn into_u64(self) -> u64;
}

impl Number for u32 {
    fn into_u64(self) -> u64 {
        self.into()
    }
}

impl Number for u64 {
    fn into_u64(self) -> u64 {
        self
    }
}

impl Number for usize {
    fn into_u64(self) -> u64 {
        self as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object() {
        let mut out = Vec::new();
        let mut object = Object::begin_ok(&mut out);
        object
            .string("s\"", "a\nb")
            .number("n", 5_usize)
            .quoted_number("p", 7_usize)
            .payload("t", "a\u{e9}\"".as_bytes())
            .payload("u", b"a\xff");
        object.list("l", ["1", "2"], write_word);
        object.list("e", [""; 0], write_word);
        object.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"ok\":true,\"s\\\"\":\"a\\nb\",\"n\":5,\"p\":\"7\",\"t\":\"a\u{e9}\\\"\",\
             \"u\":\"a\u{fffd}\",\"l\":[\"1\",\"2\"],\"e\":[]}"
        );
    }
}
