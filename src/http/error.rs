//! What can be wrong with the bytes of a request.

use super::status::Status;

/// Why a connection's bytes are not a request that can be served.
///
/// After any of these nobody can say where the next request would begin: answer with [`status`](Self::status) and
/// the error's text, then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The first line is not `METHOD target HTTP/x.y`; what comes when something else than HTTP is spoken.
    #[error("invalid request line")]
    RequestLine,
    /// HTTP, but neither 1.0 nor 1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// A target that is neither a path nor an `http` URI: `*`, `host:port`, a fragment.
    #[error("invalid request target")]
    Target,
    /// A line of the head or of the trailers that ends in LF alone.
    #[error("line not ended by CRLF")]
    BareLineFeed,
    /// A header line that is no header: bad name, space before the colon, folded, control characters.
    #[error("invalid header")]
    Header,
    /// HTTP/1.1 without `Host`.
    #[error("missing host header")]
    HostMissing,
    /// More than one `Host`.
    #[error("repeated host header")]
    HostRepeated,
    /// A `Host` with characters that no host and port has.
    #[error("invalid host header")]
    Host,
    /// A `Content-Length` that is not one plain number, or more than one.
    #[error("invalid content-length header")]
    ContentLength,
    /// `Content-Length` and `Transfer-Encoding` in one request.
    #[error("both content-length and transfer-encoding")]
    ContentLengthAndTransferEncoding,
    /// A `Transfer-Encoding` that leaves the body's end open, or one on HTTP/1.0.
    #[error("invalid transfer-encoding header")]
    TransferEncoding,
    /// A `Transfer-Encoding` that could be right, but is not `chunked` alone.
    #[error("unsupported transfer-encoding")]
    TransferEncodingUnsupported,
    /// An `Expect` other than `100-continue`.
    #[error("unsupported expectation")]
    Expectation,
    /// A chunk whose size line or end is not as it must be, or too long-winded extensions.
    #[error("invalid chunk")]
    Chunk,
    /// A body longer than the limit; known from the declared length where there is one.
    #[error("body too large: maximum {bytes_max} bytes")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A head, or the trailers, longer than the limit.
    #[error("head too large")]
    HeadTooLarge,
    /// More headers, or more trailers, than anybody needs.
    #[error("too many headers: maximum {headers_max}")]
    TooManyHeaders {
        /// The limit.
        headers_max: usize,
    },
}

impl RequestError {
    /// The status to answer with.
    pub const fn status(self) -> Status {
        match self {
            Self::RequestLine
            | Self::Target
            | Self::BareLineFeed
            | Self::Header
            | Self::HostMissing
            | Self::HostRepeated
            | Self::Host
            | Self::ContentLength
            | Self::ContentLengthAndTransferEncoding
            | Self::TransferEncoding
            | Self::Chunk => Status::BAD_REQUEST,
            Self::BodyTooLarge { .. } => Status::CONTENT_TOO_LARGE,
            Self::Expectation => Status::EXPECTATION_FAILED,
            Self::HeadTooLarge | Self::TooManyHeaders { .. } => Status::HEADER_FIELDS_TOO_LARGE,
            Self::TransferEncodingUnsupported => Status::NOT_IMPLEMENTED,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
        }
    }
}
