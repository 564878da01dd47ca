//! The status of an answer.

/// A status code that this server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// 200: done.
    pub const OK: Self = Self(200);
    /// 303: look elsewhere with GET (after a form was sent).
    pub const SEE_OTHER: Self = Self(303);
    /// 400: the request cannot be understood or asks for something that is not allowed.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: credentials are missing or wrong.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403: understood and refused.
    pub const FORBIDDEN: Self = Self(403);
    /// 404: there is no such path.
    pub const NOT_FOUND: Self = Self(404);
    /// 405: the path exists, for other methods; goes with `Allow`.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408: the head or the body came too slowly.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 413: the body is longer than the limit.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// 417: an `Expect` other than `100-continue`.
    pub const EXPECTATION_FAILED: Self = Self(417);
    /// 422: understood, and contradicts what was asked before.
    pub const UNPROCESSABLE: Self = Self(422);
    /// 429: this client has too much under way.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431: the head is longer than the limit or has too many headers.
    pub const HEADER_FIELDS_TOO_LARGE: Self = Self(431);
    /// 500: a fault of this server.
    pub const INTERNAL: Self = Self(500);
    /// 501: a transfer encoding that this server does not speak.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// 503: the store is out of reach or the server is full; goes with `Retry-After`.
    pub const UNAVAILABLE: Self = Self(503);
    /// 505: a version of HTTP other than 1.0 and 1.1.
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// The three digits.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The words that follow the code on the status line.
    pub const fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            303 => "See Other",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            417 => "Expectation Failed",
            422 => "Unprocessable Content",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            // The field is private and every constant is above.
            _ => "Unknown",
        }
    }
}
