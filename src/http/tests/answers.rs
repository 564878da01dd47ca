//! Answers, read back.

use crate::http::{
    CONTINUE, ContentType, Frame, RequestError, Response, Status, Version, encode_chunk,
    encode_last_chunk, encode_stream_head,
};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

const FRAME: Frame<'_> = Frame {
    version: Version::Http11,
    keep_alive: true,
    head_only: false,
    date: DATE,
};

/// Status, headers and body, as a client reads them.
fn read(bytes: &[u8]) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut table = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut table);
    let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).unwrap() else {
        panic!("incomplete");
    };
    let headers = parsed.headers.iter().map(|header| {
        let value = std::str::from_utf8(header.value).unwrap();
        (header.name.to_owned(), value.to_owned())
    });
    (
        parsed.code.unwrap(),
        headers.collect(),
        bytes[head_bytes..].to_vec(),
    )
}

fn encoded(response: &Response, frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(frame, &mut out);
    out
}

#[test]
fn a_plain_answer() {
    let out = encoded(&Response::json(Status::OK, "{\"ok\":true}"), &FRAME);
    let text = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json; charset=utf-8\r\n\
                Content-Length: 11\r\n\r\n{\"ok\":true}";
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn connections() {
    let connection = |version, keep_alive| {
        let frame = Frame {
            version,
            keep_alive,
            ..FRAME
        };
        let (_, headers, _) = read(&encoded(&Response::text(Status::OK, ""), &frame));
        let found = headers.into_iter().find(|(name, _)| name == "Connection");
        found.map(|(_, value)| value)
    };
    assert_eq!(connection(Version::Http11, true), None);
    assert_eq!(connection(Version::Http11, false).unwrap(), "close");
    assert_eq!(connection(Version::Http10, true).unwrap(), "keep-alive");
    assert_eq!(connection(Version::Http10, false).unwrap(), "close");
}

#[test]
fn head_has_the_same_head_and_no_body() {
    let response = Response::html(Status::NOT_FOUND, "<p>")
        .with_header("Content-Security-Policy", "default-src 'none'");
    let whole = encoded(&response, &FRAME);
    let head = encoded(
        &response,
        &Frame {
            head_only: true,
            ..FRAME
        },
    );
    assert_eq!(whole.strip_suffix(b"<p>").unwrap(), head);
    let (code, headers, body) = read(&head);
    assert_eq!((code, body.len()), (404, 0));
    assert!(headers.contains(&("Content-Length".to_owned(), "3".to_owned())));
}

#[test]
fn no_value_can_end_its_line() {
    let value = "a\r\nSet-Cookie: b\r\n\r\n<html>\0\u{7f}é".to_owned();
    let response = Response::text(Status::UNAUTHORIZED, "").with_header("WWW-Authenticate", value);
    let (_, headers, body) = read(&encoded(&response, &FRAME));
    assert_eq!(headers.len(), 4);
    assert_eq!(headers[3].1, "a  Set-Cookie: b    <html>  é");
    assert!(body.is_empty());
}

#[test]
fn errors() {
    let response = Response::errors(Status::BAD_REQUEST, ["undefined \"payload\"", "a\nb"]);
    assert_eq!(
        response.body,
        r#"{"errors":["undefined \"payload\"","a\nb"]}"#
    );
    let none: [&str; 0] = [];
    assert_eq!(
        Response::errors(Status::INTERNAL, none).body,
        r#"{"errors":[]}"#
    );
    let response = Response::from(RequestError::BodyTooLarge { bytes_max: 7 });
    assert_eq!(response.status, Status::CONTENT_TOO_LARGE);
    assert_eq!(
        response.body,
        r#"{"errors":["body too large: maximum 7 bytes"]}"#
    );
}

#[test]
fn streams() {
    let mut out = Vec::new();
    encode_stream_head(&FRAME, ContentType::JsonStream, &mut out);
    encode_chunk(
        Version::Http11,
        &[b"{", b"", b"0123456789abcdef", b"}"],
        &mut out,
    );
    encode_chunk(Version::Http11, &[b""], &mut out);
    encode_last_chunk(Version::Http11, &mut out);
    let (code, headers, body) = read(&out);
    assert_eq!(code, 200);
    assert!(headers.contains(&("Content-Type".to_owned(), "application/json".to_owned())));
    assert!(headers.contains(&("Transfer-Encoding".to_owned(), "chunked".to_owned())));
    assert_eq!(body, b"12\r\n{0123456789abcdef}\r\n0\r\n\r\n");

    let mut out = Vec::new();
    let old = Frame {
        version: Version::Http10,
        ..FRAME
    };
    encode_stream_head(&old, ContentType::JsonStream, &mut out);
    encode_chunk(Version::Http10, &[b"{}"], &mut out);
    encode_last_chunk(Version::Http10, &mut out);
    let (_, headers, body) = read(&out);
    assert!(headers.contains(&("Connection".to_owned(), "close".to_owned())));
    assert!(!headers.iter().any(|(name, _)| name == "Transfer-Encoding"));
    assert_eq!(body, b"{}");
}

#[test]
fn every_status_has_its_reason() {
    for status in [
        Status::OK,
        Status::SEE_OTHER,
        Status::BAD_REQUEST,
        Status::UNAUTHORIZED,
        Status::FORBIDDEN,
        Status::NOT_FOUND,
        Status::METHOD_NOT_ALLOWED,
        Status::REQUEST_TIMEOUT,
        Status::CONTENT_TOO_LARGE,
        Status::EXPECTATION_FAILED,
        Status::TOO_MANY_REQUESTS,
        Status::HEADER_FIELDS_TOO_LARGE,
        Status::INTERNAL,
        Status::NOT_IMPLEMENTED,
        Status::UNAVAILABLE,
        Status::VERSION_NOT_SUPPORTED,
    ] {
        assert_ne!(status.reason(), "Unknown", "{}", status.code());
        assert_eq!(
            read(&encoded(&Response::text(status, ""), &FRAME)).0,
            status.code()
        );
    }
    let mut table = [];
    let mut parsed = httparse::Response::new(&mut table);
    assert!(parsed.parse(CONTINUE).unwrap().is_complete());
    assert_eq!(parsed.code, Some(100));
}
