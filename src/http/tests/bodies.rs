//! Bodies.

use super::*;
use crate::http::Status;

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

fn with_length(length: &str, body: &str) -> String {
    format!("{HEAD}Content-Length: {length}\r\n\r\n{body}")
}

fn chunked(body: &str) -> String {
    format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}")
}

const TOO_LARGE: RequestError = RequestError::BodyTooLarge { bytes_max: 4096 };

#[test]
fn lengths() {
    assert_eq!(request(&with_length("0", "")).body, "");
    assert_eq!(request(&with_length("5", "hello")).body, "hello");
    assert_eq!(request(&with_length("0000005  ", "hello")).body, "hello");
    for bad in [
        "",
        "+5",
        " 5 5",
        "-1",
        "5,5",
        "5, 5",
        "0x5",
        "99999999999999999999999",
    ] {
        assert_eq!(
            error(with_length(bad, "hello")),
            RequestError::ContentLength,
            "{bad}"
        );
    }
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6",
        "content-length: 5\r\nContent-Length: 5",
    ] {
        assert_eq!(header_error(lines), RequestError::ContentLength, "{lines}");
    }
    // HTTP/1.0 and GET have bodies too.
    assert_eq!(
        request("GET / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi").body,
        "hi"
    );
}

#[test]
fn a_declared_length_is_refused_before_the_body_and_costs_nothing() {
    assert_eq!(error(with_length("4097", "")), TOO_LARGE);
    assert_eq!(error(with_length("18446744073709551615", "")), TOO_LARGE);
    assert_eq!(TOO_LARGE.status(), Status::CONTENT_TOO_LARGE);
    let body = "x".repeat(4096);
    assert_eq!(request(&with_length("4096", &body)).body, body);

    let limits = Limits {
        body_bytes_max: 8 << 20,
        ..LIMITS
    };
    let mut decoder = Decoder::new(limits);
    let mut input = BytesMut::from(with_length("8388608", "hello").as_str());
    assert!(matches!(decoder.decode(&mut input), Ok(Decoded::NeedMore)));
    assert_eq!(decoder.buffered_bytes(), 5);
    assert_eq!(decoder.phase(), Phase::Body);
}

#[test]
fn a_body_that_is_there_is_not_copied() {
    let mut input = BytesMut::from(with_length("5", "helloG").as_str());
    let place = input.as_ptr().wrapping_add(input.len() - 6);
    let Ok(Decoded::Request(request)) = Decoder::new(LIMITS).decode(&mut input) else {
        panic!("no request");
    };
    assert_eq!(request.body.as_ptr(), place);
    assert_eq!(input, "G");
}

