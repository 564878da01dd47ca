//! Bytes to answers, and what an answer holds.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use redis_protocol::{
    error::RedisProtocolError,
    resp3::{decode::complete::decode_bytes_mut, types::BytesFrame},
};

use super::Fault;

/// Room is made at once for so many elements of a list, whatever length it says it has.
const ELEMENTS_EXPECTED_MAX: usize = 1024;

/// Takes the first answer off what has come, if all of it is there.
pub(in crate::store::redis) fn decode(
    input: &mut BytesMut,
) -> Result<Option<BytesFrame>, RedisProtocolError> {
    let mut cursor = Cursor { input, at: 0 };
    match cursor.flat() {
        Ok(flat) => {
            let end = cursor.at;
            Ok(Some(flat.take_off(&input.split_to(end).freeze())))
        }
        Err(Unread::Unfinished) => Ok(None),
        // Rare, and left to who knows all of the protocol.
        Err(Unread::Other) => Ok(decode_bytes_mut(input)?.map(|(frame, ..)| frame)),
    }
}

/// What nearly all answers are: one element, or a list of them.
enum Flat {
    One(Element),
    List {
        is_pushed: bool,
        elements: Vec<Element>,
    },
}

/// One thing in an answer; a text is where in it that is.
enum Element {
    Blob(Range<usize>),
    Simple(Range<usize>),
    Number(i64),
    Null,
}

/// Why an answer is not read.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// The rest of it has not come.
    Unfinished,
    /// It is of another kind, or nonsense.
    Other,
}

struct Cursor<'input> {
    input: &'input [u8],
    at: usize,
}

impl Cursor<'_> {
    fn flat(&mut self) -> Result<Flat, Unread> {
        let is_pushed = match self.peek()? {
            b'*' => false,
            b'>' => true,
            _ => return self.element().map(Flat::One),
        };
        self.at += 1;
        let count = usize::try_from(self.number()?).map_err(|_| Unread::Other)?;
        let mut elements = Vec::with_capacity(count.min(ELEMENTS_EXPECTED_MAX));
        for _ in 0..count {
            elements.push(self.element()?);
        }
        Ok(Flat::List {
            is_pushed,
            elements,
        })
    }

    fn element(&mut self) -> Result<Element, Unread> {
        let marker = self.peek()?;
        self.at += 1;
        match marker {
            b'$' => {
                let length = usize::try_from(self.number()?).map_err(|_| Unread::Other)?;
                let from = self.at;
                self.at = from.checked_add(length).ok_or(Unread::Other)?;
                let text = from..self.at;
                self.line_end()?;
                Ok(Element::Blob(text))
            }
            b'+' => {
                let from = self.at;
                let rest = self.input.get(from..).unwrap_or_default();
                let length = memchr::memchr(b'\r', rest).ok_or(Unread::Unfinished)?;
                self.at += length;
                let text = from..self.at;
                self.line_end()?;
                Ok(Element::Simple(text))
            }
            b':' => self.number().map(Element::Number),
            b'_' => self.line_end().map(|()| Element::Null),
            _ => Err(Unread::Other),
        }
    }

    fn peek(&self) -> Result<u8, Unread> {
        self.input.get(self.at).copied().ok_or(Unread::Unfinished)
    }

    /// A number and the end of its line.
    fn number(&mut self) -> Result<i64, Unread> {
        let is_negative = self.peek()? == b'-';
        self.at += usize::from(is_negative);
        let mut number = 0_i64;
        let from = self.at;
        loop {
            let byte = self.peek()?;
            if !byte.is_ascii_digit() {
                break;
            }
            let digit = i64::from(byte - b'0');
            let grown = number.checked_mul(10).and_then(|it| it.checked_add(digit));
            number = grown.ok_or(Unread::Other)?;
            self.at += 1;
        }
        // A minus before nothing is no length, and rare enough.
        if self.at == from || (is_negative && number == 0) {
            return Err(Unread::Other);
        }
        self.line_end()?;
        Ok(if is_negative { -number } else { number })
    }

    fn line_end(&mut self) -> Result<(), Unread> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        match rest {
            [b'\r', b'\n', ..] => {
                self.at += 2;
                Ok(())
            }
            [] | [b'\r'] => Err(Unread::Unfinished),
            _ => Err(Unread::Other),
        }
    }
}

