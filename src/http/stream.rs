//! An answer that is sent bit by bit.

use super::request::Version;
use super::response::{ContentType, Frame, write_head_start, write_infallibly};
use super::status::Status;

/// Tells a client that asked first to send its body. Only HTTP/1.1 knows it.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends the head of an answer 200 whose body comes in chunks. HTTP/1.0 has no chunks: there the body ends with the
/// connection, which the caller has to close then.
pub fn encode_stream_head(frame: &Frame<'_>, content_type: ContentType, out: &mut Vec<u8>) {
    write_head_start(Status::OK, content_type, frame, out);
    if frame.version == Version::Http11 {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if !frame.keep_alive || frame.version == Version::Http10 {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one chunk made of `parts`. Nothing at all if they are empty: a chunk of no bytes would end the answer.
pub fn encode_chunk(version: Version, parts: &[&[u8]], out: &mut Vec<u8>) {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes == 0 {
        return;
    }
    if version == Version::Http11 {
        write_infallibly(out, format_args!("{bytes:x}\r\n"));
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    if version == Version::Http11 {
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends what ends an answer in chunks; nothing on HTTP/1.0, where closing the connection does.
pub fn encode_last_chunk(version: Version, out: &mut Vec<u8>) {
    if version == Version::Http11 {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}
