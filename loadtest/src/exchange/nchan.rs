//! nchan, a module of nginx: a channel a queue, in the locations `/pub/CHANNEL` and `/sub/CHANNEL` (long poll).
//!
//! A channel keeps its messages whoever reads them. So each connection remembers the message that it had last, and asks
//! for the one after it. A new one gets the first that there is (`nchan_subscriber_first_message oldest`).

use std::io::Write as _;

use super::{Answer, Asked, Decoded, Malformed, Refusal, Request, http};

/// What nchan says where the wait was in vain (`nchan_subscriber_timeout`).
const TIMED_OUT: u16 = 408;

/// The message that a connection had last.
#[derive(Debug, Default)]
pub(crate) struct Place {
    last_modified: Vec<u8>,
    etag: Vec<u8>,
}

/// Appends the request.
pub(super) fn encode(request: &Request<'_>, headers: &str, place: &Place, to: &mut Vec<u8>) {
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
                "POST /pub/{queue} HTTP/1.1\r\n{headers}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                payloads.bytes_of(number)
            );
            return payloads.write(number, to);
        }
        Request::Wait { queue, .. } => {
            let _ = write!(to, "GET /sub/{queue} HTTP/1.1\r\n{headers}");
            if !place.last_modified.is_empty() {
                to.extend_from_slice(b"If-Modified-Since: ");
                to.extend_from_slice(&place.last_modified);
                to.extend_from_slice(b"\r\nIf-None-Match: ");
                to.extend_from_slice(&place.etag);
                to.extend_from_slice(b"\r\n");
            }
            write!(to, "\r\n")
        }
        // Commands that ask what only others know, refuse to be run against one.
        _ => write!(to, "GET / HTTP/1.1\r\n{headers}\r\n"),
    };
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode<'a>(
    asked: Asked,
    input: &'a [u8],
    body: &'a mut Vec<u8>,
    place: &mut Place,
) -> Result<Option<Decoded<'a>>, Malformed> {
    let Some(response) = http::response(input, body)? else {
        return Ok(None);
    };
    let head = &response.head;
    let answer = match asked {
        // Whatever it says, it has taken the connection in.
        Asked::Greet => Answer::Greeted,
        Asked::Wait if head.status == TIMED_OUT => Answer::Messages(Vec::new()),
        _ if !head.is_success() => Answer::Refused(Refusal::new(Some(head.status), response.body)),
        Asked::Push => Answer::Pushed,
        Asked::Wait => {
            let last_modified = head.last_modified.ok_or(Malformed::Position)?;
            place.last_modified.clear();
            place.last_modified.extend_from_slice(last_modified);
            place.etag.clear();
            place.etag.extend_from_slice(head.etag.unwrap_or_default());
            Answer::Messages(vec![String::from_utf8_lossy(response.body)])
        }
        _ => return Err(Malformed::Kind),
    };
    Ok(Some(response.decoded(answer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload::Payloads, queue::Prefix};

    const MESSAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\
        Last-Modified: Sun, 22 Nov 2026 03:24:35 GMT\r\nConnection: keep-alive\r\nEtag: 7\r\n\r\nmsg1";

    fn wait(place: &Place) -> String {
        let prefix: Prefix = "q".parse().unwrap();
        let request = Request::Wait {
            queue: prefix.queue(3),
            seconds: None,
        };
        let mut written = Vec::new();
        encode(&request, "Host: h:1\r\n", place, &mut written);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn the_message_after_the_last_one_is_asked_for() {
        let mut place = Place::default();
        assert_eq!(wait(&place), "GET /sub/q3 HTTP/1.1\r\nHost: h:1\r\n\r\n");
        for end in 0..MESSAGE.len() {
            let mut body = Vec::new();
            let part = decode(Asked::Wait, &MESSAGE[..end], &mut body, &mut place);
            assert_eq!(part, Ok(None), "{end} bytes");
        }
        let mut body = Vec::new();
        let decoded = decode(Asked::Wait, MESSAGE, &mut body, &mut place);
        let decoded = decoded.unwrap().unwrap();
        assert_eq!(decoded.answer, Answer::Messages(vec!["msg1".into()]));
        assert_eq!(decoded.bytes, MESSAGE.len());
        assert_eq!(
            wait(&place),
            "GET /sub/q3 HTTP/1.1\r\nHost: h:1\r\nIf-Modified-Since: Sun, 22 Nov 2026 03:24:35 GMT\r\n\
             If-None-Match: 7\r\n\r\n"
        );
    }

    #[test]
    fn a_push_is_a_publication() {
        let prefix: Prefix = "q".parse().unwrap();
        let payloads = Payloads::new(1, &[34]);
        let push = Request::Push {
            queues: prefix.only(10),
            payloads: &payloads,
            number: 3,
        };
        let mut written = Vec::new();
        encode(&push, "Host: h:1\r\n", &Place::default(), &mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "POST /pub/q10 HTTP/1.1\r\nHost: h:1\r\nContent-Type: text/plain\r\nContent-Length: 34\r\n\r\n\
             0000000000000001-0000000000000003x"
        );
    }

    #[test]
    fn statuses_tell_answers_from_refusals() {
        let mut place = Place::default();
        for (asked, status, expected) in [
            (Asked::Push, 201, Answer::Pushed),
            (Asked::Push, 202, Answer::Pushed),
            (Asked::Greet, 404, Answer::Greeted),
            (Asked::Wait, 408, Answer::Messages(Vec::new())),
            (
                Asked::Push,
                507,
                Answer::Refused(Refusal::new(Some(507), b"no")),
            ),
        ] {
            let input = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno");
            let mut body = Vec::new();
            let decoded = decode(asked, input.as_bytes(), &mut body, &mut place);
            assert_eq!(decoded.unwrap().unwrap().answer, expected);
        }
        let mut body = Vec::new();
        let unplaced = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(
            decode(Asked::Wait, unplaced, &mut body, &mut place),
            Err(Malformed::Position)
        );
    }
}
