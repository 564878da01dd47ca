//! `/queue/<id>/ack`.

use super::{
    Action, Answer, Asked,
    answer::Kind,
    bad_request,
    json::{Object, write_list},
};
use crate::{
    http::{Response, Status},
    mailbox::{
        AckItem, Op, TransactionId,
        validation::{Json, List},
    },
};

/// `POST /queue/<id>/ack`
pub(super) fn ack(asked: &Asked<'_>, id: &str) -> Result<Action, Response> {
    // No pop can have given more.
    let count_max = asked.settings.limits.max_pop;
    let list = asked.parameters.fields().find("transactions");
    let list = list
        .and_then(|value| List::read(value, count_max, |element| Some(item(element))))
        .ok_or_else(|| bad_request("missing transaction"))?;
    if list.is_too_long {
        return Err(bad_request(format_args!(
            "too many transactions: maximum {count_max}"
        )));
    }
    let items = list.elements;
    let answer = AckAnswer {
        queue: id.into(),
        texts: items.iter().map(|item| item.text.clone()).collect(),
    };
    if items.is_empty() {
        return Ok(Action::Respond(answer.render(&[])));
    }
    let op = Op::Ack {
        queue: asked.route.queue(asked.settings.realm, id),
        transactions: items,
    };
    Ok(Action::Ask(op, Answer(Kind::Acked(Box::new(answer)))))
}

fn item(element: Json<'_>) -> AckItem {
    AckItem {
        text: element.text().into(),
        id: element
            .string()
            .and_then(|text| TransactionId::parse(&text)),
    }
}

/// What was to be acked, as the client spelled it.
#[derive(Debug)]
pub(super) struct AckAnswer {
    queue: Box<str>,
    texts: Vec<Box<str>>,
}

impl AckAnswer {
    /// `[{"err":null,"data":"id"},{"err":"id/q does not exist","data":"id"}]`
    pub(super) fn render(&self, found: &[bool]) -> Response {
        let mut body = Vec::new();
        let found = found.iter().copied().chain(std::iter::repeat(false));
        write_list(
            self.texts.iter().zip(found),
            |(text, is_found), out| {
                let mut object = Object::begin(out);
                if is_found {
                    object.field("err").extend_from_slice(b"null");
                } else {
                    object.string("err", &format!("{text}/{} does not exist", self.queue));
                }
                object.string("data", text).end();
            },
            &mut body,
        );
        Response::json(Status::OK, body)
    }
}