impl Flat {
    fn take_off(self, answer: &Bytes) -> BytesFrame {
        match self {
            Self::One(element) => element.take_off(answer),
            Self::List {
                is_pushed,
                elements,
            } => {
                let elements = elements.into_iter();
                let data = elements.map(|it| it.take_off(answer)).collect();
                let attributes = None;
                if is_pushed {
                    BytesFrame::Push { data, attributes }
                } else {
                    BytesFrame::Array { data, attributes }
                }
            }
        }
    }
}

impl Element {
    fn take_off(self, answer: &Bytes) -> BytesFrame {
        let attributes = None;
        match self {
            Self::Blob(text) => BytesFrame::BlobString {
                data: answer.slice(text),
                attributes,
            },
            Self::Simple(text) => BytesFrame::SimpleString {
                data: answer.slice(text),
                attributes,
            },
            Self::Number(data) => BytesFrame::Number { data, attributes },
            Self::Null => BytesFrame::Null,
        }
    }
}

/// The string in an answer; none for null.
pub(in crate::store::redis) fn into_bytes(frame: BytesFrame) -> Result<Option<Bytes>, Fault> {
    match frame {
        BytesFrame::BlobString { data, .. } | BytesFrame::SimpleString { data, .. } => {
            Ok(Some(data))
        }
        BytesFrame::Null => Ok(None),
        _ => Err(Fault::Nonsense),
    }
}

/// The elements of an answer that is a list.
pub(in crate::store::redis) fn into_list(frame: BytesFrame) -> Result<Vec<BytesFrame>, Fault> {
    match frame {
        BytesFrame::Array { data, .. } | BytesFrame::Push { data, .. } => Ok(data),
        // Where order means nothing.
        BytesFrame::Set { data, .. } => Ok(data.into_iter().collect()),
        BytesFrame::Map { data, .. } => Ok(data
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect()),
        _ => Err(Fault::Nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of all kinds, those of ours and others.
    const ANSWERS: [&str; 16] = [
        "$0\r\n\r\n",
        "$5\r\na\r\nbc\r\n",
        "+OK\r\n",
        "+\r\n",
        ":0\r\n",
        ":-17\r\n",
        ":9223372036854775807\r\n",
        "_\r\n",
        "*0\r\n",
        "*3\r\n$1\r\na\r\n_\r\n:2\r\n",
        ">3\r\n+message\r\n$1\r\nc\r\n$2\r\nhi\r\n",
        "-ERR it is wrong\r\n",
        "!5\r\nERR x\r\n",
        "*2\r\n*1\r\n:1\r\n$1\r\na\r\n",
        "%1\r\n$1\r\na\r\n:1\r\n",
        "#t\r\n",
    ];

    #[test]
    fn answers_are_read_as_the_protocol_has_them() {
        for answer in ANSWERS {
            let input = format!("{answer}+next\r\n");
            let (mut ours, mut theirs) = (BytesMut::from(&*input), BytesMut::from(&*input));
            let frame = decode(&mut ours).unwrap().unwrap();
            let (expected, ..) = decode_bytes_mut(&mut theirs).unwrap().unwrap();
            assert_eq!(frame, expected, "{answer:?}");
            assert_eq!(ours, "+next\r\n", "{answer:?}");
        }
    }

    #[test]
    fn what_has_not_come_is_waited_for() {
        for answer in ANSWERS {
            for length in 0..answer.len() {
                let mut input = BytesMut::from(&answer[..length]);
                assert_eq!(decode(&mut input), Ok(None), "{answer:?} to {length}");
                assert_eq!(input.len(), length);
            }
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for nonsense in [
            "hello\r\n",
            "$x\r\n",
            "*1\r\nx\r\n",
            ":99999999999999999999\r\n",
            ":\r\n",
        ] {
            let result = decode(&mut BytesMut::from(nonsense));
            assert!(result.is_err(), "{nonsense:?}: {result:?}");
        }
        let most = format!("${}\r\n", u64::MAX);
        assert!(decode(&mut BytesMut::from(&*most)).is_err());
    }
}
