//! `/trans/<id>/history` and `/queue/<id>/history`: what happened, as it was written down.

use super::{Action, Asked, bad_request, json::Object, refusal::unavailable};
use crate::{
    http::{Response, Status},
    mailbox::{TransactionId, UnixMillis},
    offload::{EVENTS_DEFAULT, EVENTS_MAX, Inquiry, Memories, Past, Span, Timestamp},
};

/// `GET /trans/<id>/history`
pub(super) fn of_transaction(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    check(asked)?;
    Ok(match TransactionId::parse(id) {
        Some(id) => Action::Recall(Inquiry::OfTransaction {
            id,
            span: span(asked)?,
            reader: None,
        }),
        None => Action::Respond(recalled(Ok(Past::default()))),
    })
}

/// `GET /queue/<id>/history`
pub(super) fn of_queue(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    check(asked)?;
    Ok(Action::Recall(Inquiry::OfQueue {
        queue: asked.route.queue(asked.settings.realm, id),
        span: span(asked)?,
    }))
}

/// Which part is asked for.
fn span(asked: &Asked<'_>) -> Result<Span, Response> {
    let since = asked.parameters.text("since");
    let since = since.filter(|text| !text.is_empty());
    let since = since.map(|text| parse_since(&text).ok_or_else(|| bad_request("invalid since")));
    Ok(Span {
        since: since.transpose()?,
        limit: asked.parameters.count("limit", EVENTS_DEFAULT, EVENTS_MAX),
    })
}

/// Answers with what was read back.
pub fn recalled(memories: Memories) -> Response {
    match memories {
        Ok(past) => {
            let mut body = Vec::new();
            let mut object = Object::begin_ok(&mut body);
            // Events are objects of texts and numbers: there is nothing in them that JSON lacks.
            let _ = serde_json::to_writer(object.field("data"), &past.events);
            object.boolean("more", past.has_more);
            object.end();
            Response::json(Status::OK, body)
        }
        Err(reason) => unavailable(&reason),
    }
}

fn check(asked: &Asked<'_>) -> Result<(), Response> {
    if asked.settings.has_history {
        Ok(())
    } else {
        Err(Response::errors(Status::NOT_FOUND, ["history is off"]))
    }
}

/// Reads a time as events show it, or in seconds since 1970.
fn parse_since(text: &str) -> Option<UnixMillis> {
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    // The beginning of a date is a number, too, and not the one that is meant.
    let millis = text.parse().ok().filter(|it: &f64| it.is_finite())? * 1000.0;
    // What is below zero, or too large, is the first or the last of all times.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(UnixMillis(millis as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_two_spellings() {
        for (text, millis) in [
            ("2026-11-21T16:33:25.157Z", Some(1_795_278_805_157)),
            ("1795278805.157", Some(1_795_278_805_157)),
            ("1795278805", Some(1_795_278_805_000)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("yesterday", None),
            ("2026-11-21", None),
            ("2026-13-01T00:00:00Z", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_since(text), millis.map(UnixMillis), "{text}");
        }
    }
}
