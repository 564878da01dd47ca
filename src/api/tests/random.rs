//! Whatever comes, nothing panics and every answer can be read.

use super::*;
use crate::mailbox::{DeadLetter, DeadLetters, Priority, QueueInfo, Refusal};

/// A small generator (xorshift), so that a failing seed can be played again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const BODIES: [&str; 6] = [
    r#"{"payload":"p\ud83d\ude00","priority":"H","queue":[{"id":"a"},{"id":"b"}],"groups":["g"],"callback":"http://c"}"#,
    r#"{"payload":{"a":[1,2,{"b":null}]},"priority":"L","queue":[],"expirationDate":1795282137,"delay":1.5,"x":-1e9}"#,
    r#"{"transactions":["f6fc84c9-f21f-4a1a-8d3b-7f1c2f3b1b1b",5,null,true,{"a":"b"},["c"]]}"#,
    r#"{"timeout":5,"max":"7","timeoutACK":2.5,"queues":"All","state":"summary"}"#,
    r#"{"name":"g","queues":["a","b"],"queuesToAdd":["c"],"queuesToRemove":["d"]}"#,
    "timeout=5&max=%37&timeoutACK=2.5",
];

const PIECES: [&str; 12] = [
    "\"", "{", "}", "[", "]", ",", ":", "\\", "null", "1e999", "\\ud800", "\u{e9}",
];

fn mutated(random: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            _ => drop(bytes.splice(at..at, random.pick(&PIECES).bytes())),
        }
    }
    bytes
}

const WORDS: [&str; 26] = [
    "trans",
    "queue",
    "group",
    "org",
    "state",
    "pop",
    "poprel",
    "peek",
    "ack",
    "subscribe",
    "subscriberel",
    "dead",
    "redrive",
    "q",
    "",
    "All",
    "summary",
    "%2F",
    "%",
    "%ff",
    "%00",
    "%E2%82%AC",
    "TRANS",
    "..",
    "x'\"&<>",
    "f6fc84c9-f21f-4a1a-8d3b-7f1c2f3b1b1b",
];

const QUERIES: [&str; 8] = [
    "",
    "?",
    "?max=-1&timeout=9e9",
    "?delay=1",
    "?queues=All",
    "?state=%22",
    "?queue=%0a&transaction=x",
    "?timeout=-1",
];

const HEADERS: [&str; 7] = [
    "",
    "Content-Type: application/json\r\n",
    "Content-Type: application/x-www-form-urlencoded\r\n",
    "Content-Type: application/json\r\nAccept: text/html\r\n",
    "Content-Type: application/json\r\nIdempotency-Key: a b\r\n",
    "Content-Type: application/json\r\nIdempotency-Key: \u{e9}\r\nIdempotency-Key:\r\n",
    "Accept: text/html;q=0, ;;=,text/html;q=x\r\n",
];

fn replies() -> Vec<Reply> {
    vec![
        Reply::Done,
        Reply::Found(false),
        Reply::Messages(handout(&["a", "\u{1}"])),
        Reply::Released(1),
        Reply::Acked(vec![true]),
        Reply::Pushed(id(2)),
        Reply::DeadLetters(DeadLetters {
            size: 2,
            letters: vec![DeadLetter {
                id: id(3),
                priority: Priority::Low,
                deliveries: u32::MAX,
            }],
        }),
        Reply::Moved { moved: 1, left: 2 },
        Reply::Queue(QueueInfo::default()),
        Reply::Transaction(None),
        Reply::States(vec![]),
        Reply::Group(vec!["a".into()]),
        Reply::Refused(Refusal::Full("room")),
        Reply::Refused(Refusal::OtherPush),
    ]
}

/// An answer that a client can read: JSON that parses, or a page.
fn check(response: &Response) {
    let code = response.status.code();
    assert!(
        [200, 303, 400, 404, 405, 422, 500, 503].contains(&code),
        "{code}"
    );
    if response.content_type == crate::http::ContentType::Json {
        serde_json::from_slice::<serde_json::Value>(&response.body).unwrap();
    }
    if code >= 400 {
        assert!(response.body.starts_with(b"{\"errors\":["));
    }
}

/// What a request comes to: only its own fault or an action.
fn check_action(action: Action, reply: Reply) {
    match action {
        Action::Respond(response) => {
            assert!(response.status.code() < 500);
            check(&response);
        }
        Action::Ask(_, answer) => check(&answer.render(reply)),
        Action::Pop { pop, wait_max } => {
            assert!(pop.count_max >= 1 && !pop.lease.is_zero() && !wait_max.is_zero());
            assert!(wait_max <= limits().max_pop_timeout);
        }
        Action::Recall(_) => {}
        Action::Subscribe(pop) => assert!(!pop.lease.is_zero() && pop.wait),
        // Nothing is guarded, and the plain realm has no secured queues.
        Action::Make(_) | Action::Guarded(_) => unreachable!(),
    }
}

#[test]
fn mutated_requests_never_do_harm() {
    let replies = replies();
    for seed in 1..20_000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let template = random.pick(&BODIES);
        let body = mutated(&mut random, template);
        let method = random.pick(&["GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD"]);
        let known = random.pick(&[
            "/trans",
            "/trans/x",
            "/queue/q/pop",
            "/queue/q/ack",
            "/queue/q/dead",
            "/queue/q/dead/redrive",
            "/group",
            "/group/g",
            "",
        ]);
        let mut path = known.to_owned();
        if path.is_empty() {
            for _ in 0..=random.below(6) {
                path.push('/');
                path.push_str(random.pick(&WORDS));
            }
        }
        let line = format!("{method} {path}{}", random.pick(&QUERIES));
        let headers = random.pick(&HEADERS);
        let length = body.len();
        let mut bytes =
            format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {length}\r\n\r\n")
                .into_bytes();
        bytes.extend(body);
        // What is no request never gets here.
        if let Some(request) = decode(&bytes) {
            let reply = replies[random.below(replies.len())].clone();
            check_action(act_on(&request), reply);
        }
    }
}
