//! `/trans/<id>/state`, and the states within a transaction.

use super::{
    Action, Answer, Asked,
    answer::Kind,
    bad_request,
    json::{Object, write_word},
    links::Links,
};
use crate::{
    http::{Response, Status},
    mailbox::{Op, QueueName, State, TransactionId},
};

/// Which states of a transaction are shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateFilter {
    /// Every queue with its state.
    All,
    /// The queues with this state.
    Only(State),
    /// How many queues have which state.
    Summary,
}

impl StateFilter {
    /// Reads the word clients use.
    pub(super) fn parse(word: &str) -> Result<Self, Response> {
        match word {
            "All" => Ok(Self::All),
            "summary" => Ok(Self::Summary),
            _ => State::from_word(word)
                .map(Self::Only)
                .ok_or_else(|| bad_request(format_args!("Wrong State:{word}"))),
        }
    }

    /// Reads the word as a part of a path, where fixed words may come in any case.
    fn parse_in_path(word: &str) -> Result<Self, Response> {
        let words = State::ALL
            .map(State::word)
            .into_iter()
            .chain(["All", "summary"]);
        let known = words
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(word));
        Self::parse(known.unwrap_or(word))
    }

    fn shows(self, state: State) -> bool {
        self == Self::All || self == Self::Only(state)
    }
}

/// `GET /trans/<id>/state/<filter>`
pub(super) fn show(asked: &Asked<'_>, id: &str, filter: Option<&str>) -> Result<Action, Response> {
    let filter = match (filter, asked.parameters.text("state")) {
        (Some(word), _) => StateFilter::parse_in_path(word)?,
        (None, Some(word)) => StateFilter::parse(&word)?,
        (None, None) => StateFilter::All,
    };
    Ok(match TransactionId::parse(id) {
        Some(id) => Action::Ask(Op::States(id), Answer(Kind::States(filter))),
        None => Action::Respond(response(filter, &[])),
    })
}

/// `{"ok":true,"data":{"q":"Pending"}}`
pub(super) fn response(filter: StateFilter, states: &[(QueueName, State)]) -> Response {
    let mut body = Vec::new();
    let mut object = Object::begin_ok(&mut body);
    write(filter, states, object.field("data"), |_, state, out| {
        write_word(state.word(), out);
    });
    object.end();
    Response::json(Status::OK, body)
}

/// `{"q":{"state":"Pending","href":"…"}}`
pub(super) fn write_linked(
    filter: StateFilter,
    states: &[(QueueName, State)],
    links: &Links,
    out: &mut Vec<u8>,
) {
    write(filter, states, out, |queue, state, out| {
        Object::begin(out)
            .word("state", state.word())
            .string("href", &links.queue(queue))
            .end();
    });
}

fn write(
    filter: StateFilter,
    states: &[(QueueName, State)],
    out: &mut Vec<u8>,
    write_state: impl Fn(&QueueName, State, &mut Vec<u8>),
) {
    let mut object = Object::begin(out);
    if filter == StateFilter::Summary {
        object.number("totalNotifications", states.len());
        for state in State::ALL {
            let count = states.iter().filter(|entry| entry.1 == state).count();
            if count > 0 {
                object.number(state.word(), count);
            }
        }
    }
    for (queue, state) in states.iter().filter(|entry| filter.shows(entry.1)) {
        write_state(queue, *state, object.field(queue.id()));
    }
    object.end();
}
