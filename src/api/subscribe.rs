//! `/queue/<id>/subscribe` and `/queue/<id>/subscriberel`.

use super::{
    Action, Asked,
    pop::{lease, write_messages},
};
use crate::mailbox::{LeaseKind, Message, Pop};

/// Messages taken from the queue at once. More would be lent to a client that may be too slow for them.
const ROUND_COUNT_MAX: usize = 64;

/// `POST /queue/<id>/subscribe` and `…/subscriberel`
pub(super) fn subscribe(asked: &Asked<'_>, id: &str, kind: LeaseKind) -> Action {
    Action::Subscribe(Pop {
        queue: asked.route.queue(asked.settings.realm, id),
        count_max: ROUND_COUNT_MAX,
        bytes_max: asked.settings.limits.max_answer.bytes(),
        lease: lease(asked, kind),
        kind,
        wait: true,
    })
}

/// Appends the content of one chunk: `{"ok":true,"data":["p"],"transactions":["id"]}`, as a pop of that kind has it.
pub fn write_message(kind: LeaseKind, message: &Message, out: &mut Vec<u8>) {
    write_messages(kind, std::slice::from_ref(message), out);
}
