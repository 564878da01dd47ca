//! What a client is told when the store does not do what it was asked.

use super::bad_request;
use crate::{
    http::{Response, Status},
    mailbox::Refusal,
};

/// Seconds after which to try again. Short: an outage ends at some moment, and nobody should miss it by much.
const RETRY_AFTER: &str = "1";

/// Renders a refusal, of whatever operation.
pub fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::TooManyQueues(_) => bad_request(refusal),
        Refusal::OtherPush => Response::errors(Status::UNPROCESSABLE, [refusal.to_string()]),
        Refusal::Full(_) | Refusal::Unavailable(_) => {
            Response::errors(Status::UNAVAILABLE, [refusal.to_string()])
                .with_header("Retry-After", RETRY_AFTER)
        }
    }
}
