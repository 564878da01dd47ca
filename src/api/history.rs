//! `/trans/<id>/history` and `/queue/<id>/history`: what happened, as it was written down.

use std::time::Duration;

use super::{Action, Asked, bad_request, json::Object, refusal::unavailable};
use crate::{
    http::{Response, Status},
    mailbox::{TransactionId, UnixMillis},
    offload::{EVENTS_DEFAULT, EVENTS_MAX, Inquiry, Memories, Past, Since, Span, Timestamp},
};

/// `GET /trans/<id>/history`
pub(super) fn of_transaction(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    check(asked)?;
    Ok(match TransactionId::parse(id) {
        Some(id) => Action::Recall(Inquiry::OfTransaction {
            id,
            span: span(asked)?,
            reader: None,
            wait_max: Duration::MAX,
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
            if let Some(next) = &past.next {
                object.string("next", &since_text(next));
            }
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

/// Between the time of an event and its id, where an answer says how to go on.
const ID_MARK: char = '/';

/// Bytes of an id; ours take 42.
const ID_BYTES_MAX: usize = 128;

/// What [`parse_since`] reads.
fn since_text(since: &Since) -> String {
    let mut text = Timestamp(since.at).to_string();
    if let Some(id) = &since.after {
        text.push(ID_MARK);
        text.push_str(id);
    }
    text
}

/// Reads where an earlier answer ended, or a time as events show it, or in seconds since 1970.
fn parse_since(text: &str) -> Option<Since> {
    let (time, after) = match text.split_once(ID_MARK) {
        Some((_, id)) if id.is_empty() || id.len() > ID_BYTES_MAX => return None,
        Some((time, id)) => (time, Some(id.to_owned())),
        None => (text, None),
    };
    let at = Timestamp::parse(time).or_else(|| parse_seconds(time))?;
    Some(Since { at, after })
}

fn parse_seconds(text: &str) -> Option<UnixMillis> {
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
            let since = millis.map(|millis| Since {
                at: UnixMillis(millis),
                after: None,
            });
            assert_eq!(parse_since(text), since, "{text}");
        }
    }

    #[test]
    fn where_an_answer_ended_is_read_as_it_was_written() {
        for after in [None, Some("0-1".into()), Some("a/b é".into())] {
            let since = Since {
                at: UnixMillis(1_795_278_805_157),
                after,
            };
            assert_eq!(parse_since(&since_text(&since)), Some(since));
        }
        for text in ["2026-11-21T16:33:25.157Z/", "/0-1", "x/0-1", "/"] {
            assert_eq!(parse_since(text), None, "{text}");
        }
        let long = format!("0/{}", "x".repeat(ID_BYTES_MAX + 1));
        assert_eq!(parse_since(&long), None);
    }
}
