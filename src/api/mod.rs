//! Requests become operations, replies become responses; a file per resource. Pure: whoever drives it has the store,
//! the clock and the sockets.
//!
//! - [`handle`]: a request becomes an [`Action`], mostly one [`Op`] with the [`Answer`] that renders its reply.
//! - `route`: which resource a path names, and what may be done with it.
//! - `parameters`: what a request says besides its path, in its body and its query.
//! - `transactions`, `states`, `queues`, `pop`, `ack`, `subscribe`, `dead_letters`, `groups`, `info`: the resources.
//! - `history`: what is read back of what happened; `deed`: what a request is called there.
//! - `secure`: the making of secured queues.
//! - `access`: who may do what.
//! - `idempotency`: by what a repeat of a push is known.

mod access;
mod ack;
mod answer;
mod dead_letters;
mod deed;
mod groups;
mod history;
mod idempotency;
mod info;
mod json;
mod links;
mod negotiation;
mod number;
mod parameters;
mod pop;
mod queues;
mod refusal;
mod refusals;
mod route;
mod secure;
mod states;
mod subscribe;
#[cfg(test)]
mod tests;
mod transactions;

pub use access::{
    Gate, Guarded, Need, forbidden, no_such_queue, too_many_failures, unauthorized, wrong_login,
};
pub use answer::Answer;
pub use deed::Deed;
pub use history::recalled;
pub use pop::messages;
pub use refusal::{no_request, refused, too_many};
pub use refusals::Refusals;
pub use secure::{NewQueue, Password};
pub use subscribe::write_message;

use std::{sync::Arc, time::Duration};

use crate::{
    config::{CreateQueues, Limits, User},
    http::{Method, Request, Response, Status},
    mailbox::{Op, Pop, Realm, TransactionId},
    offload::{Inquiry, Tallies},
    store::{Health, Transitions},
};
use parameters::Parameters;
use route::{QueueDeed, Resource, Route};

/// What holds for all requests of a listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What clients may ask for.
    pub limits: Limits,
    /// Which queues they reach.
    pub realm: Realm,
    /// Who may do what.
    pub access: Access,
    /// How the store is.
    pub health: Arc<Health>,
    /// How many messages have become dead letters.
    pub transitions: Arc<Transitions>,
    /// What was refused.
    pub refusals: Arc<Refusals>,
    /// Whether there is a history.
    pub has_history: bool,
    /// What becomes of events; none where nothing is told.
    pub offload: Option<Arc<Tallies>>,
}

/// Whom the configuration lets do what.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// There are users with roles, and what has a role is theirs.
    pub has_users: bool,
    /// Who makes secured queues.
    pub create_queues: CreateQueues,
}

/// What to do about a request.
#[derive(Debug)]
pub enum Action {
    /// Answer, without asking the store.
    Respond(Response),
    /// Ask the store, and answer with its reply as the [`Answer`] renders it.
    Ask(Op, Answer),
    /// Take messages, waiting for them so long at most. Answer with the reply as [`messages`] renders it.
    Pop {
        /// What to take.
        pop: Pop,
        /// How long to wait.
        wait_max: Duration,
    },
    /// Take messages again and again, and send each as it comes: one chunk a message, as [`write_message`] writes it.
    Subscribe(Pop),
    /// Read back what happened. Answer with it as [`recalled`] renders it.
    Recall(Inquiry),
    /// Make a secured queue, once its password is hashed.
    Make(Box<NewQueue>),
    /// Something of the others, once it is known that the client may.
    Guarded(Box<Guarded>),
}

impl Action {
    /// The same with no more than what this user may have.
    #[must_use]
    pub fn for_user(self, user: &Arc<User>) -> Self {
        match self {
            Self::Recall(inquiry) => Self::Recall(inquiry.for_reader(user)),
            Self::Ask(op, answer) => Self::Ask(op, answer.for_user(user)),
            other => other,
        }
    }
}

/// Finds out what to do about a request. `new_id` makes the id of a new transaction.
pub fn handle(
    request: &Request,
    settings: &Settings,
    new_id: &mut dyn FnMut() -> TransactionId,
) -> Action {
    act(request, settings, new_id).unwrap_or_else(Action::Respond)
}

