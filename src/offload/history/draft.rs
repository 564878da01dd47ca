//! A document before it is known where it goes: an event becomes one, or one for each of its messages.

use std::borrow::Cow;
use std::iter;

use mongodb::bson::DateTime;
use mongodb::bson::raw::{CStr, RawDocumentBuf, cstr};
use reqwest::Url;

use crate::config::{Field, Sink, SinkEvent};
use crate::mailbox::{CALLBACK_BYTES_MAX, QueueName, Realm, Tenant, TransactionId, UnixMillis};
use crate::offload::{Action, Event, NewStates};

/// A document before it is known where it goes.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    id: String,
    event: SinkEvent,
    at: UnixMillis,
    /// Those that it has.
    fields: Vec<(Field, Value<'a>)>,
}

/// What a field holds.
#[derive(Debug)]
enum Value<'a> {
    Text(Cow<'a, str>),
    Transaction(TransactionId),
    Number(u64),
}

/// What a secured queue has for its realm; a plain one has none.
pub(super) const SECURED: &str = "secured";

/// What every document has, whatever is taken: without whose it is, one tenant would be shown another's.
const ALWAYS: [Field; 2] = [Field::Tenant, Field::Realm];

/// The documents of the event that stands at `position` of a log, in order. Their ids are the same whenever it is read.
pub(super) fn drafts<'a>(
    event: &'a Event,
    agent: &'a str,
    log: u64,
    position: u64,
) -> Box<dyn Iterator<Item = Draft<'a>> + Send + 'a> {
    match event {
        Event::States(states) => {
            let messages = states.messages.each().enumerate();
            Box::new(
                messages.map(move |(index, (transaction, queue, callback))| {
                    let id = id(log, position, index);
                    Draft::of_message(id, agent, states, transaction, queue, callback)
                }),
            )
        }
        Event::Action(action) => {
            let id = id(log, position, 0);
            Box::new(iter::once(Draft::of_action(id, agent, action)))
        }
    }
}

/// Of fixed width, so that ids sort as the log does.
fn id(log: u64, position: u64, index: usize) -> String {
    format!("{log:016x}-{position:016x}-{index:08x}")
}

impl<'a> Draft<'a> {
    fn of_message(
        id: String,
        agent: &'a str,
        states: &NewStates,
        transaction: TransactionId,
        queue: &'a QueueName,
        callback: Option<&'a str>,
    ) -> Self {
        let mut draft = Self::new(id, SinkEvent::NewState, states.at, agent);
        draft.set(Field::Transaction, Some(Value::Transaction(transaction)));
        draft.set_text(Field::Queue, Some(queue.id()));
        draft.set_owner(queue.tenant(), queue.realm());
        draft.set_text(Field::State, Some(states.state.word()));
        let callback = callback.and_then(without_login);
        draft.set(Field::Callback, callback.map(Value::Text));
        draft
    }

    fn of_action(id: String, agent: &'a str, action: &'a Action) -> Self {
        let mut draft = Self::new(id, SinkEvent::Action, action.at, agent);
        draft.set_text(Field::Action, Some(&action.action));
        draft.set_owner(&action.tenant, action.realm);
        draft.set_text(Field::Queue, action.queue.as_deref());
        draft.set_text(Field::Transaction, action.transaction.as_deref());
        draft.set(Field::MaxMsg, action.max_msg.map(Value::Number));
        draft.set(Field::TotalMsg, action.total_msg.map(Value::Number));
        draft.set_text(Field::Postdata, action.postdata.as_deref());
        draft.set_text(Field::Error, action.error.as_deref());
        draft
    }

    fn new(id: String, event: SinkEvent, at: UnixMillis, agent: &'a str) -> Self {
        let mut draft = Self {
            id,
            event,
            at,
            fields: Vec::with_capacity(Field::ALL.len()),
        };
        draft.set_text(Field::Agent, Some(agent));
        draft
    }

    fn set_owner(&mut self, tenant: &'a Tenant, realm: Realm) {
        self.set_text(Field::Tenant, tenant.0.as_deref());
        let realm = (realm == Realm::Secured).then_some(SECURED);
        self.set_text(Field::Realm, realm);
    }

    fn set_text(&mut self, field: Field, text: Option<&'a str>) {
        self.set(field, text.map(|text| Value::Text(text.into())));
    }

    fn set(&mut self, field: Field, value: Option<Value<'a>>) {
        self.fields.extend(value.map(|value| (field, value)));
    }

    /// When it happened.
    pub(super) fn at(&self) -> UnixMillis {
        self.at
    }

    /// Whether it goes into a collection.
    pub(super) fn is_for(&self, sink: &Sink) -> bool {
        let is_event = sink.event == SinkEvent::Any || sink.event == self.event;
        is_event
            && sink.filter.iter().all(|(field, wanted)| {
                let value = self.fields.iter().find(|(it, _)| it == field);
                wanted.iter().any(|wanted| match value {
                    Some((_, value)) => value.is(wanted),
                    None => wanted.is_empty(),
                })
            })
    }

    /// As it goes there.
    pub(super) fn document(&self, sink: &Sink) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), self.id.as_str());
        let event = match self.event {
            SinkEvent::NewState => "NEWSTATE",
            SinkEvent::Action | SinkEvent::Any => "ACTION",
        };
        document.append(cstr!("event"), event);
        for (field, value) in &self.fields {
            let is_taken = sink.take.is_empty() || sink.take.contains(field);
            if is_taken || ALWAYS.contains(field) {
                value.append_to(&mut document, key(*field));
            }
        }
        document.append(cstr!("timestamp"), date(self.at));
        document
    }
}

impl Value<'_> {
    fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => *text == wanted,
            Self::Transaction(id) => id.write_to(&mut [0; 36]) == wanted,
            Self::Number(number) => number.to_string() == wanted,
        }
    }

    fn append_to(&self, document: &mut RawDocumentBuf, key: &CStr) {
        match self {
            Self::Text(text) => document.append(key, &**text),
            Self::Transaction(id) => document.append(key, id.write_to(&mut [0; 36])),
            Self::Number(number) => {
                document.append(key, i64::try_from(*number).unwrap_or(i64::MAX));
            }
        }
    }
}

/// A callback's URL without the name and password that it may have: not all who read history are to know them. None
/// where it cannot be said what in it they are.
fn without_login(callback: &str) -> Option<Cow<'_, str>> {
    if callback.len() > CALLBACK_BYTES_MAX {
        return None;
    }
    if !callback.contains('@') {
        return Some(callback.into());
    }
    let mut url = Url::parse(callback).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return Some(callback.into());
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(String::from(url).into())
}

/// As MongoDB has it.
pub(super) fn date(at: UnixMillis) -> DateTime {
    DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// The name of a field, as the driver wants it.
fn key(field: Field) -> &'static CStr {
    match field {
        Field::Agent => cstr!("agent"),
        Field::Transaction => cstr!("transaction"),
        Field::Queue => cstr!("queue"),
        Field::Tenant => cstr!("tenant"),
        Field::Realm => cstr!("realm"),
        Field::State => cstr!("state"),
        Field::Callback => cstr!("callback"),
        Field::Action => cstr!("action"),
        Field::MaxMsg => cstr!("max_msg"),
        Field::TotalMsg => cstr!("total_msg"),
        Field::Postdata => cstr!("postdata"),
        Field::Error => cstr!("error"),
    }
}
