//! `/queue/<id>/pop`, `/queue/<id>/poprel` and `/queue/<id>/peek`.

use std::time::Duration;

use super::{
    Action, Answer, Asked,
    answer::Kind,
    json::{Object, write_number, write_payload, write_word},
};
use crate::{
    http::{Response, Status},
    mailbox::{Handout, LeaseKind, Message, Op, Pop, Reply},
};

/// Bytes of an answer per message besides its payload: two pairs of quotes and commas, the id, and how often it was
/// delivered.
const BYTES_AROUND_PAYLOAD: usize = 44;

/// `POST /queue/<id>/pop` and `…/poprel`
pub(super) fn pop(asked: &Asked<'_>, id: &str, kind: LeaseKind) -> Result<Action, Response> {
    let limits = &asked.settings.limits;
    let wait_max = asked
        .parameters
        .wait("timeout", limits.pop_timeout, limits.max_pop_timeout)?;
    let pop = Pop {
        queue: asked.route.queue(asked.settings.realm, id),
        count_max: count_max(asked),
        bytes_max: limits.max_answer.bytes(),
        lease: lease(asked, kind),
        kind,
        wait: true,
    };
    Ok(Action::Pop { pop, wait_max })
}

/// `GET /queue/<id>/peek`
pub(super) fn peek(asked: &Asked<'_>, id: &str) -> Action {
    let op = Op::Peek {
        queue: asked.route.queue(asked.settings.realm, id),
        count_max: count_max(asked),
        bytes_max: asked.settings.limits.max_answer.bytes(),
    };
    // Looked at, they are shown as by a plain pop.
    Action::Ask(op, Answer(Kind::Messages(LeaseKind::Delivery)))
}

/// How long messages are lent: to be written, or to be acked.
pub(super) fn lease(asked: &Asked<'_>, kind: LeaseKind) -> Duration {
    let limits = &asked.settings.limits;
    match kind {
        LeaseKind::Delivery => limits.delivery_lease,
        LeaseKind::Reliable => {
            asked
                .parameters
                .lease("timeoutACK", limits.ack_timeout, limits.max_ack_timeout)
        }
    }
}

/// How many messages at most.
pub(super) fn count_max(asked: &Asked<'_>) -> usize {
    let limits = &asked.settings.limits;
    asked
        .parameters
        .count("max", limits.default_pop, limits.max_pop)
}

/// Renders the reply to a pop: the messages it got, or none if none came in time.
pub fn messages(kind: LeaseKind, reply: Reply) -> Response {
    Answer(Kind::Messages(kind)).render(reply)
}

/// The answer with messages.
pub(super) fn handed_out(kind: LeaseKind, handout: &Handout) -> Response {
    let mut body = Vec::new();
    write_messages(kind, &handout.messages, &mut body);
    Response::json(Status::OK, body)
}

/// `{"ok":true,"data":["p1",…],"transactions":["id1",…]}`, and of messages that are to be acked, which may come again,
/// `"deliveries":[1,…]`. Old clients know the others to the byte.
pub(super) fn write_messages(kind: LeaseKind, messages: &[Message], out: &mut Vec<u8>) {
    let bytes: usize = messages
        .iter()
        .map(|message| message.payload.len() + BYTES_AROUND_PAYLOAD)
        .sum();
    out.reserve(bytes + BYTES_AROUND_PAYLOAD);
    let mut object = Object::begin_ok(out);
    object
        .list("data", messages, |message, out| {
            write_payload(&message.payload, out);
        })
        .list("transactions", messages, |message, out| {
            write_word(message.id.write_to(&mut [0; 36]), out);
        });
    if kind == LeaseKind::Reliable {
        object.list("deliveries", messages, |message, out| {
            write_number(message.deliveries, out);
        });
    }
    object.end();
}
