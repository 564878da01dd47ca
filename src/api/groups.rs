//! `/group` and `/group/<name>`.

use super::{
    Action, Answer, Asked, Settings,
    answer::Kind,
    bad_request, bad_requests,
    json::{Object, write_list},
};
use crate::{
    http::{Response, Status, write_json_string},
    mailbox::{
        GroupChange, Op, Refusal,
        validation::{Json, List},
    },
};

/// `POST /group`
pub(super) fn store(asked: &Asked<'_>) -> Result<Action, Response> {
    let fields = asked.parameters.fields();
    let name = match fields.find("name").filter(|name| !name.is_nothing()) {
        None => Err("missing name".to_owned()),
        Some(name) => id(name, asked.settings).ok_or_else(|| "invalid name".to_owned()),
    };
    let queues = match fields.given("queues") {
        None => Err("missing queues".to_owned()),
        Some(list) => members_of(list, "queues", asked.settings),
    };
    match (name, queues) {
        (Ok(name), Ok(queues)) => Ok(Action::Ask(
            Op::StoreGroup(asked.route.group(&name), queues),
            Answer(Kind::GroupStored),
        )),
        (name, queues) => Err(bad_requests(
            [name.err(), queues.err()].into_iter().flatten(),
        )),
    }
}

/// `GET /group/<name>`
pub(super) fn show(asked: &Asked<'_>, name: &str) -> Action {
    Action::Ask(
        Op::Group(asked.route.group(name)),
        Answer(Kind::Group(name.into())),
    )
}

/// `PUT /group/<name>`
pub(super) fn change(asked: &Asked<'_>, name: &str) -> Result<Action, Response> {
    let fields = asked.parameters.fields();
    let read = |field| {
        let list = fields.given(field);
        list.map(|list| members_of(list, field, asked.settings))
            .transpose()
    };
    match (read("queuesToAdd"), read("queuesToRemove")) {
        (Ok(None), Ok(None)) => Err(bad_request("missing queues to add/remove")),
        (Ok(add), Ok(remove)) => {
            let change = GroupChange {
                add: add.unwrap_or_default(),
                remove: remove.unwrap_or_default(),
            };
            Ok(Action::Ask(
                Op::ChangeGroup(asked.route.group(name), change),
                Answer(Kind::GroupChanged(name.into())),
            ))
        }
        (add, remove) => Err(bad_requests(
            [add.err(), remove.err()].into_iter().flatten(),
        )),
    }
}

/// `DELETE /group/<name>`
pub(super) fn remove(asked: &Asked<'_>, name: &str) -> Action {
    Action::Ask(
        Op::RemoveGroup(asked.route.group(name)),
        Answer(Kind::GroupRemoved(name.into())),
    )
}

/// `{"ok":"…"}`
pub(super) fn done(what: &str) -> Response {
    let mut body = Vec::new();
    Object::begin(&mut body).string("ok", what).end();
    Response::json(Status::OK, body)
}

/// `{"name":"…","queues":["…",…]}`
pub(super) fn members(name: &str, queues: &[Box<str>]) -> Response {
    let mut body = Vec::new();
    let mut object = Object::begin(&mut body);
    object.string("name", name);
    write_list(
        queues,
        |queue, out| write_json_string(queue, out),
        object.field("queues"),
    );
    object.end();
    Response::json(Status::OK, body)
}

/// The ids in a list, none of which may be anything but the id of a queue.
fn members_of(value: Json<'_>, field: &str, settings: &Settings) -> Result<Vec<Box<str>>, String> {
    let count_max = settings.limits.max_queues;
    match List::read(value, count_max, |element| id(element, settings)) {
        Some(list) if list.has_invalid => Err(format!("invalid {field}")),
        Some(list) if list.is_too_long => Err(Refusal::TooManyQueues(count_max).to_string()),
        Some(list) => Ok(list.elements),
        None => Err(format!("invalid {field}")),
    }
}

fn id(value: Json<'_>, settings: &Settings) -> Option<Box<str>> {
    let id = value.string()?;
    let is_id = !id.is_empty() && id.len() <= settings.limits.max_id.bytes();
    is_id.then(|| id.into())
}
