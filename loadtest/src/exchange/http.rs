//! popbox over HTTP/1.1.

use std::{borrow::Cow, io::Write as _};

use serde::Deserialize;

use super::{Answer, Asked, Decoded, Malformed, Refusal, Request, chunks};

/// How long a pop may wait (docs/protocol.md).
const WAIT_SECONDS_MAX: u32 = 300;

/// An answer with more headers is refused.
const HEADERS_MAX: usize = 64;

/// Appends the request.
pub(super) fn encode(request: &Request<'_>, host: &str, to: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match *request {
        Request::Greet => write!(to, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        Request::Push {
            queue,
            payloads,
            number,
        } => {
            const BEGIN: &str = r#"{"payload":""#;
            const MIDDLE: &str = r#"","priority":"H","queue":[{"id":""#;
            const END: &str = r#""}]}"#;
            let body_bytes =
                BEGIN.len() + payloads.bytes() + MIDDLE.len() + queue.name_bytes() + END.len();
            let _ = write!(
                to,
                "POST /trans HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
                 Content-Length: {body_bytes}\r\n\r\n{BEGIN}"
            );
            payloads.write(number, to);
            write!(to, "{MIDDLE}{queue}{END}")
        }
        Request::Wait { queue, seconds } => {
            let seconds = seconds.unwrap_or(WAIT_SECONDS_MAX);
            write!(
                to,
                "POST /queue/{queue}/pop?timeout={seconds}&max=1 HTTP/1.1\r\nHost: {host}\r\n\
                 Content-Length: 0\r\n\r\n"
            )
        }
        Request::Peek { queue } => write!(
            to,
            "GET /queue/{queue}/peek?max=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ),
        Request::Drain {
            queue,
            messages_max,
        } => write!(
            to,
            "POST /queue/{queue}/pop?timeout=1&max={messages_max} HTTP/1.1\r\nHost: {host}\r\n\
             Content-Length: 0\r\n\r\n"
        ),
    };
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode<'a>(
    asked: Asked,
    input: &'a [u8],
    body: &'a mut Vec<u8>,
) -> Result<Option<Decoded<'a>>, Malformed> {
    let mut at = 0;
    let head = loop {
        match head(input.get(at..).unwrap_or_default())? {
            None => return Ok(None),
            // Something provisional; the answer follows.
            Some(head) if (100..200).contains(&head.status) => at += head.bytes,
            Some(head) => break head,
        }
    };
    at += head.bytes;
    let rest = input.get(at..).unwrap_or_default();
    let (body, body_bytes) = match head.framing {
        Framing::None => (&[][..], 0),
        Framing::Length(length) => match rest.get(..length) {
            Some(body) => (body, length),
            None => return Ok(None),
        },
        Framing::Chunks => match chunks::decode(rest, body)? {
            Some(bytes) => (&body[..], bytes),
            None => return Ok(None),
        },
    };
    Ok(Some(Decoded {
        answer: answer(asked, head.status, body)?,
        bytes: at + body_bytes,
        closes: head.closes,
    }))
}

/// What matters of a head.
struct Head {
    status: u16,
    bytes: usize,
    framing: Framing,
    closes: bool,
}

enum Framing {
    None,
    Length(usize),
    Chunks,
}

fn head(input: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(input).map_err(Malformed::Http)? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response
        .code
        .ok_or(Malformed::Http(httparse::Error::Status))?;
    let mut framing = None;
    let mut closes = response.version == Some(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or(Malformed::Length)?;
            if length > super::ANSWER_BYTES_MAX {
                return Err(Malformed::TooLong);
            }
            framing = framing.or(Some(Framing::Length(length)));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            // Chunks count more than a length that stands beside them.
            framing = Some(Framing::Chunks);
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let has_no_body = status < 200 || status == 204 || status == 304;
    let framing = if has_no_body {
        Framing::None
    } else {
        framing.ok_or(Malformed::Length)?
    };
    Ok(Some(Head {
        status,
        bytes,
        framing,
        closes,
    }))
}

/// The body of an answer to a pop.
#[derive(Deserialize)]
struct Popped<'a> {
    #[serde(borrow)]
    data: Vec<Payload<'a>>,
}

/// In a type of its own, it is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Payload<'a>(#[serde(borrow)] Cow<'a, str>);

