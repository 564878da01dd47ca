//! What a connection brings: however its bytes are cut, the requests are the same, and no more is held than may be.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use popbox::http::{Decoded, Decoder, Limits};

/// Small enough that an input reaches them.
const LIMITS: Limits = Limits {
    head_bytes_max: 512,
    body_bytes_max: 1024,
};

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = read([bytes]);
    let piece = usize::from(cut).max(1);
    assert_eq!(read(bytes.chunks(piece)), whole);
});

/// What came of the bytes: each request, and how it ended.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new(LIMITS);
    let mut input = BytesMut::new();
    let mut found = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Decoded::Request(request)) => {
                    assert!(request.body.len() <= LIMITS.body_bytes_max);
                    let segments = request.target.segments().map(|it| format!("{it:?}"));
                    found.push(format!(
                        "{:?} {segments:?} {:?} {:?} {:?} {} {:?}",
                        request.method,
                        request.target.raw_query(),
                        request.content_type(),
                        request.authorization(),
                        request.keep_alive,
                        request.body.escape_ascii(),
                    ));
                }
                // Comes or not with how much of the body is there.
                Ok(Decoded::ContinueExpected) => {}
                Ok(Decoded::NeedMore) => break,
                Err(error) => {
                    found.push(format!("{error:?}"));
                    return found;
                }
            }
        }
        assert!(input.len() < LIMITS.head_bytes_max + 2);
        assert!(decoder.buffered_bytes() <= LIMITS.body_bytes_max);
    }
    found
}
