//! Redis as a bare queue: RPUSH, BLPOP, LRANGE, LPOP.

use std::io::Write as _;

use super::{ANSWER_BYTES_MAX, Answer, Asked, Decoded, Malformed, Refusal, Request};

/// Appends the request.
pub(super) fn encode(request: &Request<'_>, to: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match *request {
        // Commands that ask what a Redis has not, refuse to be run against one.
        Request::Greet
        | Request::Get { .. }
        | Request::Borrow { .. }
        | Request::Ack { .. }
        | Request::Subscribe { .. }
        | Request::Describe { .. }
        | Request::Secure { .. } => write!(to, "*1\r\n$4\r\nPING\r\n"),
        Request::Push {
            queues,
            payloads,
            number,
        } => {
            let Some(queue) = queues.first() else {
                return;
            };
            let _ = write!(
                to,
                "*3\r\n$5\r\nRPUSH\r\n${}\r\n{queue}\r\n${}\r\n",
                queue.name_bytes(),
                payloads.bytes_of(number)
            );
            payloads.write(number, to);
            write!(to, "\r\n")
        }
        Request::Wait { queue, seconds } => {
            // 0 is for ever.
            let seconds = seconds.unwrap_or(0).to_string();
            write!(
                to,
                "*3\r\n$5\r\nBLPOP\r\n${}\r\n{queue}\r\n${}\r\n{seconds}\r\n",
                queue.name_bytes(),
                seconds.len()
            )
        }
        Request::Peek { queue } => write!(
            to,
            "*4\r\n$6\r\nLRANGE\r\n${}\r\n{queue}\r\n$1\r\n0\r\n$1\r\n0\r\n",
            queue.name_bytes()
        ),
        Request::Drain {
            queue,
            messages_max,
        } => {
            let messages_max = messages_max.to_string();
            write!(
                to,
                "*3\r\n$4\r\nLPOP\r\n${}\r\n{queue}\r\n${}\r\n{messages_max}\r\n",
                queue.name_bytes(),
                messages_max.len()
            )
        }
    };
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode(asked: Asked, input: &[u8]) -> Result<Option<Decoded<'_>>, Malformed> {
    let mut reader = Reader { input, at: 0 };
    let Some(value) = reader.value(NESTED_MAX)? else {
        return Ok(None);
    };
    let bytes = reader.at;
    let answer = match (asked, value) {
        (_, Value::Error(said)) => Answer::Refused(Refusal::new(None, said)),
        (Asked::Greet, Value::Simple) => Answer::Greeted,
        (Asked::Push, Value::Integer) => Answer::Pushed,
        (Asked::Wait | Asked::Peek | Asked::Drain, Value::Nothing) => Answer::Messages(Vec::new()),
        // The name of the queue comes with the message that was waited for.
        (Asked::Wait, Value::List(values)) => match values.as_slice() {
            [Value::Text(_), Value::Text(payload)] => {
                Answer::Messages(vec![String::from_utf8_lossy(payload)])
            }
            _ => return Err(Malformed::Kind),
        },
        (Asked::Peek | Asked::Drain, Value::List(values)) => {
            let payloads = values.into_iter().map(|value| match value {
                Value::Text(text) => Ok(String::from_utf8_lossy(text)),
                _ => Err(Malformed::Kind),
            });
            Answer::Messages(payloads.collect::<Result<_, _>>()?)
        }
        _ => return Err(Malformed::Kind),
    };
    Ok(Some(Decoded {
        answer,
        bytes,
        closes: false,
        goes_on: false,
    }))
}

/// A list in a list in a list is none of what is asked for.
const NESTED_MAX: u32 = 2;

/// A line is a number or what an error says.
const LINE_BYTES_MAX: usize = 64 << 10;