fn answer(asked: Asked, status: u16, body: &[u8]) -> Result<Answer<'_>, Malformed> {
    if !(200..300).contains(&status) {
        return Ok(Answer::Refused(Refusal::new(Some(status), body)));
    }
    Ok(match asked {
        Asked::Greet => Answer::Greeted,
        Asked::Push => Answer::Pushed,
        Asked::Wait | Asked::Peek | Asked::Drain => {
            let popped: Popped<'_> =
                serde_json::from_slice(body).map_err(|error| Malformed::Body(error.to_string()))?;
            Answer::Messages(popped.data.into_iter().map(|payload| payload.0).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{payload::Payloads, queue::Prefix};

    /// Decodes every beginning of `input`: only the whole of it may be an answer.
    fn decode_split(asked: Asked, input: &[u8], expected: &Decoded<'_>) {
        for end in 0..expected.bytes {
            let mut body = Vec::new();
            let part = decode(asked, &input[..end], &mut body);
            assert_eq!(part, Ok(None), "{end} bytes");
        }
        for end in expected.bytes..=input.len() {
            let mut body = Vec::new();
            let whole = decode(asked, &input[..end], &mut body).unwrap();
            assert_eq!(whole.as_ref(), Some(expected), "{end} bytes");
        }
    }

    fn messages(payloads: &[&'static str], bytes: usize) -> Decoded<'static> {
        Decoded {
            answer: Answer::Messages(payloads.iter().map(|it| Cow::Borrowed(*it)).collect()),
            bytes,
            closes: false,
        }
    }

    #[test]
    fn an_answer_is_the_same_over_all_splits() {
        let input = b"HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length:  39\r\n\r\n\
                      {\"ok\":true,\"data\":[],\"transactions\":[]}HTTP/1.1 200";
        decode_split(Asked::Wait, input, &messages(&[], input.len() - 12));
        let body = r#"{"ok":true,"data":["a","b \u00e9\n"],"transactions":[]}"#;
        let input = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let expected = messages(&["a", "b é\n"], input.len());
        decode_split(Asked::Wait, input.as_bytes(), &expected);
    }

    #[test]
    fn a_body_in_chunks_is_put_together_over_all_splits() {
        let mut input = "HTTP/1.1 100 Continue\r\n\r\n\
                         HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned();
        for chunk in ["{\"ok\":true", ",\r\n\"data\":[\"a", "\"]}", ""] {
            let _ = write!(input, "{:x};x=y\r\n{chunk}\r\n", chunk.len());
        }
        let end = input.len() - 2;
        input.insert_str(end, "Trailer: 1\r\n");
        let expected = messages(&["a"], input.len());
        input.push_str("HTTP/1.1");
        decode_split(Asked::Drain, input.as_bytes(), &expected);
    }

    #[test]
    fn statuses_tell_answers_from_refusals() {
        let mut body = Vec::new();
        let input = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull";
        let decoded = decode(Asked::Push, input, &mut body).unwrap().unwrap();
        assert_eq!(
            decoded.answer,
            Answer::Refused(Refusal::new(Some(503), b"full"))
        );
        assert!(decoded.closes);
        let input = b"HTTP/1.1 204 No Content\r\n\r\n";
        let mut body = Vec::new();
        let decoded = decode(Asked::Push, input, &mut body).unwrap().unwrap();
        assert_eq!(decoded.answer, Answer::Pushed);
        assert!(!decoded.closes);
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for input in [
            &b"+OK\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naxx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            let mut body = Vec::new();
            assert!(decode(Asked::Wait, input, &mut body).is_err());
        }
    }

    #[test]
    fn requests_are_what_the_protocol_says() {
        let prefix: Prefix = "q".parse().unwrap();
        let payloads = Payloads::new(1, 40);
        let mut written = Vec::new();
        let push = Request::Push {
            queue: prefix.queue(17),
            payloads: &payloads,
            number: 3,
        };
        encode(&push, "h:1", &mut written);
        let text = String::from_utf8(written).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            format!(
                "POST /trans HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nContent-Length: {}",
                body.len()
            )
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(payloads.number(body["payload"].as_str().unwrap()), Some(3));
        assert_eq!(body["queue"][0]["id"], "q17");
        let mut written = Vec::new();
        let wait = Request::Wait {
            queue: prefix.queue(0),
            seconds: None,
        };
        encode(&wait, "h:1", &mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "POST /queue/q0/pop?timeout=300&max=1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
