//! `/trans` and `/trans/<id>`.

use std::{sync::Arc, time::Duration};

use super::{
    Action, Answer, Asked, Settings, access,
    answer::{Kind, does_not_exist, ok, ok_data},
    bad_request, bad_requests, idempotency,
    json::Object,
    links::Links,
    negotiation::{page_response, wants_page},
    parameters::starts_with_ignoring_case,
    states::{self, StateFilter},
};
use crate::{
    config::User,
    http::{Request, Response, Status},
    mailbox::{
        Op, TransactionId, TransactionView, Update,
        validation::{self, Fields, Json, Origin, Terms},
    },
    offload::{Inquiry, Memories, Span, is_url},
    web::{EVENTS_SHOWN_MAX, Paths, transaction_page, unknown_transaction_page},
};

/// How long a page waits for what happened, while what it has of the transaction is held.
const TIMELINE_WAIT_MAX: Duration = Duration::from_secs(1);

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
    let callback_fault = check_callback(fields).err();
    match (push, callback_fault, key) {
        (Ok(mut push), None, Ok(key)) => {
            push.idempotency =
                key.map(|text| Box::new(idempotency::idempotency(asked, origin, text)));
            Ok(Action::Ask(Op::Push(Box::new(push)), Answer(Kind::Pushed)))
        }
        (push, callback_fault, key) => {
            let faults = push.err().into_iter().flatten();
            let faults = faults.map(|fault| fault.to_string());
            let callback_fault = callback_fault.map(ToString::to_string);
            let key_fault = key.err().map(|fault| fault.to_string());
            Err(bad_requests(faults.chain(callback_fault).chain(key_fault)))
        }
    }
}

/// `PUT /trans/<id>`
pub(super) fn update(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    let fields = asked.parameters.fields();
    let update = validation::update(fields, &terms(asked.settings));
    let callback_fault = check_callback(fields).err().map(ToString::to_string);
    let update = match (update, callback_fault) {
        (Ok(update), None) => update,
        (update, callback_fault) => {
            let faults = update.err().into_iter().flatten();
            let faults = faults.map(|fault| fault.to_string());
            return Err(bad_requests(faults.chain(callback_fault)));
        }
    };
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
            has_history: asked.settings.has_history,
            reader: None,
            memories: None,
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
        has_history: bool,
        /// Who may see nothing of other tenants than their own.
        reader: Option<Arc<User>>,
        /// What happened to it, as far as that is known.
        memories: Option<Memories>,
    },
    Json {
        queues: Option<(StateFilter, Links)>,
    },
}

impl TransactionAnswer {
    pub(super) fn wants_history(&self) -> bool {
        matches!(
            self,
            Self::Page {
                has_history: true,
                ..
            }
        )
    }

    /// Leaves out what is not for this user: history is for those who may read it by itself.
    pub(super) fn restrict(&mut self, user: &Arc<User>) {
        if let Self::Page {
            has_history,
            reader,
            ..
        } = self
        {
            *has_history &= access::may_read_history(user);
            *reader = Some(Arc::clone(user));
        }
    }

    /// What to ask history.
    pub(super) fn inquiry(&self) -> Option<Inquiry> {
        match self {
            Self::Page { id, reader, .. } => Some(Inquiry::OfTransaction {
                id: TransactionId::parse(id)?,
                span: Span {
                    since: None,
                    limit: EVENTS_SHOWN_MAX,
                },
                reader: reader.clone(),
                wait_max: TIMELINE_WAIT_MAX,
            }),
            Self::Json { .. } => None,
        }
    }

    /// Takes in what happened to it.
    pub(super) fn remember(&mut self, happened: Memories) {
        if let Self::Page { memories, .. } = self {
            *memories = Some(happened);
        }
    }

    pub(super) fn render(&self, view: Option<&TransactionView>) -> Response {
        match (self, view) {
            (
                Self::Page {
                    paths,
                    id,
                    memories,
                    ..
                },
                Some(view),
            ) => page_response(transaction_page(paths, id, view, memories.as_ref())),
            (Self::Page { paths, id, .. }, None) => {
                page_response(unknown_transaction_page(paths, id))
            }
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

/// A callback must be a URL. Whether it can be called is found out when it is.
fn check_callback(fields: &Fields<'_>) -> Result<(), &'static str> {
    let callback = fields.find("callback").and_then(Json::string);
    match callback.filter(|text| !text.is_empty()) {
        Some(text) if !is_url(&text) => Err("invalid callback"),
        _ => Ok(()),
    }
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
