//! Acks.

use super::*;
use crate::mailbox::AckItem;

#[test]
fn each_is_answered_in_its_place() {
    let known = id(1).to_string();
    let body = format!(r#"{{"transactions":["{known}","x\"y",5,null,{{"a": 1}},"{known}"]}}"#);
    let reply = Reply::Acked(vec![true, false, false, false, false, false]);
    let (op, text) = ask("POST /queue/q%2F/ack", &body, reply);
    let missing = |text: &str| format!(r#"{{"err":"{text}/q/ does not exist","data":"{text}"}}"#);
    let expected = format!(
        r#"[{{"err":null,"data":"{known}"}},{},{},{},{},{}]"#,
        missing(r#"x\"y"#),
        missing("5"),
        missing("null"),
        missing(r#"{\"a\":1}"#),
        missing(&known)
    );
    assert_eq!(text, expected);
    match op {
        Op::Ack {
            queue,
            transactions,
        } => {
            assert_eq!(queue, plain_queue("q/"));
            assert_eq!(transactions.len(), 6);
            assert_eq!(
                transactions[0],
                AckItem {
                    text: known.into(),
                    id: Some(id(1))
                }
            );
            assert_eq!(
                transactions[2],
                AckItem {
                    text: "5".into(),
                    id: None
                }
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_to_ack() {
    assert_eq!(
        answer("POST /queue/q/ack", r#"{"transactions":[]}"#),
        (200, "[]".to_owned())
    );
}

#[test]
fn no_list_or_too_long_a_list() {
    for body in [
        "",
        "{}",
        r#"{"transactions":null}"#,
        r#"{"transactions":"x"}"#,
        r#"{"transactions":{"0":"x"}}"#,
    ] {
        refused("POST /queue/q/ack", body, &["missing transaction"]);
    }
    refused(
        "POST /queue/q/ack?transactions=x",
        "",
        &["missing transaction"],
    );
    let list = |count| format!("{{\"transactions\":[{}]}}", vec!["1"; count].join(","));
    refused(
        "POST /queue/q/ack",
        &list(21),
        &["too many transactions: maximum 20"],
    );
    assert!(matches!(
        act("POST /queue/q/ack", &list(20)),
        Action::Ask(..)
    ));
}
