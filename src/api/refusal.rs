//! What a client is told when the store does not do what it was asked.

use super::bad_request;
use crate::{
    http::{RequestError, Response, Status},
    mailbox::Refusal,
};

/// Seconds after which to try again. Short: an outage ends at some moment, and nobody should miss it by much.
const RETRY_AFTER: &str = "1";

/// Renders a refusal, of whatever operation.
pub fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::TooManyQueues(_) => bad_request(refusal),
        Refusal::OtherPush => Response::errors(Status::UNPROCESSABLE, [refusal.to_string()]),
        Refusal::Full(limit) => unavailable(refusal).because_of(limit_in(limit)),
        Refusal::Unavailable(_) => unavailable(refusal),
    }
}

/// Something that an answer needs is out of reach for now.
pub(super) fn unavailable(reason: &impl ToString) -> Response {
    Response::errors(Status::UNAVAILABLE, [reason.to_string()])
        .with_header("Retry-After", RETRY_AFTER)
}

/// What is told where more was asked of a limit within a time than it allows.
pub fn too_many(limit: &'static str, what: &str, seconds: u64) -> Response {
    let error = format!("{what}: {limit} is reached");
    Response::errors(Status::TOO_MANY_REQUESTS, [error])
        .with_header("Retry-After", seconds.max(1).to_string())
        .because_of(limit)
}

/// What is told of bytes that are no request, or too large a one.
pub fn no_request(error: RequestError) -> Response {
    let response = Response::from(error);
    match response.status {
        Status::CONTENT_TOO_LARGE => response.because_of("limits.max_body"),
        Status::HEADER_FIELDS_TOO_LARGE => response.because_of("limits.max_head"),
        _ => response,
    }
}

/// The name of the limit that a store says is reached. Only Redis has one that is not of the configuration.
fn limit_in(text: &'static str) -> &'static str {
    text.strip_suffix(" is reached").unwrap_or("maxmemory")
}
