//! Dead letters: looked at, put back, given up.

use super::*;
use crate::mailbox::{DeadLetter, DeadLetters, DeadSelection, Priority};

const REDRIVE: &str = "POST /queue/q/dead/redrive";

const PURGE: &str = "DELETE /queue/q/dead";

fn selection(line: &str, body: &str) -> DeadSelection {
    match act(line, body) {
        Action::Ask(Op::Redrive(selection) | Op::Purge(selection), _) => selection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_are_listed_with_their_deliveries() {
    let letter = |number, priority, deliveries| DeadLetter {
        id: id(number),
        priority,
        deliveries,
    };
    let dead = DeadLetters {
        size: 5,
        letters: vec![letter(1, Priority::High, 3), letter(2, Priority::Low, 1)],
    };
    let (op, text) = ask(
        "GET /org/o/queue/q/dead?max=2",
        "",
        Reply::DeadLetters(dead),
    );
    assert!(matches!(op, Op::DeadLetters { queue, count_max: 2 } if queue == org_queue("o", "q")));
    let (first, second) = (id(1), id(2));
    let href = |id| format!("http://box:3001/trans/{id}?queues=All");
    assert_eq!(
        text,
        format!(
            r#"{{"ok":true,"size":5,"dead":[{{"id":"{first}","priority":"H","deliveries":3,"href":"{}"}},{{"id":"{second}","priority":"L","deliveries":1,"href":"{}"}}]}}"#,
            href(first),
            href(second)
        )
    );
    let (op, text) = ask(
        "GET /queue/q/dead",
        "",
        Reply::DeadLetters(DeadLetters::default()),
    );
    assert!(matches!(op, Op::DeadLetters { count_max: 10, .. }));
    assert_eq!(text, r#"{"ok":true,"size":0,"dead":[]}"#);
}

#[test]
fn a_browser_gets_a_page_of_them() {
    let request = request("GET /queue/%3Cq%3E/dead", "Accept: text/html\r\n", "");
    let (_, page) = ask_with(&request, Reply::DeadLetters(DeadLetters::default()));
    assert!(
        page.contains("<h1>Dead letters of &lt;q&gt;</h1>"),
        "{page}"
    );
}

#[test]
fn what_becomes_of_them_is_counted() {
    let reply = Reply::Moved { moved: 2, left: 1 };
    let (op, text) = ask(REDRIVE, "", reply.clone());
    assert!(matches!(op, Op::Redrive(selection) if selection.queue == plain_queue("q")));
    assert_eq!(text, r#"{"ok":true,"redriven":2,"left":1}"#);
    let (op, text) = ask(PURGE, "", reply);
    assert!(matches!(op, Op::Purge(selection) if selection.queue == plain_queue("q")));
    assert_eq!(text, r#"{"ok":true,"purged":2,"left":1}"#);
}

#[test]
fn without_a_list_the_first_are_meant() {
    for (line, body, count_max) in [
        (PURGE, "", 20),
        (REDRIVE, r#"{"max":3}"#, 3),
        ("POST /queue/q/dead/redrive?max=4", "", 4),
        ("DELETE /queue/q/dead?max=1000", "", 20),
    ] {
        let expected = DeadSelection {
            queue: plain_queue("q"),
            transactions: None,
            count_max,
        };
        assert_eq!(selection(line, body), expected, "{line} {body}");
    }
}

#[test]
fn what_is_not_understood_is_not_taken_for_all_of_them() {
    for line in [PURGE, REDRIVE] {
        for max in ["0", "-1", "1O"] {
            refused(&format!("{line}?max={max}"), "", &["invalid max"]);
        }
        refused(line, r#"{"transaction":["x"]}"#, &["invalid transactions"]);
    }
}

#[test]
fn a_list_says_which() {
    let known = id(1);
    let body = format!(r#"{{"transactions":["{known}","x",5,null,"{known}"],"max":1}}"#);
    for line in [PURGE, REDRIVE] {
        let expected = DeadSelection {
            queue: plain_queue("q"),
            transactions: Some(vec![known, known]),
            count_max: 20,
        };
        assert_eq!(selection(line, &body), expected);
        let none = selection(line, r#"{"transactions":[]}"#);
        assert_eq!(none.transactions, Some(Vec::new()));
    }
}

#[test]
fn a_list_that_cannot_be_understood_is_not_taken_for_none() {
    for line in [PURGE, REDRIVE] {
        for body in [
            r#"{"transactions":null}"#,
            r#"{"transactions":"x"}"#,
            r#"{"transactions":{"0":"x"}}"#,
        ] {
            refused(line, body, &["invalid transactions"]);
        }
        let query = format!("{line}?transactions={}", id(1));
        refused(&query, "", &["invalid transactions"]);
        let form = request(
            line,
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "transactions=x",
        );
        assert_eq!(response(act_on(&form)).status.code(), 400);
        let list = format!("{{\"transactions\":[{}]}}", vec!["1"; 21].join(","));
        refused(line, &list, &["too many transactions: maximum 20"]);
    }
}
