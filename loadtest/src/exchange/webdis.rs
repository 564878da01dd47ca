//! webdis, HTTP in front of a Redis: RPUSH and BLPOP.

use std::io::Write as _;

use serde::Deserialize;

use super::{Answer, Asked, Decoded, Malformed, Refusal, Request, http};

/// Appends the request.
pub(super) fn encode(request: &Request<'_>, headers: &str, to: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match *request {
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
                "PUT /RPUSH/{queue} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n",
                payloads.bytes_of(number)
            );
            return payloads.write(number, to);
        }
        Request::Wait { queue, seconds } => {
            // 0 is for ever.
            let seconds = seconds.unwrap_or(0);
            write!(to, "GET /BLPOP/{queue}/{seconds} HTTP/1.1\r\n{headers}\r\n")
        }
        // Commands that ask what only others know, refuse to be run against one.
        _ => write!(to, "GET /PING HTTP/1.1\r\n{headers}\r\n"),
    };
}

/// What the Redis answered, by the name of the command.
#[derive(Deserialize)]
struct Body {
    /// The length of the list, or what is wrong.
    #[serde(rename = "RPUSH")]
    pushed: Option<serde_json::Value>,
    /// The queue and the message; nothing if the wait was in vain; `false` and what is wrong.
    #[serde(rename = "BLPOP")]
    popped: Option<(serde_json::Value, String)>,
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode<'a>(
    asked: Asked,
    input: &'a [u8],
    body: &'a mut Vec<u8>,
) -> Result<Option<Decoded<'a>>, Malformed> {
    let Some(response) = http::response(input, body)? else {
        return Ok(None);
    };
    let head = &response.head;
    let answer = match asked {
        Asked::Greet => Answer::Greeted,
        _ if !head.is_success() => Answer::Refused(Refusal::new(Some(head.status), response.body)),
        Asked::Push | Asked::Wait => answer(asked, response.body)?,
        _ => return Err(Malformed::Kind),
    };
    Ok(Some(response.decoded(answer)))
}

fn answer(asked: Asked, text: &[u8]) -> Result<Answer<'_>, Malformed> {
    let body: Body =
        serde_json::from_slice(text).map_err(|error| Malformed::Body(error.to_string()))?;
    Ok(match (asked, body) {
        (Asked::Push, Body { pushed, .. }) => match pushed {
            Some(length) if length.is_u64() => Answer::Pushed,
            Some(_) => Answer::Refused(Refusal::new(None, text)),
            None => return Err(Malformed::Kind),
        },
        (_, Body { popped, .. }) => match popped {
            Some((queue, payload)) if queue.is_string() => Answer::Messages(vec![payload.into()]),
            Some(_) => Answer::Refused(Refusal::new(None, text)),
            None => Answer::Messages(Vec::new()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload::Payloads, queue::Prefix};

    #[test]
    fn an_answer_is_the_same_over_all_splits() {
        let refused = |text: &str| Answer::Refused(Refusal::new(None, text.as_bytes()));
        for (asked, text, expected) in [
            (Asked::Greet, r#"{"PING":[true,"PONG"]}"#, Answer::Greeted),
            (Asked::Push, r#"{"RPUSH":3}"#, Answer::Pushed),
            (
                Asked::Push,
                r#"{"RPUSH":[false,"OOM"]}"#,
                refused(r#"{"RPUSH":[false,"OOM"]}"#),
            ),
            (
                Asked::Wait,
                r#"{"BLPOP":["q1","a\u0041"]}"#,
                Answer::Messages(vec!["aA".into()]),
            ),
            (
                Asked::Wait,
                r#"{"BLPOP":null}"#,
                Answer::Messages(Vec::new()),
            ),
            (
                Asked::Wait,
                r#"{"BLPOP":[false,"WRONGTYPE"]}"#,
                refused(r#"{"BLPOP":[false,"WRONGTYPE"]}"#),
            ),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            let input = head + text;
            for end in 0..input.len() {
                let mut body = Vec::new();
                let part = decode(asked, &input.as_bytes()[..end], &mut body);
                assert_eq!(part, Ok(None), "{end} bytes");
            }
            let mut body = Vec::new();
            let decoded = decode(asked, input.as_bytes(), &mut body);
            let decoded = decoded.unwrap().unwrap();
            assert_eq!(decoded.answer, expected);
            assert_eq!(decoded.bytes, input.len());
        }
    }

    #[test]
    fn requests_are_commands_in_a_path() {
        let prefix: Prefix = "q".parse().unwrap();
        let payloads = Payloads::new(1, &[34]);
        let push = Request::Push {
            queues: prefix.only(10),
            payloads: &payloads,
            number: 3,
        };
        let wait = Request::Wait {
            queue: prefix.queue(1),
            seconds: None,
        };
        for (request, expected) in [
            (
                push,
                "PUT /RPUSH/q10 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 34\r\n\r\n\
                 0000000000000001-0000000000000003x",
            ),
            (wait, "GET /BLPOP/q1/0 HTTP/1.1\r\nHost: h:1\r\n\r\n"),
        ] {
            let mut written = Vec::new();
            encode(&request, "Host: h:1\r\n", &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
