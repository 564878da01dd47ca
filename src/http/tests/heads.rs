//! Heads.

use super::*;
use crate::http::{Method, Status, Version};

#[test]
fn a_plain_request() {
    let request = request(
        "POST /queue/a%2Fb/pop?max=3 HTTP/1.1\r\nHost: example.com:3001\r\ncontent-TYPE:\tapplication/json \r\n\
         Accept: text/html\r\nAccept: */*\r\nAuthorization: Basic eA==\r\nX-Empty:\r\nX: \r\n\r\n",
    );
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.target.path(), "/queue/a%2Fb/pop");
    assert_eq!(request.target.segments().unwrap(), ["queue", "a/b", "pop"]);
    assert_eq!(request.target.query("max").unwrap(), "3");
    assert_eq!(request.host(), Some("example.com:3001"));
    assert_eq!(request.content_type(), Some("application/json"));
    assert_eq!(request.accept(), Some("text/html"));
    assert!(request.headers("ACCEPT").eq(["text/html", "*/*"]));
    assert_eq!(request.authorization(), Some("Basic eA=="));
    assert_eq!(request.header("x-empty"), Some(""));
    assert_eq!(request.header("x"), Some(""));
    assert_eq!(request.header("x-none"), None);
    assert_eq!(request.header(""), None);
    assert_eq!(request.raw_headers("x-none").count(), 0);
    assert!(request.keep_alive);
    assert!(request.body.is_empty());
    assert!(!format!("{request:?}").contains("eA=="));
}

