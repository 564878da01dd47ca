//! `/queue/<id>/dead` and `/queue/<id>/dead/redrive`.

use super::{
    Action, Answer, Asked,
    answer::Kind,
    bad_request,
    json::Object,
    links::Links,
    negotiation::{page_response, wants_page},
    parameters::Parameters,
    pop::count_max,
};
use crate::{
    http::{Response, Status},
    mailbox::{DeadLetter, DeadLetters, DeadSelection, Op, TransactionId, validation::List},
    web::{Paths, dead_letters_page},
};

/// `GET /queue/<id>/dead`
pub(super) fn show(asked: &Asked<'_>, id: &str) -> Action {
    let answer = if wants_page(asked.request) {
        DeadLettersAnswer::Page {
            paths: Paths::new(asked.route.tenant()),
            id: id.into(),
        }
    } else {
        DeadLettersAnswer::Json(Links::new(asked))
    };
    let op = Op::DeadLetters {
        queue: asked.route.queue(asked.settings.realm, id),
        count_max: count_max(asked),
    };
    Action::Ask(op, Answer(Kind::DeadLetters(Box::new(answer))))
}

/// `DELETE /queue/<id>/dead`
pub(super) fn purge(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    let selection = selection(asked, id)?;
    Ok(Action::Ask(
        Op::Purge(selection),
        Answer(Kind::Moved("purged")),
    ))
}

/// `POST /queue/<id>/dead/redrive`
pub(super) fn redrive(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    let selection = selection(asked, id)?;
    Ok(Action::Ask(
        Op::Redrive(selection),
        Answer(Kind::Moved("redriven")),
    ))
}

/// Which dead letters the request is about. A list that cannot be understood must not be taken for none at all, which
/// means the first that there are.
fn selection(asked: &Asked<'_>, id: &str) -> Result<DeadSelection, Response> {
    let list_max = asked.settings.limits.max_pop;
    let parameters = &asked.parameters;
    let (transactions, count_max) = match parameters.fields().find("transactions") {
        Some(list) => {
            let list = List::read(list, list_max, |element| {
                // What is no id is counted with the others: nobody needs so long a list.
                Some(
                    element
                        .string()
                        .and_then(|text| TransactionId::parse(&text)),
                )
            })
            .ok_or_else(invalid_transactions)?;
            if list.is_too_long {
                return Err(bad_request(format_args!(
                    "too many transactions: maximum {list_max}"
                )));
            }
            (
                Some(list.elements.into_iter().flatten().collect()),
                list_max,
            )
        }
        None => (None, first_of_all(parameters, list_max)?),
    };
    Ok(DeadSelection {
        queue: asked.route.queue(asked.settings.realm, id),
        transactions,
        count_max,
    })
}

/// How many are meant where there is no list. It is many where nothing is said, so whatever looks as if something was
/// to be said is refused.
fn first_of_all(parameters: &Parameters<'_>, count_max: usize) -> Result<usize, Response> {
    let others = parameters.fields().select(|name| name != "max");
    if !others.is_empty() || parameters.text("transactions").is_some() {
        return Err(invalid_transactions());
    }
    let Some(text) = parameters.text("max") else {
        return Ok(count_max);
    };
    match text.parse() {
        Ok(count @ 1..) => Ok(count_max.min(count)),
        _ => Err(bad_request("invalid max")),
    }
}

fn invalid_transactions() -> Response {
    bad_request("invalid transactions")
}

/// How the dead letters of a queue are shown.
#[derive(Debug)]
pub(super) enum DeadLettersAnswer {
    Page { paths: Paths, id: Box<str> },
    Json(Links),
}

impl DeadLettersAnswer {
    pub(super) fn render(&self, dead: &DeadLetters) -> Response {
        match self {
            Self::Page { paths, id } => page_response(dead_letters_page(paths, id, dead)),
            Self::Json(links) => Response::json(Status::OK, json(links, dead)),
        }
    }
}

/// `{"ok":true,"size":1,"dead":[{"id":"…","priority":"H","deliveries":3,"href":"…"}]}`
fn json(links: &Links, dead: &DeadLetters) -> Vec<u8> {
    let mut body = Vec::new();
    Object::begin_ok(&mut body)
        .number("size", dead.size)
        .list("dead", &dead.letters, |letter: &DeadLetter, out| {
            Object::begin(out)
                .id("id", letter.id)
                .word("priority", letter.priority.letter())
                .number("deliveries", letter.deliveries)
                .string("href", &links.transaction(letter.id))
                .end();
        })
        .end();
    body
}

/// `{"ok":true,"redriven":2,"left":0}`
pub(super) fn moved(done: &str, moved: usize, left: usize) -> Response {
    let mut body = Vec::new();
    Object::begin_ok(&mut body)
        .number(done, moved)
        .number("left", left)
        .end();
    Response::json(Status::OK, body)
}
