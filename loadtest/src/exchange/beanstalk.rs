//! beanstalkd: a tube a queue, with put, reserve and delete.
//!
//! A connection says once which tube it puts into and which one it reserves from. What it has reserved it deletes ahead
//! of its next request, in one write with that.

use std::io::Write as _;

use super::{ANSWER_BYTES_MAX, Answer, Asked, Decoded, Malformed, Refusal, Request};

/// How long a job may be reserved before it is given to somebody else: far longer than it is.
const RESERVED_SECONDS: u32 = 60;

/// A line is a word and a few numbers.
const LINE_BYTES_MAX: usize = 1_024;

/// What a connection has told its server.
#[derive(Debug, Default)]
pub(crate) struct Tubes {
    /// The number of the queue that it puts into.
    used: Option<u32>,
    /// The number of the queue that it reserves from.
    watched: Option<u32>,
    /// The job that it has reserved.
    reserved: Option<u64>,
    /// Lines that come before the answer.
    lines_ahead: usize,
}

/// Appends the request, with what has to be said before it.
pub(super) fn encode(request: &Request<'_>, tubes: &mut Tubes, to: &mut Vec<u8>) {
    tubes.lines_ahead = 0;
    if let Some(job) = tubes.reserved.take() {
        tubes.ahead(format_args!("delete {job}\r\n"), to);
    }
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
            if tubes.used.replace(queue.number()) != Some(queue.number()) {
                tubes.ahead(format_args!("use {queue}\r\n"), to);
            }
            let bytes = payloads.bytes_of(number);
            let _ = write!(to, "put 0 0 {RESERVED_SECONDS} {bytes}\r\n");
            payloads.write(number, to);
            write!(to, "\r\n")
        }
        Request::Wait { queue, seconds } => {
            if tubes.watched.is_none() {
                tubes.ahead(format_args!("watch {queue}\r\n"), to);
                tubes.ahead(format_args!("ignore default\r\n"), to);
            }
            // Each waiter has a queue of its own.
            debug_assert!(tubes.watched.is_none_or(|it| it == queue.number()));
            tubes.watched = Some(queue.number());
            match seconds {
                Some(seconds) => write!(to, "reserve-with-timeout {seconds}\r\n"),
                None => write!(to, "reserve\r\n"),
            }
        }
        // Commands that ask what only others know, refuse to be run against one.
        _ => write!(to, "list-tube-used\r\n"),
    };
}

impl Tubes {
    fn ahead(&mut self, line: std::fmt::Arguments<'_>, to: &mut Vec<u8>) {
        self.lines_ahead += 1;
        // Writing to a Vec does not fail.
        let _ = to.write_fmt(line);
    }
}

/// The answer at the front of `input`; none if it is not there in whole.
pub(super) fn decode<'a>(
    asked: Asked,
    input: &'a [u8],
    tubes: &mut Tubes,
) -> Result<Option<Decoded<'a>>, Malformed> {
    let mut at = 0;
    for _ in 0..tubes.lines_ahead {
        match line(input, &mut at)? {
            None => return Ok(None),
            Some([b"USING" | b"WATCHING" | b"DELETED", ..]) => {}
            Some(_) => return Err(Malformed::Beanstalk),
        }
    }
    let begin = at;
    let Some(words) = line(input, &mut at)? else {
        return Ok(None);
    };
    let answer = match (asked, words) {
        (Asked::Greet, [b"USING", ..]) => Answer::Greeted,
        (Asked::Push, [b"INSERTED", ..]) => Answer::Pushed,
        (Asked::Wait, [b"TIMED_OUT", ..]) => Answer::Messages(Vec::new()),
        (Asked::Wait, [b"RESERVED", job, bytes]) => {
            let bytes = usize::try_from(number(bytes)?).map_err(|_| Malformed::TooLong)?;
            if bytes > ANSWER_BYTES_MAX {
                return Err(Malformed::TooLong);
            }
            let rest = input.get(at..).unwrap_or_default();
            let (Some(payload), Some(end)) = (rest.get(..bytes), rest.get(bytes..bytes + 2)) else {
                return Ok(None);
            };
            if end != b"\r\n" {
                return Err(Malformed::Beanstalk);
            }
            at += bytes + 2;
            tubes.reserved = Some(number(job)?);
            Answer::Messages(vec![String::from_utf8_lossy(payload)])
        }
        _ => {
            let said = input.get(begin..at).unwrap_or_default();
            Answer::Refused(Refusal::new(None, said))
        }
    };
    Ok(Some(Decoded {
        answer,
        bytes: at,
        closes: false,
        goes_on: false,
    }))
}

