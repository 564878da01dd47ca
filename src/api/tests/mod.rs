//! The room from the outside: bytes of a request in, an action and the bytes of its answer out.

mod acks;
mod dead_letters;
mod groups;
mod idempotency;
mod info;
mod parameters;
mod pops;
mod queues;
mod random;
mod routing;
mod states;
mod transactions;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Access, Action, Settings, handle, messages};
use crate::store::{Health, Transitions};
use crate::{
    config::{self, Size},
    http::{Decoded, Decoder, Limits, Request, Response},
    mailbox::{
        Handout, LeaseId, LeaseKind, Message, Op, QueueName, Realm, Reply, Tenant, TransactionId,
        engine::Transition,
    },
};

/// A request by its line's first two words, such as `GET /`, with header lines and a body.
fn request(line: &str, headers: &str, body: impl AsRef<[u8]>) -> Request {
    let body = body.as_ref();
    let length = body.len();
    let mut bytes =
        format!("{line} HTTP/1.1\r\nHost: box:3001\r\n{headers}Content-Length: {length}\r\n\r\n")
            .into_bytes();
    bytes.extend_from_slice(body);
    decode(&bytes).unwrap_or_else(|| panic!("{line}"))
}

fn decode(bytes: &[u8]) -> Option<Request> {
    let limits = Limits {
        head_bytes_max: 1 << 20,
        body_bytes_max: 1 << 24,
    };
    match Decoder::new(limits).decode(&mut BytesMut::from(bytes)) {
        Ok(Decoded::Request(request)) => Some(request),
        _ => None,
    }
}

/// Limits small enough that a test can reach them.
fn limits() -> config::Limits {
    config::Limits {
        max_queues: 3,
        max_pop: 20,
        default_pop: 10,
        max_id: Size::from_bytes(40),
        max_payload: 50,
        ..config::Limits::default()
    }
}

fn id(number: u8) -> TransactionId {
    TransactionId::from_random([number; 16])
}

fn act_on(request: &Request) -> Action {
    let transitions = Arc::new(Transitions::default());
    let died = Transition::Died { deliveries: 3 };
    transitions.tell([(plain_queue("q"), id(1), died)]);
    let settings = Settings {
        limits: limits(),
        realm: Realm::Plain,
        access: open(),
        health: Health::new(0),
        transitions,
        refusals: Arc::default(),
        has_history: true,
        offload: None,
    };
    handle(request, &settings, &mut || id(1))
}

/// What is done about a request with a JSON body.
fn act(line: &str, body: &str) -> Action {
    act_on(&request(line, "Content-Type: application/json\r\n", body))
}

/// Status and body of an answer.
fn shown(response: &Response) -> (u16, String) {
    (
        response.status.code(),
        String::from_utf8(response.body.to_vec()).unwrap(),
    )
}

/// The answer given without asking the store.
fn response(action: Action) -> Response {
    match action {
        Action::Respond(response) => response,
        other => panic!("{other:?}"),
    }
}

/// Status and body of the answer given without asking the store.
fn answer(line: &str, body: &str) -> (u16, String) {
    shown(&response(act(line, body)))
}

/// Checks that a request is answered 400 with exactly these errors.
#[track_caller]
fn refused(line: &str, body: &str, errors: &[&str]) {
    let expected = format!("{{\"errors\":{}}}", serde_json::to_string(errors).unwrap());
    assert_eq!(answer(line, body), (400, expected), "{line} {body}");
}

/// What the store is asked, and the body of the answer to its reply.
#[track_caller]
fn ask(line: &str, body: &str, reply: Reply) -> (Op, String) {
    ask_with(
        &request(line, "Content-Type: application/json\r\n", body),
        reply,
    )
}

#[track_caller]
fn ask_with(request: &Request, reply: Reply) -> (Op, String) {
    match act_on(request) {
        Action::Ask(op, answer) => (op, shown(&answer.render(reply)).1),
        other => panic!("{other:?}"),
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let mut headers = response.headers.iter();
    headers
        .find(|header| header.0 == name)
        .map(|header| &*header.1)
}

fn plain_queue(id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant::default(), id)
}

fn org_queue(org: &str, id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant(Some(org.into())), id)
}

fn handout(payloads: &[&'static str]) -> Handout {
    let message = |(number, payload): (u8, &&'static str)| Message {
        id: id(number),
        payload: Bytes::from_static(payload.as_bytes()),
        deliveries: u32::from(number) + 2,
    };
    Handout {
        lease: LeaseId(1),
        messages: (1..).zip(payloads).map(message).collect(),
    }
}

#[test]
fn refusals_are_told_apart() {
    use crate::mailbox::Refusal;
    let render = |refusal| match act("GET /queue/q", "") {
        Action::Ask(_, answer) => answer.render(Reply::Refused(refusal)),
        other => panic!("{other:?}"),
    };
    let too_many = render(Refusal::TooManyQueues(3));
    assert_eq!(
        shown(&too_many),
        (
            400,
            r#"{"errors":["too many queues: maximum 3"]}"#.to_owned()
        )
    );
    assert_eq!(
        shown(&render(Refusal::OtherPush)),
        (
            422,
            r#"{"errors":["Idempotency-Key was used for another push"]}"#.to_owned()
        )
    );
    for refusal in [
        Refusal::Full("no room"),
        Refusal::Unavailable("gone".into()),
    ] {
        let response = render(refusal);
        assert_eq!(response.status.code(), 503);
        assert_eq!(header(&response, "Retry-After"), Some("1"));
    }
    for reply in [Reply::Done, Reply::Found(true)] {
        let expected = r#"{"errors":["unexpected reply of the store"]}"#.to_owned();
        assert_eq!(
            shown(&messages(LeaseKind::Delivery, reply)),
            (500, expected)
        );
    }
    assert_eq!(
        shown(&messages(
            LeaseKind::Delivery,
            Reply::Messages(handout(&[]))
        ))
        .1,
        r#"{"ok":true,"data":[],"transactions":[]}"#
    );
    assert_eq!(
        shown(&messages(
            LeaseKind::Reliable,
            Reply::Messages(handout(&[]))
        ))
        .1,
        r#"{"ok":true,"data":[],"transactions":[],"deliveries":[]}"#
    );
}

/// Everything is open to everybody.
fn open() -> Access {
    Access {
        has_users: false,
        create_queues: config::CreateQueues::Anyone,
    }
}