#[test]
fn methods() {
    let method = |name| request(&format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n")).method;
    assert_eq!(method("GET"), Method::Get);
    assert_eq!(method("HEAD"), Method::Head);
    assert_eq!(method("PUT"), Method::Put);
    assert_eq!(method("DELETE"), Method::Delete);
    assert_eq!(method("OPTIONS"), Method::Options);
    for other in ["get", "PATCH", "CONNECT", "BREW", "X-!#$%&'*+.^_`|~"] {
        assert_eq!(method(other), Method::Other, "{other}");
    }
}

#[test]
fn what_is_no_request_line() {
    for line in [
        "GET /\r\n",
        "GET\r\n",
        "hello\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTPS/1.1\r\n",
        "GET / HTTP/a.1\r\n",
        "GET / HTTP/\r\n",
        " GET / HTTP/1.1\r\n",
        "\0",
        "\x16\x03\x01\x02",
        "\u{80}",
        "(",
        "\rG",
        "/ HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(error(line), RequestError::RequestLine, "{line:?}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
    ] {
        let head = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(error(head), RequestError::RequestLine, "{line:?}");
    }
    assert_eq!(
        error(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
        RequestError::RequestLine
    );
}

#[test]
fn garbage_is_refused_at_its_first_byte() {
    for byte in [0, 0x16, b' ', b'\n', b'{', b'"', 0x80, 0xff] {
        assert!(feed(LIMITS, [&[byte][..]]).error.is_some(), "{byte}");
    }
}

#[test]
fn versions() {
    for line in [
        "PRI * HTTP/2.0",
        "GET / HTTP/2",
        "GET / HTTP/1.2",
        "GET / HTTP/0.9",
        "GET / HTTP/3.0",
    ] {
        let error = error(format!("{line}\r\n"));
        assert_eq!(error, RequestError::Version, "{line}");
        assert_eq!(error.status(), Status::VERSION_NOT_SUPPORTED);
    }
}

#[test]
fn targets() {
    for target in ["*", "a:80", "/a#b", "ftp://a/", "http://"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(error(head), RequestError::Target, "{target}");
    }
    let absolute = request("GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(absolute.host(), Some("b:80"));
    assert_eq!(absolute.target.path(), "/c");
    assert!(absolute.target.query("d").is_some());
    let root = request("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(root.target.path(), "/");
    assert!(root.target.segments().unwrap().is_empty());
}

#[test]
fn hosts() {
    assert_eq!(error("GET / HTTP/1.1\r\n\r\n"), RequestError::HostMissing);
    assert_eq!(
        error("GET http://b/ HTTP/1.1\r\n\r\n"),
        RequestError::HostMissing
    );
    assert_eq!(header_error("Host: a"), RequestError::HostRepeated);
    assert_eq!(
        error("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        RequestError::HostRepeated
    );
    for host in ["a\"b", "a b", "a/b", "<script>", "a@b", "a,b c", "é"] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(error(head), RequestError::Host, "{host}");
    }
    assert_eq!(request("GET / HTTP/1.1\r\nHost:\r\n\r\n").host(), None);
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n").host(), None);
    assert_eq!(
        request("GET / HTTP/1.0\r\nHost: [::1]:1\r\n\r\n").host(),
        Some("[::1]:1")
    );
}

#[test]
fn invalid_headers() {
    for lines in [
        "A : b",
        " A: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        ": b",
        "A",
        "A\0: b",
        "A: b\0",
        "A: b\rc",
        "A: \u{1}",
        "A: b\u{7f}",
        "A b: c",
        "A(: b",
        "é: b",
        "A: b\r",
        "\rA: b",
    ] {
        assert_eq!(header_error(lines), RequestError::Header, "{lines:?}");
    }
    for lines in ["A: b\nC: d", "A: b\n", "A: b\n\r\nC: d"] {
        assert_eq!(header_error(lines), RequestError::BareLineFeed, "{lines:?}");
    }
    assert_eq!(
        error("GET / HTTP/1.1\nHost: a\n\n"),
        RequestError::BareLineFeed
    );
    assert_eq!(
        error("GET / HTTP/1.1\r\nHost: a\r\n\n"),
        RequestError::BareLineFeed
    );
}

#[test]
fn keep_alive() {
    let keeps = |version, lines| {
        request(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n")).keep_alive
    };
    assert!(keeps("1.1", ""));
    assert!(keeps("1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n"));
    assert!(!keeps("1.1", "Connection: close\r\n"));
    assert!(!keeps("1.1", "connection: foo , CLOSE,keep-alive\r\n"));
    assert!(!keeps(
        "1.1",
        "Connection: keep-alive\r\nConnection: close\r\n"
    ));
    assert!(keeps("1.1", "Connection: closed, not-close\r\n"));
    assert!(!keeps("1.0", ""));
    assert!(keeps("1.0", "Connection: x, Keep-Alive\r\n"));
    assert!(!keeps("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn a_head_has_a_limit() {
    let head = |bytes: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
        format!(
            "{start}{}{end}",
            "x".repeat(bytes - start.len() - end.len())
        )
    };
    assert_eq!(request(&head(2048)).header("x").unwrap().len(), 2048 - 32);
    assert_eq!(error(head(2049)), RequestError::HeadTooLarge);
    assert_eq!(
        RequestError::HeadTooLarge.status(),
        Status::HEADER_FIELDS_TOO_LARGE
    );
    // Endless ones, in one line and in many.
    assert_eq!(error("G".repeat(2048)), RequestError::HeadTooLarge);
    let lines = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(400));
    assert_eq!(error(lines), RequestError::HeadTooLarge);
}

#[test]
fn the_number_of_headers_has_a_limit() {
    let head = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "A: b\r\n".repeat(count - 1)
        )
    };
    request(&head(100));
    let error = error(head(101));
    assert_eq!(error, RequestError::TooManyHeaders { headers_max: 100 });
    assert_eq!(error.status(), Status::HEADER_FIELDS_TOO_LARGE);
}

#[test]
fn blank_lines_before_a_request() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    request(&format!("{}{get}", "\r\n".repeat(4)));
    assert_eq!(error("\r\n".repeat(5)), RequestError::RequestLine);
    assert_eq!(error(format!("\n{get}")), RequestError::RequestLine);
    // Counted anew for each request.
    let text = format!("\r\n\r\n\r\n{get}").repeat(5);
    assert_eq!(feed(LIMITS, text.as_bytes().chunks(1)).requests.len(), 5);
}

#[test]
fn phases_of_a_head() {
    let phase = |text: &str| feed(LIMITS, [text.as_bytes()]).phase;
    assert_eq!(phase(""), Phase::Idle);
    assert_eq!(phase("\r\n"), Phase::Idle);
    assert_eq!(phase("G"), Phase::Head);
    assert_eq!(phase("GET / HTTP/1.1\r\nHost: a\r\n"), Phase::Head);
    assert_eq!(phase("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Phase::Idle);
    assert_eq!(phase("GET / HTTP/1.1\r\nHost: a\r\n\r\nG"), Phase::Head);
}

/// With quadratic work this would take minutes.
#[test]
fn a_head_that_comes_byte_by_byte_is_looked_at_once() {
    let limits = Limits {
        head_bytes_max: 1 << 20,
        body_bytes_max: 0,
    };
    for line in [
        format!("X: {}\r\n", "x".repeat(1 << 19)),
        format!("{}\r\n", "x".repeat(1 << 19)),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n");
        feed(limits, head.as_bytes().chunks(1));
    }
}