fn act(
    request: &Request,
    settings: &Settings,
    new_id: &mut dyn FnMut() -> TransactionId,
) -> Result<Action, Response> {
    let segments = request.target.segments().map_err(bad_request)?;
    let route = Route::find(&segments).ok_or_else(not_found)?;
    // The server leaves the body out where HEAD was asked.
    let method = match request.method {
        Method::Head => Method::Get,
        method => method,
    };
    if route.resource == Resource::Queues && settings.realm == Realm::Plain {
        return Err(not_found());
    }
    if !route.resource.methods().contains(&method) {
        return Err(method_not_allowed(route.resource));
    }
    if method != Method::Get && request.is_cross_site() {
        // With what a browser knows of its user, and from where only the user can be.
        return Err(Response::errors(
            Status::FORBIDDEN,
            ["not allowed to pages of another site"],
        ));
    }
    route.check_ids(&settings.limits)?;
    // Whoever may not do something is not told what is wrong with it, either.
    let action = perform(request, method, route, settings, new_id).unwrap_or_else(Action::Respond);
    Ok(access::guard(action, request, method, &route, settings))
}

fn perform(
    request: &Request,
    method: Method,
    route: Route<'_>,
    settings: &Settings,
    new_id: &mut dyn FnMut() -> TransactionId,
) -> Result<Action, Response> {
    let resource = route.resource;
    if resource == Resource::Transactions
        || (matches!(resource, Resource::Transaction(_)) && method == Method::Put)
    {
        transactions::check_content_type(request)?;
    }
    let asked = Asked {
        request,
        settings,
        parameters: Parameters::read(request)?,
        route,
    };
    match (resource, method) {
        (Resource::Home, _) => Ok(info::home(&asked)),
        (Resource::Transactions, _) => transactions::push(&asked, new_id()),
        (Resource::Transaction(id), Method::Put) => transactions::update(&asked, id),
        (Resource::Transaction(id), Method::Delete) => Ok(transactions::delete(id)),
        (Resource::Transaction(id), _) => transactions::show(&asked, id),
        (Resource::States { id, filter }, _) => states::show(&asked, id, filter),
        (Resource::TransactionHistory(id), _) => history::of_transaction(&asked, id),
        (Resource::Queues, _) => secure::make(&asked),
        (Resource::Queue(id), _) => Ok(queues::show(&asked, id)),
        (Resource::QueueDeed(id, deed), _) => match deed {
            QueueDeed::Pop(kind) => pop::pop(&asked, id, kind),
            QueueDeed::Subscribe(kind) => Ok(subscribe::subscribe(&asked, id, kind)),
            QueueDeed::Peek => Ok(pop::peek(&asked, id)),
            QueueDeed::Ack => ack::ack(&asked, id),
        },
        (Resource::QueueHistory(id), _) => history::of_queue(&asked, id),
        (Resource::DeadLetters(id), Method::Delete) => dead_letters::purge(&asked, id),
        (Resource::DeadLetters(id), _) => Ok(dead_letters::show(&asked, id)),
        (Resource::Redrive(id), _) => dead_letters::redrive(&asked, id),
        (Resource::Groups, _) => groups::store(&asked),
        (Resource::Group(name), Method::Put) => groups::change(&asked, name),
        (Resource::Group(name), Method::Delete) => Ok(groups::remove(&asked, name)),
        (Resource::Group(name), _) => Ok(groups::show(&asked, name)),
    }
}

/// A request on its way to its resource.
struct Asked<'a> {
    request: &'a Request,
    settings: &'a Settings,
    parameters: Parameters<'a>,
    route: Route<'a>,
}

fn not_found() -> Response {
    Response::errors(Status::NOT_FOUND, ["not found"])
}

fn method_not_allowed(resource: Resource<'_>) -> Response {
    Response::errors(Status::METHOD_NOT_ALLOWED, ["method not allowed"])
        .with_header("Allow", resource.allow())
}

fn bad_request(error: impl ToString) -> Response {
    bad_requests([error])
}

fn bad_requests(errors: impl IntoIterator<Item = impl ToString>) -> Response {
    let errors = errors.into_iter().map(|error| error.to_string());
    Response::errors(Status::BAD_REQUEST, errors)
}
