//! `/trans` and `/trans/<id>`.

use super::{
    Action, Answer, Asked, Settings,
    answer::{Kind, does_not_exist, ok, ok_data},
    bad_request, bad_requests, idempotency,
    json::Object,
    links::Links,
    negotiation::{page_response, wants_page},
    parameters::starts_with_ignoring_case,
    states::{self, StateFilter},
};
use crate::{
    http::{Request, Response, Status},
    mailbox::{
        Op, TransactionId, TransactionView, Update,
        validation::{self, Origin, Terms},
    },
    web::{Paths, transaction_page, unknown_transaction_page},
};

/// Transactions are the one thing that has to be called JSON: the old server's clients rely on the error.
pub(super) fn check_content_type(request: &Request) -> Result<(), Response> {
    let content_type = request.content_type().unwrap_or_default();
    if starts_with_ignoring_case(content_type, "application/json") {
        Ok(())
    } else {
        Err(bad_request("invalid content-type header"))
    }
}

/// `POST /trans`
pub(super) fn push(asked: &Asked<'_>, id: TransactionId) -> Result<Action, Response> {
    let origin = Origin {
        realm: asked.settings.realm,
        tenant: asked.route.tenant(),
    };
    let delay = asked.parameters.text("delay");
    let fields = asked.parameters.fields();
    let key = idempotency::key(asked.request);
    let push = validation::push(
        id,
        fields,
        delay.as_deref(),
        &origin,
        &terms(asked.settings),
    );
    match (push, key) {
        (Ok(mut push), Ok(key)) => {
            push.idempotency =
                key.map(|text| Box::new(idempotency::idempotency(asked, origin, text)));
            Ok(Action::Ask(Op::Push(Box::new(push)), Answer(Kind::Pushed)))
        }
        (push, key) => {
            let faults = push.err().into_iter().flatten();
            let faults = faults.map(|fault| fault.to_string());
            let key_fault = key.err().map(|fault| fault.to_string());
            Err(bad_requests(faults.chain(key_fault)))
        }
    }
}

/// `PUT /trans/<id>`
pub(super) fn update(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    let update = validation::update(asked.parameters.fields(), &terms(asked.settings))
        .map_err(bad_requests)?;
    if update == Update::default() {
        return Ok(Action::Respond(ok_data("empty data")));
    }
    let parsed = TransactionId::parse(id).ok_or_else(|| does_not_exist(id))?;
    Ok(Action::Ask(
        Op::Update(parsed, update),
        Answer(Kind::Updated(id.into())),
    ))
}

/// `DELETE /trans/<id>`
pub(super) fn delete(id: &str) -> Action {
    match TransactionId::parse(id) {
        Some(id) => Action::Ask(Op::Delete(id), Answer(Kind::Deleted)),
        None => Action::Respond(ok()),
    }
}

/// `GET /trans/<id>`
pub(super) fn show(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    let filter = asked
        .parameters
        .text("queues")
        .map(|word| StateFilter::parse(&word))
        .transpose()?;
    let answer = if wants_page(asked.request) {
        TransactionAnswer::Page {
            paths: Paths::new(asked.route.tenant()),
            id: id.into(),
        }
    } else {
        TransactionAnswer::Json {
            queues: filter.map(|filter| (filter, Links::new(asked))),
        }
    };
    Ok(match TransactionId::parse(id) {
        Some(id) => Action::Ask(
            Op::Transaction(id),
            Answer(Kind::Transaction(Box::new(answer))),
        ),
        None => Action::Respond(answer.render(None)),
    })
}

/// How a transaction is shown.
#[derive(Debug)]
pub(super) enum TransactionAnswer {
    Page {
        paths: Paths,
        id: Box<str>,
    },
    Json {
        queues: Option<(StateFilter, Links)>,
    },
}

impl TransactionAnswer {
    pub(super) fn render(&self, view: Option<&TransactionView>) -> Response {
        match (self, view) {
            (Self::Page { paths, id }, Some(view)) => {
                page_response(transaction_page(paths, id, view))
            }
            (Self::Page { paths, id }, None) => page_response(unknown_transaction_page(paths, id)),
            (Self::Json { .. }, None) => Response::json(Status::OK, &b"{}"[..]),
            (Self::Json { queues }, Some(view)) => {
                Response::json(Status::OK, json(view, queues.as_ref()))
            }
        }
    }
}

fn json(view: &TransactionView, queues: Option<&(StateFilter, Links)>) -> Vec<u8> {
    let record = &view.record;
    let mut body = Vec::with_capacity(record.payload.len() + 128);
    let mut object = Object::begin(&mut body);
    object
        .payload("payload", &record.payload)
        .word("priority", view.priority.letter());
    let callback = record
        .callback
        .as_deref()
        .filter(|callback| !callback.is_empty());
    if let Some(callback) = callback {
        object.string("callback", callback);
    }
    object.quoted_number("expirationDate", view.expires_at);
    for (name, value) in &record.fields {
        // What is shown in the same place cannot be shown twice.
        let is_taken = match &**name {
            "callback" => callback.is_some(),
            "queues" => queues.is_some(),
            _ => false,
        };
        if !is_taken {
            object.string(name, value);
        }
    }
    if let Some((filter, links)) = queues {
        states::write_linked(*filter, &view.states, links, object.field("queues"));
    }
    object.end();
    body
}

fn terms(settings: &Settings) -> Terms {
    let limits = &settings.limits;
    Terms {
        payload_max: limits.max_payload,
        queues_max: limits.max_queues,
        id_max: limits.max_id.bytes(),
        delay_max: limits.max_delay,
        default_expiration: limits.default_expiration,
    }
}