enum Value<'a> {
    Simple,
    Error(&'a [u8]),
    Integer,
    Text(&'a [u8]),
    List(Vec<Value<'a>>),
    Nothing,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next value; none if it is not there in whole.
    fn value(&mut self, nested_max: u32) -> Result<Option<Value<'a>>, Malformed> {
        let Some(line) = self.line()? else {
            return Ok(None);
        };
        let (kind, rest) = line.split_first().ok_or(Malformed::Redis)?;
        Ok(Some(match kind {
            b'+' => Value::Simple,
            b'-' => Value::Error(rest),
            b':' => Value::Integer,
            b'$' => match length(rest)? {
                None => Value::Nothing,
                Some(length) => match self.text(length)? {
                    None => return Ok(None),
                    Some(text) => Value::Text(text),
                },
            },
            b'*' => match length(rest)? {
                None => Value::Nothing,
                Some(length) => {
                    let nested_max = nested_max.checked_sub(1).ok_or(Malformed::Redis)?;
                    let mut values = Vec::new();
                    for _ in 0..length {
                        match self.value(nested_max)? {
                            None => return Ok(None),
                            Some(value) => values.push(value),
                        }
                    }
                    Value::List(values)
                }
            },
            _ => return Err(Malformed::Redis),
        }))
    }

    fn line(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let allowed = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
        let Some(bytes) = allowed.windows(2).position(|two| two == b"\r\n") else {
            return if allowed.len() < LINE_BYTES_MAX {
                Ok(None)
            } else {
                Err(Malformed::Redis)
            };
        };
        self.at += bytes + 2;
        Ok(rest.get(..bytes))
    }

    fn text(&mut self, length: usize) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let Some(text) = rest.get(..length) else {
            return Ok(None);
        };
        match rest.get(length..).unwrap_or_default() {
            [b'\r', b'\n', ..] => self.at += length + 2,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(Malformed::Redis),
        }
        Ok(Some(text))
    }
}

/// A length; none where there is nothing (-1).
fn length(text: &[u8]) -> Result<Option<usize>, Malformed> {
    if text == b"-1" {
        return Ok(None);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|length| *length <= ANSWER_BYTES_MAX)
        .map(Some)
        .ok_or(Malformed::Redis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload::Payloads, queue::Prefix};

    fn messages(payloads: &[&'static str]) -> Answer<'static> {
        Answer::Messages(payloads.iter().map(|it| (*it).into()).collect())
    }

    #[test]
    fn an_answer_is_the_same_over_all_splits() {
        for (asked, input, expected) in [
            (Asked::Greet, &b"+PONG\r\n"[..], Answer::Greeted),
            (Asked::Push, b":17\r\n", Answer::Pushed),
            (
                Asked::Wait,
                b"*2\r\n$2\r\nq1\r\n$4\r\na\r\nb\r\n",
                messages(&["a\r\nb"]),
            ),
            (
                Asked::Drain,
                b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
                messages(&["a", "b"]),
            ),
            (Asked::Drain, b"*1\r\n$0\r\n\r\n", messages(&[""])),
            (Asked::Wait, b"*-1\r\n", messages(&[])),
            (Asked::Drain, b"$-1\r\n", messages(&[])),
            (
                Asked::Push,
                b"-OOM command not allowed\r\n",
                Answer::Refused(Refusal::new(None, b"OOM command not allowed")),
            ),
        ] {
            let mut longer = input.to_vec();
            longer.extend_from_slice(b"+OK");
            for end in 0..input.len() {
                assert_eq!(decode(asked, &longer[..end]), Ok(None), "{end} bytes");
            }
            for end in input.len()..longer.len() {
                let decoded = decode(asked, &longer[..end]).unwrap().unwrap();
                assert_eq!(decoded.answer, expected);
                assert_eq!(decoded.bytes, input.len());
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for (asked, input) in [
            (Asked::Push, &b"HTTP/1.1 200 OK\r\n"[..]),
            (Asked::Push, b"+OK\r\n"),
            (Asked::Greet, b":1\r\n"),
            (Asked::Drain, b"*1\r\n:1\r\n"),
            (Asked::Wait, b"*1\r\n$1\r\na\r\n"),
            (Asked::Drain, b"*1\r\n*1\r\n*1\r\n$-1\r\n"),
            (Asked::Drain, b"$x\r\n"),
            (Asked::Drain, b"$99999999999\r\n"),
            (Asked::Drain, b"*1\r\n$1\r\nabc"),
            (Asked::Drain, b"\r\n"),
        ] {
            assert!(decode(asked, input).is_err());
        }
    }

    #[test]
    fn requests_are_commands() {
        let prefix: Prefix = "q".parse().unwrap();
        let queue = prefix.queue(10);
        let payloads = Payloads::new(1, &[34]);
        let push = Request::Push {
            queues: prefix.only(10),
            payloads: &payloads,
            number: 3,
        };
        for (request, expected) in [
            (Request::Greet, "*1\r\n$4\r\nPING\r\n"),
            (
                push,
                "*3\r\n$5\r\nRPUSH\r\n$3\r\nq10\r\n$34\r\n0000000000000001-0000000000000003x\r\n",
            ),
            (
                Request::Wait {
                    queue,
                    seconds: None,
                },
                "*3\r\n$5\r\nBLPOP\r\n$3\r\nq10\r\n$1\r\n0\r\n",
            ),
            (
                Request::Drain {
                    queue,
                    messages_max: 100,
                },
                "*3\r\n$4\r\nLPOP\r\n$3\r\nq10\r\n$3\r\n100\r\n",
            ),
        ] {
            let mut written = Vec::new();
            encode(&request, &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
