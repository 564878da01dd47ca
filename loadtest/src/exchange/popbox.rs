//! popbox over HTTP/1.1.

use std::{borrow::Cow, io::Write as _};

use serde::Deserialize;

use crate::{
    payload::Payloads,
    queue::{Queue, Queues},
};

use super::{Answer, Asked, Decoded, Malformed, Refusal, Request, chunks, http};

/// How long a pop may wait (docs/protocol.md).
const WAIT_SECONDS_MAX: u32 = 300;

/// Appends the request.
pub(super) fn encode(request: &Request<'_>, headers: &str, to: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match *request {
        Request::Greet => write!(to, "GET / HTTP/1.1\r\n{headers}\r\n"),
        Request::Get { path } => write!(to, "GET {path} HTTP/1.1\r\n{headers}\r\n"),
        Request::Push {
            queues,
            payloads,
            number,
        } => return push(queues, payloads, number, headers, to),
        Request::Wait { queue, seconds } => {
            let seconds = seconds.unwrap_or(WAIT_SECONDS_MAX);
            write!(
                to,
                "POST /queue/{queue}/pop?timeout={seconds}&max=1 HTTP/1.1\r\n{headers}\
                 Content-Length: 0\r\n\r\n"
            )
        }
        Request::Borrow {
            queue,
            seconds,
            ack_seconds,
        } => {
            let seconds = seconds.unwrap_or(WAIT_SECONDS_MAX);
            write!(
                to,
                "POST /queue/{queue}/poprel?timeout={seconds}&max=1&timeoutACK={ack_seconds} HTTP/1.1\r\n\
                 {headers}Content-Length: 0\r\n\r\n"
            )
        }
        Request::Ack {
            queue,
            transactions,
        } => {
            let body = serde_json::json!({ "transactions": transactions }).to_string();
            write!(
                to,
                "POST /queue/{queue}/ack HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        Request::Subscribe { queue } => write!(
            to,
            "POST /queue/{queue}/subscribe HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n"
        ),
        Request::Describe { queue } => write!(
            to,
            "GET /queue/{queue} HTTP/1.1\r\n{headers}Accept: application/json\r\n\r\n"
        ),
        Request::Secure { queue, login } => {
            let body = serde_json::json!({
                "queue": queue.to_string(), "user": login.user, "password": login.password,
            });
            let body = body.to_string();
            write!(
                to,
                "POST /queue HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        Request::Peek { queue } => write!(
            to,
            "GET /queue/{queue}/peek?max=1 HTTP/1.1\r\n{headers}\r\n"
        ),
        Request::Drain {
            queue,
            messages_max,
        } => write!(
            to,
            "POST /queue/{queue}/pop?timeout=1&max={messages_max} HTTP/1.1\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        ),
    };
}

fn push(queues: Queues<'_>, payloads: &Payloads, number: u64, headers: &str, to: &mut Vec<u8>) {
    const BEGIN: &str = r#"{"payload":""#;
    const MIDDLE: &str = r#"","priority":"H","queue":["#;
    const QUEUE_BEGINS: &str = r#"{"id":""#;
    const QUEUE_ENDS: &str = r#""}"#;
    const QUEUES_END: &str = "]";
    const CALLBACK: &str = r#","callback":"#;
    const END: &str = "}";
    let callback = payloads.callback();
    let callback_bytes = if callback.is_empty() {
        0
    } else {
        CALLBACK.len() + callback.len()
    };
    let each = |queue: Queue<'_>| QUEUE_BEGINS.len() + queue.name_bytes() + QUEUE_ENDS.len();
    let commas = queues.iter().count().saturating_sub(1);
    let body_bytes = BEGIN.len()
        + payloads.bytes_of(number)
        + MIDDLE.len()
        + queues.iter().map(each).sum::<usize>()
        + commas
        + QUEUES_END.len()
        + callback_bytes
        + END.len();
    // Writing to a Vec does not fail.
    let _ = write!(
        to,
        "POST /trans HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {body_bytes}\r\n\r\n{BEGIN}"
    );
    payloads.write(number, to);
    to.extend_from_slice(MIDDLE.as_bytes());
    for (place, queue) in queues.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(to, "{comma}{QUEUE_BEGINS}{queue}{QUEUE_ENDS}");
    }
    to.extend_from_slice(QUEUES_END.as_bytes());
    if !callback.is_empty() {
        let _ = write!(to, "{CALLBACK}{callback}");
    }
    to.extend_from_slice(END.as_bytes());
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode<'a>(
    asked: Asked,
    input: &'a [u8],
    body: &'a mut Vec<u8>,
) -> Result<Option<Decoded<'a>>, Malformed> {
    if asked == Asked::Stream {
        return stream(input);
    }
    if asked == Asked::Subscribe {
        return subscribed(input, body);
    }
    let Some(response) = http::response(input, body)? else {
        return Ok(None);
    };
    let answer = answer(asked, response.head.status, response.body)?;
    Ok(Some(response.decoded(answer)))
}

