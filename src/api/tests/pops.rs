//! Pop, peek and subscribe.

use std::time::Duration;

use super::*;
use crate::{api::write_message, mailbox::Pop};

fn pop(line: &str) -> (Pop, Duration) {
    match act(line, "") {
        Action::Pop { pop, wait_max } => (pop, wait_max),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pop_as_it_is_unless_told_otherwise() {
    let (taken, wait_max) = pop("POST /queue/q/pop?timeoutACK=7");
    assert_eq!(taken.queue, plain_queue("q"));
    assert_eq!(
        (taken.kind, taken.lease),
        (LeaseKind::Delivery, limits().delivery_lease)
    );
    assert_eq!(
        (taken.count_max, taken.bytes_max, taken.wait),
        (10, 16 << 20, true)
    );
    assert_eq!(wait_max, Duration::from_secs(5));
    let (taken, _) = pop("POST /org/o/queue/q/poprel?timeoutACK=7.5");
    assert_eq!(taken.queue, org_queue("o", "q"));
    assert_eq!(
        (taken.kind, taken.lease),
        (LeaseKind::Reliable, Duration::from_secs_f64(7.5))
    );
}

#[test]
fn subscribing_takes_rounds() {
    for (deed, kind, lease) in [
        ("subscribe", LeaseKind::Delivery, limits().delivery_lease),
        ("subscriberel", LeaseKind::Reliable, Duration::from_secs(2)),
    ] {
        match act(&format!("POST /queue/q/{deed}?max=1&timeoutACK=2"), "") {
            Action::Subscribe(taken) => {
                assert_eq!(
                    (taken.kind, taken.lease, taken.count_max, taken.wait),
                    (kind, lease, 64, true)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn messages_are_written_as_clients_know_them() {
    let two = handout(&["p\"1\n", "é"]);
    let (first, second) = (id(1), id(2));
    let expected =
        format!(r#"{{"ok":true,"data":["p\"1\n","é"],"transactions":["{first}","{second}"]}}"#);
    assert_eq!(
        shown(&messages(LeaseKind::Delivery, Reply::Messages(two.clone()))),
        (200, expected.clone())
    );
    let counted = expected.replace("]}", r#"],"deliveries":[3,4]}"#);
    assert_eq!(
        shown(&messages(LeaseKind::Reliable, Reply::Messages(two.clone()))),
        (200, counted)
    );
    let (op, peeked) = ask("GET /queue/q/peek?max=3", "", Reply::Messages(two));
    assert_eq!(peeked, expected);
    assert!(matches!(op, Op::Peek { count_max: 3, .. }));
    let chunk = |kind| {
        let mut chunk = Vec::new();
        for message in handout(&["p"]).messages {
            write_message(kind, &message, &mut chunk);
        }
        String::from_utf8(chunk).unwrap()
    };
    let expected = format!(r#"{{"ok":true,"data":["p"],"transactions":["{first}"]}}"#);
    assert_eq!(chunk(LeaseKind::Delivery), expected);
    let counted = expected.replace("]}", r#"],"deliveries":[3]}"#);
    assert_eq!(chunk(LeaseKind::Reliable), counted);
}
