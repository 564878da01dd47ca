//! Transactions.

use std::time::Duration;

use super::*;
use crate::mailbox::{Expiration, Priority, Push, Record, State, TransactionView, Update};

const GOOD: &str = r#"{"payload":"p","priority":"H","queue":[{"id":"a"}]}"#;

fn push_of(action: Action) -> Push {
    match action {
        Action::Ask(Op::Push(push), _) => *push,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push() {
    // A repeat has the id of the first.
    let (op, text) = ask("POST /org/o/trans", GOOD, Reply::Pushed(id(9)));
    assert_eq!(text, format!(r#"{{"ok":true,"data":"{}"}}"#, id(9)));
    let Op::Push(push) = op else {
        panic!("no push")
    };
    assert_eq!(
        (push.id, push.priority, push.realm),
        (id(1), Priority::High, Realm::Plain)
    );
    assert_eq!(push.queues, [org_queue("o", "a")]);
    assert_eq!(push.expiration, Expiration::After(Duration::from_hours(1)));
}

#[test]
fn the_content_type_comes_first() {
    for headers in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/jso\r\n",
        "Content-Type: \u{e9}\r\n",
    ] {
        for line in ["POST /trans", "PUT /trans/i", "POST /org/o/trans"] {
            for body in ["", "nope", GOOD] {
                let expected = (
                    400,
                    r#"{"errors":["invalid content-type header"]}"#.to_owned(),
                );
                assert_eq!(
                    shown(&response(act_on(&request(line, headers, body)))),
                    expected
                );
            }
        }
    }
    for kind in [
        "application/json",
        "Application/JSON; charset=latin1",
        "application/json-patch",
    ] {
        let headers = format!("Content-Type: {kind}\r\n");
        assert!(matches!(
            act_on(&request("POST /trans", &headers, GOOD)),
            Action::Ask(..)
        ));
    }
}

#[test]
fn faults_in_order() {
    let faults = ["undefined priority", "undefined queue", "undefined payload"];
    refused("POST /trans", "", &faults);
    refused("POST /trans", "{}", &faults);
    refused(
        "POST /trans?delay=x",
        r#"{"priority":"x","queue":{},"payload":null,"expirationDate":"x"}"#,
        &[
            "invalid priority",
            "invalid queue type",
            "undefined payload",
            "expirationDate is not a number",
            "invalid delay",
        ],
    );
    let long = GOOD.replace("\"p\"", &format!("\"{}\"", "p".repeat(51)));
    refused("POST /trans", &long, &["payload greater than 50"]);
    refused(
        "POST /trans",
        &GOOD.replace("\"a\"", &format!("\"{}\"", "a".repeat(41))),
        &["invalid queue element"],
    );
    let bomb = format!("{{\"payload\":{}{}}}", "[".repeat(9999), "]".repeat(9999));
    assert!(
        answer("POST /trans", &bomb)
            .1
            .starts_with(r#"{"errors":["invalid json: nested too deeply"#)
    );
}

#[test]
fn delays_come_from_the_body_or_the_query() {
    let delayed = GOOD.replace("\"p\"", "\"p\",\"delay\":2.5");
    assert_eq!(
        push_of(act("POST /trans?delay=7", &delayed)).delay,
        Duration::from_millis(2500)
    );
    assert_eq!(
        push_of(act("POST /trans?delay=7", GOOD)).delay,
        Duration::from_secs(7)
    );
    assert_eq!(push_of(act("POST /trans", GOOD)).delay, Duration::ZERO);
    for query in [
        "delay=",
        "delay=-1",
        "delay=1x",
        "delay=1e9",
        "delay=Infinity",
    ] {
        refused(&format!("POST /trans?{query}"), GOOD, &["invalid delay"]);
    }
}

#[test]
fn an_update() {
    let line = format!("PUT /trans/{}", id(1));
    let (op, text) = ask(&line, r#"{"payload":"n"}"#, Reply::Found(true));
    assert_eq!(text, r#"{"ok":true}"#);
    let expected = Update {
        payload: Some(Bytes::from_static(b"n")),
        ..Update::default()
    };
    assert!(matches!(op, Op::Update(asked, update) if asked == id(1) && update == expected));
    let (_, text) = ask(&line, r#"{"callback":"http://c"}"#, Reply::Found(false));
    assert_eq!(
        text,
        format!(r#"{{"errors":["{} does not exist"]}}"#, id(1))
    );
    for body in ["", "{}", r#"{"priority":"L"}"#] {
        assert_eq!(
            answer("PUT /trans/x", body),
            (200, r#"{"ok":true,"data":"empty data"}"#.to_owned())
        );
    }
    refused("PUT /trans/x", r#"{"payload":"n"}"#, &["x does not exist"]);
    refused(
        "PUT /trans/x",
        r#"{"payload":"","expirationDate":-1}"#,
        &["undefined payload", "expirationDate out of range"],
    );
}

#[test]
fn a_delete_is_always_fine() {
    let (op, text) = ask(&format!("DELETE /trans/{}", id(1)), "", Reply::Done);
    assert!(matches!(op, Op::Delete(asked) if asked == id(1)));
    assert_eq!(text, r#"{"ok":true}"#);
    assert_eq!(
        answer("DELETE /trans/x", ""),
        (200, r#"{"ok":true}"#.to_owned())
    );
    // Only our own spelling names a transaction.
    assert!(matches!(
        act(
            &format!("DELETE /trans/{}", id(0xab).to_string().to_uppercase()),
            ""
        ),
        Action::Respond(_)
    ));
}

fn view() -> TransactionView {
    TransactionView {
        priority: Priority::High,
        expires_at: 1_795_282_137,
        record: Record {
            payload: Bytes::from_static("é\n".as_bytes()),
            callback: Some("http://c".into()),
            fields: vec![
                ("callback".into(), "5".into()),
                ("queues".into(), "own".into()),
                ("n".into(), "1".into()),
            ],
        },
        states: vec![
            (plain_queue("q"), State::Pending),
            (org_queue("o", "a/b"), State::Blocked),
        ],
    }
}

fn view_at(query: &str) -> String {
    ask(
        &format!("GET /trans/{}{query}", id(1)),
        "",
        Reply::Transaction(Some(view())),
    )
    .1
}

#[test]
fn a_transaction_as_clients_know_it() {
    assert_eq!(
        view_at(""),
        r#"{"payload":"é\n","priority":"H","callback":"http://c","expirationDate":"1795282137","queues":"own","n":"1"}"#
    );
    let start = r#"{"payload":"é\n","priority":"H","callback":"http://c","expirationDate":"1795282137","n":"1","queues":"#;
    assert_eq!(
        view_at("?queues=All"),
        format!(
            "{start}{}}}",
            r#"{"q":{"state":"Pending","href":"http://box:3001/queue/q"},"a/b":{"state":"Blocked","href":"http://box:3001/org/o/queue/a%2Fb"}}"#
        )
    );
    assert_eq!(view_at("?queues=Expired"), format!("{start}{{}}}}"));
    assert_eq!(
        view_at("?queues=summary"),
        format!(
            "{start}{}}}",
            r#"{"totalNotifications":2,"Pending":1,"Blocked":1}"#
        )
    );
}

#[test]
fn callbacks_that_are_none() {
    let mut bare = view();
    bare.record.callback = None;
    let (_, text) = ask(
        &format!("GET /trans/{}", id(1)),
        "",
        Reply::Transaction(Some(bare.clone())),
    );
    assert!(text.contains(r#""callback":"5""#), "{text}");
    bare.record.callback = Some("".into());
    let (_, text) = ask(
        &format!("GET /trans/{}", id(1)),
        "",
        Reply::Transaction(Some(bare)),
    );
    assert!(text.contains(r#""callback":"5""#), "{text}");
}

#[test]
fn a_transaction_nobody_knows() {
    assert_eq!(
        answer("GET /trans/x?queues=All", ""),
        (200, "{}".to_owned())
    );
    let (_, text) = ask(
        &format!("GET /trans/{}?queues=All", id(1)),
        "",
        Reply::Transaction(None),
    );
    assert_eq!(text, "{}");
}