#[test]
fn encodings() {
    assert_eq!(
        header_error("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        RequestError::ContentLengthAndTransferEncoding
    );
    assert_eq!(
        header_error("Content-Length: 5\r\nTransfer-Encoding: identity"),
        RequestError::ContentLengthAndTransferEncoding
    );
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: \"chunked\"",
    ] {
        assert_eq!(
            header_error(lines),
            RequestError::TransferEncoding,
            "{lines}"
        );
    }
    let error_10 = error("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(error_10, RequestError::TransferEncoding);
    let gzip = header_error("Transfer-Encoding: gzip, chunked");
    assert_eq!(gzip.status(), Status::NOT_IMPLEMENTED);
    // The line folded, or the name not quite the name: never read as no encoding at all.
    assert_eq!(
        header_error("Transfer-Encoding:\r\n chunked"),
        RequestError::Header
    );
    assert_eq!(
        header_error("Transfer-Encoding : chunked"),
        RequestError::Header
    );
}

#[test]
fn chunks() {
    assert_eq!(request(&chunked("0\r\n\r\n")).body, "");
    assert_eq!(request(&chunked("5\r\nhello\r\n0\r\n\r\n")).body, "hello");
    let text = "2;a=b\r\nhe\r\n0003 ; c=\"d\"\r\nllo\r\n000;e\r\nTrailer: x\r\nOther:\r\n\r\n";
    assert_eq!(request(&chunked(text)).body, "hello");
    assert_eq!(
        request(&chunked("A\r\n0123456789\r\n00\r\n\r\n"))
            .body
            .len(),
        10
    );
}

#[test]
fn what_is_no_chunk() {
    for body in [
        "\r\n",
        "g",
        " 5\r\n",
        "-1\r\n",
        "5\nhello",
        "5\r\nhelloX",
        "5\r\nhello\rX",
        "5\r\nhello\n0\r\n\r\n",
        "5;a\rb\r\n",
        "5;a\nb\r\n",
        "5 5\r\n",
        "0x5\r\n",
        "10000000000000000\r\n",
        "00000000000000000\r\n",
        "5\r\nhello5\r\n",
    ] {
        assert_eq!(error(chunked(body)), RequestError::Chunk, "{body:?}");
    }
}

#[test]
fn a_chunked_body_is_refused_as_soon_as_it_is_too_large() {
    for size in [
        "1001",
        "ffffffff",
        "ffffffffffffffff",
        "7fffffffffffffff",
        "8000000000000000",
    ] {
        assert_eq!(error(chunked(&format!("{size}\r\n"))), TOO_LARGE, "{size}");
        assert_eq!(
            error(chunked(&format!("1\r\nx\r\n{size}\r\n"))),
            TOO_LARGE,
            "{size}"
        );
    }
    let chunk = format!("800\r\n{}\r\n", "x".repeat(0x800));
    let full = format!("{chunk}{chunk}");
    assert_eq!(
        request(&chunked(&format!("{full}0\r\n\r\n"))).body.len(),
        4096
    );
    assert_eq!(error(chunked(&format!("{full}1\r\n"))), TOO_LARGE);
}

#[test]
fn extensions_have_a_limit() {
    let line = |bytes: usize| format!("1;{}\r\n", "x".repeat(bytes - 4));
    assert_eq!(
        request(&chunked(&format!("{}x\r\n0\r\n\r\n", line(256)))).body,
        "x"
    );
    assert_eq!(error(chunked(&line(257))), RequestError::Chunk);
    assert_eq!(
        error(chunked(&format!("1;{}", "x".repeat(254)))),
        RequestError::Chunk
    );
    // All together they may be as long as a head: eight times 253 bytes here, and then nothing is left for the ninth.
    let chunk = format!("{}x\r\n", line(256));
    request(&chunked(&format!("{}0\r\n\r\n", chunk.repeat(8))));
    assert_eq!(error(chunked(&chunk.repeat(9))), RequestError::Chunk);
}

#[test]
fn trailers() {
    for (trailers, wrong) in [
        ("A b: c\r\n\r\n", RequestError::Header),
        ("A: b\r\n c\r\n\r\n", RequestError::Header),
        ("A\r\n\r\n", RequestError::Header),
        ("A: b\n\r\n", RequestError::BareLineFeed),
        ("\n", RequestError::BareLineFeed),
        ("A: \0\r\n\r\n", RequestError::Header),
    ] {
        assert_eq!(
            error(chunked(&format!("0\r\n{trailers}"))),
            wrong,
            "{trailers:?}"
        );
    }
    let long = |bytes: usize| chunked(&format!("0\r\nA: {}\r\n\r\n", "x".repeat(bytes - 5)));
    request(&long(2048));
    assert_eq!(error(long(2049)), RequestError::HeadTooLarge);
    let endless = chunked(&format!("0\r\n{}", "A: b\r\n".repeat(400)));
    assert_eq!(error(endless), RequestError::HeadTooLarge);
    let many = chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(101)));
    assert_eq!(
        error(many),
        RequestError::TooManyHeaders { headers_max: 100 }
    );
    // They are not headers of the request.
    let request = request(&chunked("0\r\nAuthorization: x\r\nHost: b\r\n\r\n"));
    assert_eq!((request.authorization(), request.host()), (None, Some("a")));
}

#[test]
fn continues() {
    let head =
        |version: &str, lines: &str| format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n\r\n");
    let continues = |head: &str| feed(LIMITS, [head.as_bytes(), b"hello"]).continues;
    let expecting = head("1.1", "Content-Length: 5\r\nExpect: 100-Continue");
    assert_eq!(continues(&expecting), 1);
    let outcome = feed(LIMITS, [expecting.as_bytes(), b"hel", b"lo"]);
    assert_eq!(
        (outcome.continues, &outcome.requests[0].body[..]),
        (1, &b"hello"[..])
    );
    // The body is coming already, or there is none.
    assert_eq!(continues(&format!("{expecting}h")), 0);
    assert_eq!(continues(&head("1.1", "Expect: 100-continue")), 0);
    assert_eq!(
        continues(&head("1.1", "Content-Length: 0\r\nExpect: 100-continue")),
        0
    );
    assert_eq!(
        continues(&head(
            "1.1",
            "Transfer-Encoding: chunked\r\nExpect: 100-continue"
        )),
        1
    );
    // HTTP/1.0 has no expectations.
    assert_eq!(
        continues(&head("1.0", "Content-Length: 5\r\nExpect: 100-continue")),
        0
    );
    assert_eq!(
        continues(&head("1.0", "Content-Length: 5\r\nExpect: tea")),
        0
    );
    for other in ["tea", "100-continue, tea", "100-continue=x", "200-ok"] {
        let error = header_error(&format!("Expect: {other}"));
        assert_eq!(error.status(), Status::EXPECTATION_FAILED, "{other}");
    }
    let too_large = feed(
        LIMITS,
        [head("1.1", "Content-Length: 4097\r\nExpect: 100-continue").as_bytes()],
    );
    assert_eq!((too_large.error, too_large.continues), (Some(TOO_LARGE), 0));
}

/// With quadratic work, or with memory per chunk, this would not end soon.
#[test]
fn many_tiny_chunks_cost_no_more_than_their_bytes() {
    let limits = Limits {
        body_bytes_max: 1 << 20,
        ..LIMITS
    };
    let text = chunked(&format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(1 << 20)));
    for piece_bytes in [text.len(), 4096] {
        let outcome = feed(limits, text.as_bytes().chunks(piece_bytes));
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.requests[0].body.len(), 1 << 20);
    }
}
