//! From a store's reply to the response.

use super::{
    ack::AckAnswer,
    bad_request,
    dead_letters::{self, DeadLettersAnswer},
    groups,
    pop::handed_out,
    queues::QueueAnswer,
    refused, secure,
    states::{self, StateFilter},
    transactions::TransactionAnswer,
};
use std::sync::Arc;

use crate::{
    config::User,
    http::{Response, Status},
    mailbox::{LeaseKind, QueueName, Reply},
    offload::{Inquiry, Memories},
};

/// How the reply to an operation is to be rendered. Small, since it lives as long as the operation is under way.
#[derive(Debug)]
pub struct Answer(pub(super) Kind);

/// Which operation it was, with what the reply does not say.
#[derive(Debug)]
pub(super) enum Kind {
    Pushed,
    /// With the id as the client spelled it.
    Updated(Box<str>),
    Deleted,
    Transaction(Box<TransactionAnswer>),
    States(StateFilter),
    Messages(LeaseKind),
    Acked(Box<AckAnswer>),
    DeadLetters(Box<DeadLettersAnswer>),
    /// With the word for what was done.
    Moved(&'static str),
    Queue(Box<QueueAnswer>),
    Secured(QueueName),
    GroupStored,
    Group(Box<str>),
    GroupChanged(Box<str>),
    GroupRemoved(Box<str>),
}

impl Answer {
    /// The same with no more than what this user may have.
    pub(super) fn for_user(mut self, user: &Arc<User>) -> Self {
        if let Kind::Transaction(answer) = &mut self.0 {
            answer.restrict(user);
        }
        self
    }

    /// Whether a part of it is history's.
    pub fn wants_history(&self) -> bool {
        matches!(&self.0, Kind::Transaction(answer) if answer.wants_history())
    }

    /// What to ask history, once the store has replied.
    pub fn inquiry(&self, reply: &Reply) -> Option<Inquiry> {
        match (&self.0, reply) {
            (Kind::Transaction(answer), Reply::Transaction(Some(_))) => answer.inquiry(),
            _ => None,
        }
    }

    /// Renders the reply, with what history has to say.
    pub fn render_with(mut self, reply: Reply, memories: Memories) -> Response {
        if let Kind::Transaction(answer) = &mut self.0 {
            answer.remember(memories);
        }
        self.render(reply)
    }

    /// Renders the reply.
    pub fn render(self, reply: Reply) -> Response {
        match (self.0, reply) {
            (_, Reply::Refused(refusal)) => refused(&refusal),
            (Kind::Pushed, Reply::Pushed(id)) => ok_data(id.write_to(&mut [0; 36])),
            (Kind::Updated(_), Reply::Found(true)) | (Kind::Deleted, Reply::Done) => ok(),
            (Kind::Updated(name) | Kind::GroupChanged(name), Reply::Found(false)) => {
                does_not_exist(&name)
            }
            (Kind::Transaction(answer), Reply::Transaction(view)) => answer.render(view.as_ref()),
            (Kind::States(filter), Reply::States(found)) => states::response(filter, &found),
            (Kind::Messages(kind), Reply::Messages(handout)) => handed_out(kind, &handout),
            (Kind::Acked(answer), Reply::Acked(found)) => answer.render(&found),
            (Kind::DeadLetters(answer), Reply::DeadLetters(dead)) => answer.render(&dead),
            (Kind::Moved(done), Reply::Moved { moved, left }) => {
                dead_letters::moved(done, moved, left)
            }
            (Kind::Queue(answer), Reply::Queue(info)) => answer.render(&info),
            (Kind::Secured(queue), Reply::Secured(is_made)) => secure::made(&queue, is_made),
            (Kind::GroupStored, Reply::Done) => groups::done("group stored"),
            (Kind::Group(name), Reply::Group(members)) => groups::members(&name, &members),
            (Kind::GroupChanged(_), Reply::Found(true)) => groups::done("group modified"),
            (Kind::GroupRemoved(name), Reply::Done) => {
                groups::done(&format!("Group {name} removed"))
            }
            // A fault of ours, and no reason to stop serving everybody else.
            _ => Response::errors(Status::INTERNAL, ["unexpected reply of the store"]),
        }
    }
}

/// `{"ok":true}`
pub(super) fn ok() -> Response {
    Response::json(Status::OK, &b"{\"ok\":true}"[..])
}

/// `{"ok":true,"data":"…"}`, with data that needs no escape.
pub(super) fn ok_data(data: &str) -> Response {
    let body = [b"{\"ok\":true,\"data\":\"", data.as_bytes(), b"\"}"].concat();
    Response::json(Status::OK, body)
}

/// `<name> does not exist`
pub(super) fn does_not_exist(name: &str) -> Response {
    bad_request(format_args!("{name} does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_can_be_under_way() {
        assert!(size_of::<Answer>() <= 24);
    }
}
