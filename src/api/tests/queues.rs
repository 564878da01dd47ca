//! Descriptions of queues.

use super::*;
use crate::mailbox::QueueInfo;

#[test]
fn a_queue_as_clients_know_it() {
    let info = QueueInfo {
        last_pop: Some(1_795_278_630),
        blocked: false,
        size: 1,
        high: vec![id(1)],
        low: vec![],
        dead: 0,
    };
    let (op, text) = ask("GET /queue/q", "", Reply::Queue(info));
    assert!(matches!(op, Op::DescribeQueue(queue) if queue == plain_queue("q")));
    let known = id(1);
    let expected = format!(
        r#"{{"ok":true,"host":"box:3001","lastPop":"1795278630","blocked":false,"size":1,"high":[{{"id":"{known}","href":"http://box:3001/trans/{known}?queues=All"}}],"low":[]}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn dead_letters_are_told_of_where_there_are_some() {
    let info = QueueInfo {
        dead: 2,
        ..QueueInfo::default()
    };
    let (_, text) = ask("GET /queue/q", "", Reply::Queue(info));
    assert_eq!(
        text,
        r#"{"ok":true,"host":"box:3001","blocked":false,"size":0,"dead":2,"high":[],"low":[]}"#
    );
}

#[test]
fn a_queue_nobody_knows() {
    let (op, text) = ask(
        "GET /org/o/queue/q",
        "",
        Reply::Queue(QueueInfo {
            blocked: true,
            ..QueueInfo::default()
        }),
    );
    assert!(matches!(op, Op::DescribeQueue(queue) if queue == org_queue("o", "q")));
    assert_eq!(
        text,
        r#"{"ok":true,"host":"box:3001","blocked":true,"size":0,"high":[],"low":[]}"#
    );
}

#[test]
fn a_client_that_names_no_host() {
    let request = decode(b"GET /queue/q HTTP/1.0\r\n\r\n").unwrap();
    let (_, text) = ask_with(&request, Reply::Queue(QueueInfo::default()));
    assert!(
        text.starts_with(r#"{"ok":true,"host":"localhost","#),
        "{text}"
    );
}
