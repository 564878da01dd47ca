//! What Redis answers, in version 3 of its protocol, and reading it the way the store does.

use bytes::BytesMut;
use redis_protocol::resp3::{decode::complete::decode_bytes_mut, types::BytesFrame};

use crate::message;

/// An answer of a script that has done so many operations: for each a list of a few numbers and texts.
pub fn outcomes(operations: usize) -> BytesMut {
    let outcomes: Vec<String> = (0..operations)
        .map(|number| {
            let id = bulk(&message::id(number as u64).to_string());
            format!("*4\r\n:{number}\r\n+ok\r\n{id}:1795000000000\r\n")
        })
        .collect();
    BytesMut::from(format!("*{operations}\r\n{}", outcomes.concat()).as_bytes())
}

/// An answer with so many payloads.
pub fn payloads(count: usize) -> BytesMut {
    let payload = bulk(&message::payload());
    BytesMut::from(format!("*{count}\r\n{}", payload.repeat(count)).as_bytes())
}

/// A message to a subscriber.
pub fn published() -> BytesMut {
    let parts = [bulk("message"), bulk("worker-1"), bulk(&message::payload())];
    BytesMut::from(format!(">3\r\n{}", parts.concat()).as_bytes())
}

/// Reads the one answer that is there.
pub fn decode(mut input: BytesMut) -> BytesFrame {
    match decode_bytes_mut(&mut input) {
        Ok(Some((frame, ..))) => frame,
        other => panic!("no answer: {other:?}"),
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
