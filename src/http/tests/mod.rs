//! What the room promises, seen from outside.

mod answers;
mod bodies;
mod generate;
mod heads;
mod streams;

use bytes::BytesMut;

use super::{Decoded, Decoder, Limits, Phase, Request, RequestError};

/// Small enough that a test can pass them.
const LIMITS: Limits = Limits {
    head_bytes_max: 2048,
    body_bytes_max: 4096,
};

/// What came of a connection's bytes.
struct Outcome {
    requests: Vec<Request>,
    continues: usize,
    error: Option<RequestError>,
    phase: Phase,
}

/// Feeds `pieces` one after another, and checks after each that the decoder holds no more than it may.
fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::new();
    let mut outcome = Outcome {
        requests: Vec::new(),
        continues: 0,
        error: None,
        phase: Phase::Idle,
    };
    let left_max = limits.head_bytes_max.max(256) + 2;
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let before = input.len();
            match decoder.decode(&mut input) {
                Ok(Decoded::Request(request)) => {
                    assert!(input.len() < before || !request.body.is_empty());
                    assert!(request.body.len() <= limits.body_bytes_max);
                    outcome.requests.push(request);
                }
                Ok(Decoded::ContinueExpected) => {
                    assert!(input.len() < before);
                    outcome.continues += 1;
                }
                Ok(Decoded::NeedMore) => break,
                Err(error) => {
                    // It stays said, and nothing is held.
                    assert_eq!(decoder.decode(&mut input).unwrap_err(), error);
                    assert_eq!(decoder.buffered_bytes(), 0);
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
        outcome.phase = decoder.phase();
        assert!(input.len() < left_max, "{} bytes left", input.len());
        assert!(decoder.buffered_bytes() <= limits.body_bytes_max);
        assert!(outcome.phase == Phase::Body || decoder.buffered_bytes() == 0);
    }
    outcome
}

/// The only request in `text`, the same however it is cut.
fn request(text: &str) -> Request {
    let mut outcome = feed(LIMITS, [text.as_bytes()]);
    let bytewise = feed(LIMITS, text.as_bytes().chunks(1));
    assert_eq!(outcome.error, None, "{text:?}");
    assert_eq!(bytewise.error, None, "{text:?}");
    assert_eq!(outcome.phase, Phase::Idle, "{text:?}");
    assert_eq!(outcome.requests.len(), 1, "{text:?}");
    assert_eq!(bytewise.requests.len(), 1, "{text:?}");
    let request = outcome.requests.remove(0);
    assert_eq!(request.body, bytewise.requests[0].body, "{text:?}");
    request
}

/// What is wrong with `text`, the same however it is cut.
fn error(text: impl AsRef<[u8]>) -> RequestError {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(text);
    let whole = feed(LIMITS, [text]).error;
    assert_eq!(whole, feed(LIMITS, text.chunks(1)).error, "{shown:?}");
    whole.unwrap_or_else(|| panic!("accepted: {shown:?}"))
}

/// What is wrong with a GET with these header lines besides `Host`.
fn header_error(lines: &str) -> RequestError {
    error(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"))
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 64);
    assert!(size_of::<Request>() <= 152);
}
