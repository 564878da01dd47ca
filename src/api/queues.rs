//! `/queue/<id>`.

use super::{
    Action, Answer, Asked,
    answer::Kind,
    json::Object,
    links::Links,
    negotiation::{page_response, wants_page},
};
use crate::{
    http::{Response, Status},
    mailbox::{Op, QueueInfo, TransactionId},
    web::{Paths, queue_page},
};

/// `GET /queue/<id>`
pub(super) fn show(asked: &Asked<'_>, id: &str) -> Action {
    let answer = if wants_page(asked.request) {
        QueueAnswer::Page {
            paths: Paths::new(asked.route.tenant()),
            id: id.into(),
        }
    } else {
        QueueAnswer::Json(Links::new(asked))
    };
    let queue = asked.route.queue(asked.settings.realm, id);
    Action::Ask(
        Op::DescribeQueue(queue),
        Answer(Kind::Queue(Box::new(answer))),
    )
}

/// How a queue is shown.
#[derive(Debug)]
pub(super) enum QueueAnswer {
    Page { paths: Paths, id: Box<str> },
    Json(Links),
}

impl QueueAnswer {
    pub(super) fn render(&self, info: &QueueInfo) -> Response {
        match self {
            Self::Page { paths, id } => page_response(queue_page(paths, id, info)),
            Self::Json(links) => Response::json(Status::OK, json(links, info)),
        }
    }
}

fn json(links: &Links, info: &QueueInfo) -> Vec<u8> {
    let listed = |id: &TransactionId, out: &mut Vec<u8>| {
        Object::begin(out)
            .id("id", *id)
            .string("href", &links.transaction(*id))
            .end();
    };
    let mut body = Vec::new();
    let mut object = Object::begin_ok(&mut body);
    object.string("host", links.host());
    if let Some(second) = info.last_pop {
        object.quoted_number("lastPop", second);
    }
    object
        .boolean("blocked", info.blocked)
        .number("size", info.size);
    // Only where there are some: old clients know the rest to the byte.
    if info.dead > 0 {
        object.number("dead", info.dead);
    }
    object
        .list("high", &info.high, listed)
        .list("low", &info.low, listed)
        .end();
    body
}
