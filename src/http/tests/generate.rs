//! Random requests from a seed.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::http::{Request, Version};

/// Xorshift: the same numbers from the same seed, everywhere.
pub(super) struct Random(u64);

/// What a request should come out as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    method: String,
    version: Version,
    path: String,
    query: Option<String>,
    host: Option<String>,
    keep_alive: bool,
    mark: Option<String>,
    body: Bytes,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Neighbouring seeds should not begin alike, and none may be zero.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(2);
        random
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % bound as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| self.below(256).to_le_bytes()[0])
            .collect()
    }

    /// Cuts `text` anywhere, mostly into few pieces, now and then into single bytes.
    pub(super) fn cut<'a>(&mut self, mut text: &'a [u8]) -> Vec<&'a [u8]> {
        let longest = self.pick(&[1, 2, 7, 50, 400, 5000]);
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at((1 + self.below(longest)).min(text.len()));
            pieces.push(piece);
            text = rest;
        }
        pieces
    }
}

impl Expected {
    pub(super) fn of(request: &Request) -> Self {
        let path = request.target.path();
        Self {
            method: format!("{:?}", request.method),
            version: request.version,
            path: path.to_owned(),
            query: request.target.query("q").map(String::from),
            host: request.host().map(str::to_owned),
            keep_alive: request.keep_alive,
            mark: request.header("X-Mark").map(str::to_owned),
            body: request.body.clone(),
        }
    }
}

/// A valid request's bytes appended to `out`, and what should come of them.
pub(super) fn valid_request(random: &mut Random, out: &mut Vec<u8>) -> Expected {
    let (method, name) = random.pick(&[
        ("Get", "GET"),
        ("Post", "POST"),
        ("Put", "PUT"),
        ("Delete", "DELETE"),
        ("Other", "PATCH"),
    ]);
    let version = random.pick(&[
        Version::Http10,
        Version::Http11,
        Version::Http11,
        Version::Http11,
    ]);
    let mut head = "\r\n".repeat(if random.one_in(4) { random.below(5) } else { 0 });
    let path = random.pick(&["/", "/queue/a%2Fb/pop", "/trans/0/", "/é"]);
    let query = random.one_in(2).then(|| random.below(1000).to_string());
    write!(head, "{name} {path}").unwrap();
    if let Some(query) = &query {
        write!(head, "?x&q={query}").unwrap();
    }
    head += if version == Version::Http11 {
        " HTTP/1.1\r\n"
    } else {
        " HTTP/1.0\r\n"
    };

    let mut lines = Vec::new();
    let host = (version == Version::Http11 || random.one_in(2))
        .then(|| random.pick(&["a", "b.example:3001", "[::1]:80"]).to_owned());
    if let Some(host) = &host {
        lines.push(("Host", host.clone()));
    }
    let mark = random.one_in(2).then(|| "m".repeat(random.below(200)));
    if let Some(mark) = &mark {
        lines.push(("x-mark", mark.clone()));
    }
    let connection = random.pick(&["", "close", "keep-alive", "x, Close", "upgrade"]);
    if !connection.is_empty() {
        lines.push(("CONNECTION", connection.to_owned()));
    }
    let keep_alive = match connection {
        "close" | "x, Close" => false,
        "keep-alive" => true,
        _ => version == Version::Http11,
    };
    if random.one_in(3) {
        lines.push(("Expect", "100-continue".to_owned()));
    }
    for _ in 0..random.below(5) {
        lines.push(("Filler", "f".repeat(random.below(40))));
    }
    let body_bytes = if random.one_in(2) {
        0
    } else {
        random.below(3000)
    };
    let mut body = random.bytes(body_bytes);
    let mut body_text = body.clone();
    match random.below(3) {
        0 if version == Version::Http11 => {
            lines.push(("Transfer-Encoding", "chunked".to_owned()));
            body_text = chunk(random, &body);
        }
        1 => {
            body.clear();
            body_text.clear();
        }
        _ => lines.push(("content-length", body.len().to_string())),
    }
    while !lines.is_empty() {
        let (name, value) = lines.swap_remove(random.below(lines.len()));
        let (before, after) = (
            random.pick(&["", " ", " \t "]),
            random.pick(&["", " ", "\t"]),
        );
        write!(head, "{name}:{before}{value}{after}\r\n").unwrap();
    }
    head += "\r\n";
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&body_text);
    Expected {
        method: method.to_owned(),
        version,
        path: path.to_owned(),
        query,
        host,
        keep_alive,
        mark,
        body: Bytes::from(body),
    }
}

fn chunk(random: &mut Random, mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let longest = random.pick(&[1, 10, 3000]);
    let mut extensions = 0;
    while !body.is_empty() {
        let (piece, rest) = body.split_at((1 + random.below(longest)).min(body.len()));
        let extension = if extensions < 20 && random.one_in(3) {
            ";a=\"b;c\"; d"
        } else {
            ""
        };
        extensions += extension.len().min(1);
        let size = if random.one_in(2) {
            format!("{:x}", piece.len())
        } else {
            format!("{:04X}", piece.len())
        };
        out.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        body = rest;
    }
    out.extend_from_slice(b"0\r\n");
    for _ in 0..random.below(3) {
        out.extend_from_slice(b"X-Mark: trailer\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}
