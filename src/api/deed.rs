//! What a request is called in history.

use super::{
    Action, Settings,
    route::{QueueDeed, Resource, Route},
};
use crate::{
    http::{Method, Request, Response},
    mailbox::{Op, Reply, UnixMillis},
    offload::{self, Event},
};

/// Bytes that are kept of what came with a request, and of what was wrong with it.
const TEXT_MAX: usize = 8 * 1024;

/// Something that somebody asked for, on its way into history. Headers are not in it, nor is a body that has a password
/// by contract.
#[derive(Debug)]
pub struct Deed(Box<offload::Action>);

impl Deed {
    /// What a request asks for, of which `action` is to be made; none where it is nothing that history has.
    pub fn of(
        request: &Request,
        action: &Action,
        settings: &Settings,
        with_postdata: bool,
    ) -> Option<Self> {
        let segments = request.target.segments().ok()?;
        let route = Route::find(&segments)?;
        let name = name(route.resource, request.method)?;
        let action = match action {
            Action::Guarded(guarded) => &guarded.action,
            action => action,
        };
        let max_msg = match action {
            Action::Pop { pop, .. } => Some(pop.count_max),
            Action::Ask(Op::Peek { count_max, .. }, _) => Some(*count_max),
            Action::Ask(Op::Ack { transactions, .. }, _) => Some(transactions.len()),
            _ => None,
        };
        let queue = match action {
            Action::Make(new) => Some(new.queue.id()),
            _ => route.resource.name(),
        };
        let transaction = match (route.resource, action) {
            (_, Action::Ask(Op::Push(push), _)) => Some(push.id.to_string()),
            (
                Resource::Transaction(id)
                | Resource::States { id, .. }
                | Resource::TransactionHistory(id),
                _,
            ) => Some(beginning(id)),
            _ => None,
        };
        // It has a password.
        let may_show = route.resource != Resource::Queues && !request.body.is_empty();
        Some(Self(Box::new(offload::Action {
            at: UnixMillis(0),
            action: name.into(),
            realm: settings.realm,
            tenant: route.tenant(),
            queue: queue.map(Into::into),
            transaction: transaction.map(Into::into),
            max_msg: max_msg.map(|count| count as u64),
            total_msg: None,
            postdata: (with_postdata && may_show).then(|| beginning_of(&request.body).into()),
            error: None,
        })))
    }

    /// The store's reply to it.
    pub fn note_reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Messages(handout) => self.0.total_msg = Some(handout.messages.len() as u64),
            Reply::Acked(acked) => {
                self.0.total_msg = Some(acked.iter().filter(|it| **it).count() as u64);
            }
            Reply::Moved { moved, .. } => self.0.total_msg = Some(*moved as u64),
            // That of the first push, where this one repeats it.
            Reply::Pushed(id) => self.0.transaction = Some(id.to_string().into()),
            _ => {}
        }
    }

    /// The answer to it: now it is an event.
    pub fn answered(mut self, at: UnixMillis, response: &Response) -> Event {
        self.0.at = at;
        if response.status.code() >= 400 {
            self.0.error = Some(beginning_of(&response.body).into());
        }
        Event::Action(self.0)
    }

    /// The client has left before its answer.
    pub fn unanswered(mut self, at: UnixMillis) -> Event {
        self.0.at = at;
        self.0.error = Some("the client has left".into());
        Event::Action(self.0)
    }

    /// It was a stream, which has ended.
    pub fn ended(mut self, at: UnixMillis) -> Event {
        self.0.at = at;
        Event::Action(self.0)
    }
}

fn name(resource: Resource<'_>, method: Method) -> Option<&'static str> {
    Some(match (resource, method) {
        (Resource::Transactions, Method::Post) => "USERPUSH",
        (Resource::Transaction(_), Method::Put) => "UPDATETRANSACTION",
        (Resource::Transaction(_), Method::Delete) => "DELETETRANSACTION",
        (Resource::Transaction(_), Method::Get | Method::Head) => "GETTRANSACTION",
        (Resource::States { .. }, Method::Get | Method::Head) => "GETTRANSACTIONSTATE",
        (Resource::Queues, Method::Post) => "CREATEQUEUE",
        (Resource::Queue(_), Method::Get | Method::Head) => "GETQUEUE",
        (Resource::QueueDeed(_, QueueDeed::Pop(_)), Method::Post) => "USERPOP",
        (Resource::QueueDeed(_, QueueDeed::Subscribe(_)), Method::Post) => "USERSUBSCRIBE",
        (Resource::QueueDeed(_, QueueDeed::Ack), Method::Post) => "USERACK",
        (Resource::QueueDeed(_, QueueDeed::Peek), Method::Get | Method::Head) => "USERPEEK",
        (Resource::DeadLetters(_), Method::Delete) => "PURGEDEADLETTERS",
        (Resource::DeadLetters(_), Method::Get | Method::Head) => "GETDEADLETTERS",
        (Resource::Redrive(_), Method::Post) => "REDRIVEDEADLETTERS",
        (Resource::Groups, Method::Post) => "CREATEGROUP",
        (Resource::Group(_), Method::Put) => "UPDATEGROUP",
        (Resource::Group(_), Method::Delete) => "DELETEGROUP",
        (Resource::Group(_), Method::Get | Method::Head) => "GETGROUP",
        // To look at history is none of it.
        _ => return None,
    })
}

/// As much of a body as is kept. The rest is not looked at, however much it is.
fn beginning_of(body: &[u8]) -> String {
    // With the rest of a character that is cut, so that it is not taken for another one.
    let kept = body.get(..TEXT_MAX + 3).unwrap_or(body);
    beginning(&String::from_utf8_lossy(kept))
}

/// As much of a text as is kept.
fn beginning(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_body_the_beginning_is_kept_in_whole_characters() {
        let long = "x".repeat(TEXT_MAX - 1) + "€€";
        assert_eq!(beginning_of(long.as_bytes()), "x".repeat(TEXT_MAX - 1));
        assert_eq!(beginning_of("€".as_bytes()), "€");
        assert_eq!(beginning_of(b"\xff"), "\u{fffd}");
        assert!(beginning_of(&vec![0xff; 10 * TEXT_MAX]).len() <= TEXT_MAX);
    }
}
