//! From requests to operations, and from replies to the bytes of answers.

use std::sync::Arc;

use bytes::Bytes;
use popbox::{
    api::{self, Access, Action, Answer, Settings},
    config::{CreateQueues, Limits},
    http::{Frame, Request, Response, Version},
    mailbox::{Handout, LeaseId, LeaseKind, Message, Realm, Refusal, Reply},
    store::Health,
};

use crate::message;

/// The default limits.
pub fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        realm: Realm::Plain,
        access: Access {
            has_users: false,
            create_queues: CreateQueues::Anyone,
        },
        health: Health::new(0),
        transitions: Arc::default(),
        refusals: Arc::default(),
        has_history: false,
        offload: None,
    }
}

/// What is to be done about a request. Making an id is not a part of it.
pub fn handle(settings: &Settings, request: &Request) -> Action {
    api::handle(request, settings, &mut || message::id(0))
}

/// Handles a request that is to be asked of the store; what renders the reply.
pub fn answer(settings: &Settings, request: &Request) -> Answer {
    match handle(settings, request) {
        Action::Ask(_, answer) => answer,
        other => panic!("not asked of the store: {other:?}"),
    }
}

/// Where answers are written: as a worker's, it has grown already.
pub fn out() -> Vec<u8> {
    Vec::with_capacity(1 << 20)
}

/// A pop's reply of so many messages.
pub fn handout(messages: u64) -> Reply {
    let messages = (0..messages).map(|number| Message {
        id: message::id(number),
        payload: Bytes::from(message::payload()),
        deliveries: 1,
    });
    Reply::Messages(Handout {
        lease: LeaseId(1),
        messages: messages.collect(),
    })
}

/// Writes the answer to a push.
pub fn write_pushed(answer: Answer, out: &mut Vec<u8>) {
    write(&answer.render(Reply::Pushed(message::id(0))), out);
}

/// Writes the answer to a pop.
pub fn write_messages(reply: Reply, out: &mut Vec<u8>) {
    write(&api::messages(LeaseKind::Delivery, reply), out);
}

/// Writes that the store is full.
pub fn write_refusal(out: &mut Vec<u8>) {
    let refusal = Refusal::Full("limits.max_transactions is reached");
    write(&api::refused(&refusal), out);
}

fn write(response: &Response, out: &mut Vec<u8>) {
    let frame = Frame {
        version: Version::Http11,
        keep_alive: true,
        head_only: false,
        date: "Sun, 06 Nov 1994 08:49:37 GMT",
    };
    out.clear();
    response.encode(&frame, out);
}
