//! `/`: what this server is.

use super::{
    Action, Asked,
    json::Object,
    negotiation::{page_response, wants_page},
    refused,
};
use crate::{
    http::{Response, Status},
    mailbox::Refusal,
    offload::Tallies,
    web::{Paths, home_page},
};

/// Answers `GET /`. The page's forms come back here with `?queue=` or `?transaction=` and are sent on, since a form
/// cannot make a path of what somebody types.
pub(super) fn home(asked: &Asked<'_>) -> Action {
    let paths = Paths::new(asked.route.tenant());
    let target = &asked.request.target;
    let trouble = asked.settings.health.trouble();
    let typed = |name| target.query(name).filter(|text| !text.trim().is_empty());
    let response = if let Some(id) = typed("queue") {
        look_at(paths.queue(&id))
    } else if let Some(id) = typed("transaction") {
        look_at(paths.transaction(id.trim()))
    } else if wants_page(asked.request) {
        page_response(home_page(&paths, trouble.as_deref()))
    } else if let Some(trouble) = trouble {
        refused(&Refusal::Unavailable(trouble))
    } else {
        let mut body = Vec::new();
        let mut object = Object::begin_ok(&mut body);
        object
            .string("name", env!("CARGO_PKG_NAME"))
            .string("version", env!("CARGO_PKG_VERSION"))
            .number("deadLetters", asked.settings.transitions.deaths());
        let refused = asked.settings.refusals.counts();
        if !refused.is_empty() {
            let mut counts = Object::begin(object.field("refused"));
            for (limit, count) in refused {
                counts.number(limit, count);
            }
            counts.end();
        }
        if let Some(tallies) = &asked.settings.offload {
            tell_of(tallies, object.field("offload"));
        }
        object.end();
        Response::json(Status::OK, body)
    };
    Action::Respond(response)
}

/// What becomes of events.
fn tell_of(tallies: &Tallies, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object
        .number("spooled", tallies.intake.spooled())
        .number("dropped", tallies.intake.dropped())
        .number("spoolBytes", tallies.intake.spool_bytes());
    if let Some(history) = &tallies.history {
        let tally = history.tally();
        Object::begin(object.field("history"))
            .number("sent", tally.sent())
            .number("failed", tally.failed())
            .number("retried", tally.retried())
            .number("behind", tally.behind())
            .number("oldest", tally.oldest().map_or(0, |at| at.0))
            .end();
    }
    if let Some(tally) = &tallies.callbacks {
        Object::begin(object.field("callbacks"))
            .number("sent", tally.sent())
            .number("failed", tally.failed())
            .number("retried", tally.retried())
            .number("waiting", tally.waiting())
            .number("oldest", tally.oldest())
            .end();
    }
    object.end();
}

fn look_at(path: String) -> Response {
    Response::text(Status::SEE_OTHER, "").with_header("Location", path)
}
