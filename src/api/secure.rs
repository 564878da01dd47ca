//! `/queue`: making a secured queue.

use super::{Action, Answer, Asked, answer::Kind, bad_requests, json::Object};
use crate::{
    config::Credentials,
    http::{Response, Status},
    mailbox::QueueName,
};

/// Bytes of a user's name or a password: more than anyone types, and little enough to be hashed often.
const SECRET_BYTES_MAX: usize = 1024;

/// A secured queue to be made.
#[derive(Debug)]
pub struct NewQueue {
    /// Which.
    pub queue: QueueName,
    /// Whose.
    pub user: Box<str>,
    /// By which the user is known.
    pub password: Password,
    /// Renders what comes of it.
    pub answer: Answer,
}

/// A password on its way to be hashed.
pub struct Password(pub Box<str>);

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// `POST /queue`
pub(super) fn make(asked: &Asked<'_>) -> Result<Action, Response> {
    let id_max = asked.settings.limits.max_id.bytes();
    let queue = text(asked, "queue", |id| id.len() <= id_max);
    let user = text(asked, "user", |user| {
        user.len() <= SECRET_BYTES_MAX && Credentials::is_user(user)
    });
    let password = text(asked, "password", |password| {
        password.len() <= SECRET_BYTES_MAX
    });
    match (queue, user, password) {
        (Ok(id), Ok(user), Ok(password)) => {
            let queue = asked.route.queue(asked.settings.realm, &id);
            Ok(Action::Make(Box::new(NewQueue {
                answer: Answer(Kind::Secured(queue.clone())),
                queue,
                user,
                password: Password(password),
            })))
        }
        (queue, user, password) => Err(bad_requests(
            [queue.err(), user.err(), password.err()]
                .into_iter()
                .flatten(),
        )),
    }
}

/// A field that must be a string, and not an empty one.
fn text(
    asked: &Asked<'_>,
    name: &str,
    is_allowed: impl FnOnce(&str) -> bool,
) -> Result<Box<str>, String> {
    let field = asked.parameters.fields().find(name);
    let field = field.filter(|field| !field.is_nothing());
    let text = field
        .ok_or_else(|| format!("missing {name}"))?
        .string()
        .filter(|text| is_allowed(text));
    text.map(Into::into)
        .ok_or_else(|| format!("invalid {name}"))
}

/// What came of it: whether the queue was made. The text is that of the old server, which names its key.
pub(super) fn made(queue: &QueueName, is_made: bool) -> Response {
    let mut body = Vec::new();
    if is_made {
        Object::begin_ok(&mut body).end();
        return Response::json(Status::OK, body);
    }
    let tenant = match &queue.tenant().0 {
        Some(tenant) => format!("{tenant}:"),
        None => String::new(),
    };
    let error = format!("Error: {tenant}SEC:{} exists", queue.id());
    Response::errors(Status::FORBIDDEN, [error])
}
