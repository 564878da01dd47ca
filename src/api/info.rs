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
        object.end();
        Response::json(Status::OK, body)
    };
    Action::Respond(response)
}

fn look_at(path: String) -> Response {
    Response::text(Status::SEE_OTHER, "").with_header("Location", path)
}
