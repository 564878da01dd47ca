//! Requests as the bytes that come from a socket.

use bytes::BytesMut;
use popbox::http::{Decoded, Decoder, Limits, Request};

use crate::message;

/// Requests of [`pipelined`].
pub const PIPELINED: usize = 16;

/// As many pieces has the body of [`chunked`].
const CHUNKS: usize = 4;

/// A GET as curl sends it.
pub fn get() -> BytesMut {
    bytes("GET", "/queue/inbox-1", "Accept: */*\r\n", "")
}

/// A plain pop, which has no body.
pub fn pop() -> BytesMut {
    bytes(
        "POST",
        "/queue/inbox-1/pop?timeout=60",
        "Content-Length: 0\r\n",
        "",
    )
}

/// An ack of so many messages.
pub fn ack(messages: u64) -> BytesMut {
    let ids: Vec<String> = (0..messages)
        .map(|number| format!("\"{}\"", message::id(number)))
        .collect();
    post(
        "/queue/inbox-1/ack",
        &format!("{{\"transactions\":[{}]}}", ids.join(",")),
    )
}

/// A push to so many queues.
pub fn push(queues: usize) -> BytesMut {
    post("/trans", &push_body(queues))
}

/// Pushes to one queue each that come in one read.
pub fn pipelined() -> BytesMut {
    let mut all = BytesMut::new();
    for _ in 0..PIPELINED {
        all.extend_from_slice(&push(1));
    }
    all
}

/// A push to one queue whose body comes in chunks.
pub fn chunked() -> BytesMut {
    let body = push_body(1);
    let chunks = body.as_bytes().chunks(body.len().div_ceil(CHUNKS));
    let chunks: Vec<String> = chunks
        .map(|chunk| {
            let text = str::from_utf8(chunk).expect("a body of ASCII");
            format!("{:x}\r\n{text}\r\n", chunk.len())
        })
        .collect();
    let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    bytes("POST", "/trans", headers, &(chunks.concat() + "0\r\n\r\n"))
}

/// Reads all that is there, as a connection does; how many requests it was.
pub fn decode(mut input: BytesMut) -> usize {
    let mut decoder = decoder();
    let mut requests = 0;
    loop {
        match decoder
            .decode(&mut input)
            .expect("requests without a fault")
        {
            Decoded::Request(request) => {
                std::hint::black_box(request);
                requests += 1;
            }
            Decoded::ContinueExpected => {}
            Decoded::NeedMore => return requests,
        }
    }
}

/// The one request that is there.
pub fn request(mut input: BytesMut) -> Request {
    match decoder().decode(&mut input) {
        Ok(Decoded::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn decoder() -> Decoder {
    Decoder::new(Limits {
        head_bytes_max: 16 << 10,
        body_bytes_max: 1 << 20,
    })
}

fn push_body(queues: usize) -> String {
    let queues: Vec<String> = (0..queues)
        .map(|number| format!("{{\"id\":\"{}\"}}", message::queue_id(number)))
        .collect();
    let (payload, queues) = (message::payload(), queues.join(","));
    format!("{{\"payload\":\"{payload}\",\"priority\":\"H\",\"queue\":[{queues}]}}")
}

fn post(target: &str, body: &str) -> BytesMut {
    let length = body.len();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    bytes("POST", target, &headers, body)
}

fn bytes(method: &str, target: &str, headers: &str, body: &str) -> BytesMut {
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: box.example:3001\r\nUser-Agent: bench/1\r\n{headers}\r\n{body}"
    );
    BytesMut::from(text.as_bytes())
}