/// The head of a stream, or the answer that there will be none.
fn subscribed<'a>(
    input: &'a [u8],
    body: &'a mut Vec<u8>,
) -> Result<Option<Decoded<'a>>, Malformed> {
    let Some(head) = http::head(input)? else {
        return Ok(None);
    };
    if head.is_success() && head.has_chunks() {
        return Ok(Some(Decoded {
            answer: Answer::Subscribed,
            bytes: head.bytes,
            closes: false,
            goes_on: true,
        }));
    }
    let Some(response) = http::response(input, body)? else {
        return Ok(None);
    };
    let answer = answer(Asked::Subscribe, head.status, response.body)?;
    Ok(Some(response.decoded(answer)))
}

/// The next chunk of a stream. With the last one the server says that there will be no more; the connection is of no
/// use any more.
fn stream(input: &[u8]) -> Result<Option<Decoded<'_>>, Malformed> {
    let Some(chunk) = chunks::first(input)? else {
        return Ok(None);
    };
    let is_last = chunk.data.is_empty();
    let answer = if is_last {
        Answer::Messages(Vec::new())
    } else {
        answer(Asked::Stream, 200, chunk.data)?
    };
    Ok(Some(Decoded {
        answer,
        bytes: chunk.bytes,
        closes: is_last,
        goes_on: !is_last,
    }))
}

/// The body of an answer to a pop.
#[derive(Deserialize)]
struct Popped<'a> {
    #[serde(borrow)]
    data: Vec<Payload<'a>>,
    #[serde(default)]
    transactions: Vec<String>,
}

/// What became of each of the messages that were acked.
#[derive(Deserialize)]
struct Receipt {
    err: Option<String>,
}

/// In a type of its own, it is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Payload<'a>(#[serde(borrow)] Cow<'a, str>);

fn answer(asked: Asked, status: u16, body: &[u8]) -> Result<Answer<'_>, Malformed> {
    if !http::is_success(status) {
        return Ok(Answer::Refused(Refusal::new(Some(status), body)));
    }
    Ok(match asked {
        Asked::Greet => Answer::Greeted,
        Asked::Get => Answer::Got,
        Asked::Push => Answer::Pushed,
        Asked::Describe => Answer::Described,
        Asked::Secure => Answer::Secured,
        Asked::Ack => {
            let receipts: Vec<Receipt> = parse(body)?;
            let failed = receipts.iter().filter(|receipt| receipt.err.is_some());
            Answer::Acked {
                failed: failed.count(),
            }
        }
        // An answer of a length is no stream.
        Asked::Subscribe => return Err(Malformed::Length),
        Asked::Borrow => {
            let popped: Popped<'_> = parse(body)?;
            let payloads = popped.data.into_iter().map(|payload| payload.0);
            Answer::Lent(payloads.collect(), popped.transactions)
        }
        Asked::Wait | Asked::Stream | Asked::Peek | Asked::Drain => {
            let popped: Popped<'_> = parse(body)?;
            Answer::Messages(popped.data.into_iter().map(|payload| payload.0).collect())
        }
    })
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed::Body(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::queue::Prefix;

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
            goes_on: false,
        }
    }

    #[test]
    fn a_stream_is_its_head_and_then_chunk_by_chunk() {
        let mut input = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        let head = Decoded {
            answer: Answer::Subscribed,
            bytes: input.len(),
            closes: false,
            goes_on: true,
        };
        input.push_str("c\r\n{\"data\":[\"a");
        decode_split(Asked::Subscribe, input.as_bytes(), &head);
        let chunk = "f\r\n{\"data\":[\"a\"] }\r\n";
        let first = Decoded {
            goes_on: true,
            ..messages(&["a"], chunk.len())
        };
        decode_split(
            Asked::Stream,
            format!("{chunk}0\r\n\r\n").as_bytes(),
            &first,
        );
        let last = Decoded {
            closes: true,
            ..messages(&[], 5)
        };
        decode_split(Asked::Stream, b"0\r\n\r\n", &last);
        let mut body = Vec::new();
        let trouble = b"12\r\n{\"errors\":[\"gone\"]}\r\n";
        assert!(decode(Asked::Stream, trouble, &mut body).is_err());
    }

    #[test]
    fn what_is_lent_comes_with_its_ids_and_what_is_acked_with_receipts() {
        for (asked, body, expected) in [
            (
                Asked::Borrow,
                r#"{"ok":true,"data":["a"],"transactions":["t"],"deliveries":[1]}"#,
                Answer::Lent(vec![Cow::Borrowed("a")], vec!["t".to_owned()]),
            ),
            (
                Asked::Ack,
                r#"[{"err":null,"data":"t"},{"err":"gone","data":"u"}]"#,
                Answer::Acked { failed: 1 },
            ),
            (Asked::Describe, r#"{"ok":true}"#, Answer::Described),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let input = head + body;
            let expected = Decoded {
                answer: expected,
                ..messages(&[], input.len())
            };
            decode_split(asked, input.as_bytes(), &expected);
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
        let payloads = Payloads::new(1, &[40]);
        let mut written = Vec::new();
        let push = Request::Push {
            queues: prefix.queues(17, 2, 18),
            payloads: &payloads,
            number: 3,
        };
        encode(&push, "Host: h:1\r\n", &mut written);
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
        assert_eq!(
            body["queue"],
            serde_json::json!([{"id": "q17"}, {"id": "q0"}])
        );
        let mut written = Vec::new();
        let wait = Request::Wait {
            queue: prefix.queue(0),
            seconds: None,
        };
        encode(&wait, "Host: h:1\r\n", &mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "POST /queue/q0/pop?timeout=300&max=1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