/// The first three words of the next line; none if it is not there in whole.
fn line<'a>(input: &'a [u8], at: &mut usize) -> Result<Option<[&'a [u8]; 3]>, Malformed> {
    let rest = input.get(*at..).unwrap_or_default();
    let allowed = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
    let Some(bytes) = allowed.windows(2).position(|two| two == b"\r\n") else {
        return if allowed.len() < LINE_BYTES_MAX {
            Ok(None)
        } else {
            Err(Malformed::Beanstalk)
        };
    };
    *at += bytes + 2;
    let line = rest.get(..bytes).unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    Ok(Some(std::array::from_fn(|_| {
        words.next().unwrap_or_default()
    })))
}

fn number(word: &[u8]) -> Result<u64, Malformed> {
    std::str::from_utf8(word)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Malformed::Beanstalk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload::Payloads, queue::Prefix};

    fn written(request: &Request<'_>, tubes: &mut Tubes) -> String {
        let mut written = Vec::new();
        encode(request, tubes, &mut written);
        String::from_utf8(written).unwrap()
    }

    /// Decodes every beginning of `input`: only the whole of it may be an answer.
    fn decode_split(asked: Asked, input: &[u8], tubes: &mut Tubes, expected: &Answer<'_>) {
        for end in 0..input.len() {
            assert_eq!(decode(asked, &input[..end], tubes), Ok(None), "{end} bytes");
        }
        let decoded = decode(asked, input, tubes).unwrap().unwrap();
        assert_eq!(decoded.answer, *expected);
        assert_eq!(decoded.bytes, input.len());
    }

    #[test]
    fn a_waiter_watches_once_and_deletes_what_it_had() {
        let prefix: Prefix = "q".parse().unwrap();
        let wait = Request::Wait {
            queue: prefix.queue(7),
            seconds: None,
        };
        let mut tubes = Tubes::default();
        assert_eq!(
            written(&wait, &mut tubes),
            "watch q7\r\nignore default\r\nreserve\r\n"
        );
        let message = Answer::Messages(vec!["a\r\nb".into()]);
        let input = b"WATCHING 2\r\nWATCHING 1\r\nRESERVED 12 4\r\na\r\nb\r\n";
        decode_split(Asked::Wait, input, &mut tubes, &message);
        assert_eq!(written(&wait, &mut tubes), "delete 12\r\nreserve\r\n");
        let nothing = Answer::Messages(Vec::new());
        decode_split(
            Asked::Wait,
            b"DELETED\r\nTIMED_OUT\r\n",
            &mut tubes,
            &nothing,
        );
        assert_eq!(written(&wait, &mut tubes), "reserve\r\n");
    }

    #[test]
    fn a_pusher_uses_a_tube_where_it_is_another() {
        let prefix: Prefix = "q".parse().unwrap();
        let payloads = Payloads::new(1, &[34]);
        let push = |queue| Request::Push {
            queues: prefix.only(queue),
            payloads: &payloads,
            number: 3,
        };
        let put = "put 0 0 60 34\r\n0000000000000001-0000000000000003x\r\n";
        let mut tubes = Tubes::default();
        assert_eq!(written(&push(10), &mut tubes), format!("use q10\r\n{put}"));
        let input = b"USING q10\r\nINSERTED 1\r\n";
        decode_split(Asked::Push, input, &mut tubes, &Answer::Pushed);
        assert_eq!(written(&push(10), &mut tubes), put);
        let refused = Answer::Refused(Refusal::new(None, b"JOB_TOO_BIG"));
        decode_split(Asked::Push, b"JOB_TOO_BIG\r\n", &mut tubes, &refused);
        assert_eq!(written(&push(11), &mut tubes), format!("use q11\r\n{put}"));
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        let mut tubes = Tubes {
            lines_ahead: 1,
            ..Tubes::default()
        };
        assert!(decode(Asked::Wait, b"NOT_FOUND\r\n", &mut tubes).is_err());
        tubes.lines_ahead = 0;
        for input in [
            &b"RESERVED x 4\r\nabcd\r\n"[..],
            b"RESERVED 1 99999999999999\r\n",
            b"RESERVED 1 1\r\nabc",
            &[b'x'; LINE_BYTES_MAX],
        ] {
            assert!(decode(Asked::Wait, input, &mut tubes).is_err());
        }
    }
}
