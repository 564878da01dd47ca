//! Bodies: whatever is in one, an operation comes of it, or an answer that says what is wrong.
#![no_main]

use std::{fmt::Write as _, sync::Arc};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use popbox::{
    api::{self, Access, Action, Settings},
    config::{CreateQueues, Limits},
    http::{self, Decoded, Decoder, Response},
    mailbox::{Realm, Reply, TransactionId},
    store::Health,
};

/// Where bodies go.
const LINES: [&str; 8] = [
    "POST /trans?delay=1",
    "PUT /trans/f6fc84c9-f21f-4a1a-8d3b-7f1c2f3b1b1b",
    "POST /queue/q/pop?max=3",
    "POST /queue/q/ack",
    "POST /group",
    "PUT /group/g",
    "POST /queue",
    "POST /org/o/queue/q/dead/redrive",
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let line = LINES[usize::from(choice) % LINES.len()];
    let mut head = String::new();
    let length = body.len();
    let _ = write!(head, "{line} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n");
    let _ = write!(head, "Content-Length: {length}\r\n\r\n");
    let mut input = BytesMut::from(head.as_bytes());
    input.extend_from_slice(body);
    let mut decoder = Decoder::new(http::Limits {
        head_bytes_max: 1024,
        body_bytes_max: 1 << 20,
    });
    let Ok(Decoded::Request(request)) = decoder.decode(&mut input) else {
        return;
    };
    let settings = Settings {
        limits: Limits::default(),
        realm: Realm::Secured,
        access: Access {
            has_users: false,
            create_queues: CreateQueues::Anyone,
        },
        health: Health::new(0),
        transitions: Arc::default(),
        refusals: Arc::default(),
        has_history: true,
        offload: None,
    };
    let id = TransactionId::parse("f6fc84c9-f21f-4a1a-8d3b-7f1c2f3b1b1b").expect("an id");
    match api::handle(&request, &settings, &mut || id) {
        Action::Respond(response) => {
            assert!(response.status.code() < 500);
            check(&response);
        }
        Action::Ask(_, answer) => check(&answer.render(Reply::Done)),
        Action::Pop { pop, .. } => assert!(pop.count_max >= 1),
        Action::Subscribe(_) | Action::Make(_) | Action::Guarded(_) => {}
    }
});

fn check(response: &Response) {
    serde_json::from_slice::<serde_json::Value>(&response.body).expect("an answer is JSON");
}
