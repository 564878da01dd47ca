//! Pops that wait.

use super::*;

fn one(name: &str) -> Pop {
    Pop {
        count_max: 1,
        ..pop(name, LeaseKind::Delivery)
    }
}

#[test]
fn a_push_answers_who_waits_longest() {
    let mut desk = Desk::new();
    let waiters = [desk.wait(one("q")), desk.wait(one("q"))];
    assert!(desk.describe("q").blocked);
    desk.push(message(1, &["q"]));
    assert_eq!(desk.got(waiters[0]), Some(vec![id(1)]));
    assert_eq!(desk.got(waiters[1]), None);
    desk.push(message(2, &["q"]));
    assert_eq!(desk.got(waiters[1]), Some(vec![id(2)]));
    assert!(!desk.describe("q").blocked);
    assert_eq!(desk.engine.waiter_count(), 0);
}

#[test]
fn a_cancelled_wait_ends_with_nothing() {
    let mut desk = Desk::new();
    let waiters = [desk.wait(one("q")), desk.wait(one("q"))];
    desk.start(Op::CancelPop {
        queue: queue("q"),
        ticket: waiters[0],
    });
    assert_eq!(desk.got(waiters[0]), Some(Vec::new()));
    desk.push(message(1, &["q"]));
    assert_eq!(desk.got(waiters[1]), Some(vec![id(1)]));
}

#[test]
fn a_cancel_after_the_hand_over_does_nothing() {
    let mut desk = Desk::new();
    let waiter = desk.wait(one("q"));
    desk.push(message(1, &["q"]));
    desk.start(Op::CancelPop {
        queue: queue("q"),
        ticket: waiter,
    });
    assert_eq!(desk.got(waiter), Some(vec![id(1)]));
    assert_eq!(desk.replies.len(), 0);
    assert_eq!(desk.peek("q"), []);
}

#[test]
fn what_one_waiter_cannot_take_goes_to_the_next() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.push(message(2, &["q"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    let waiters = [desk.wait(one("q")), desk.wait(one("q"))];
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(2));
    assert_eq!(desk.got(waiters[0]), Some(vec![id(1)]));
    assert_eq!(desk.got(waiters[1]), Some(vec![id(2)]));
}

#[test]
fn an_answer_keeps_to_its_bytes_but_carries_one_message_at_least() {
    let mut desk = Desk::new();
    for number in 1..=3 {
        desk.push(message(number, &["q"]));
    }
    let at_most = |bytes_max| Pop {
        bytes_max,
        ..pop("q", LeaseKind::Delivery)
    };
    assert_eq!(desk.pop(at_most(0)).1, [id(1)]);
    assert_eq!(desk.pop(at_most(19)).1, [id(2)]);
    desk.push(message(4, &["q"]));
    assert_eq!(desk.pop(at_most(20)).1, [id(3), id(4)]);
}

#[test]
fn a_pop_of_no_messages_takes_one() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let none = Pop {
        count_max: 0,
        ..pop("q", LeaseKind::Delivery)
    };
    assert_eq!(desk.pop(none).1, [id(1)]);
}

#[test]
fn a_waiter_is_served_when_a_lease_lapses() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.pop(pop("q", LeaseKind::Reliable));
    let waiter = desk.wait(one("q"));
    desk.sleep(SECOND);
    assert_eq!(desk.got(waiter), Some(vec![id(1)]));
}

#[test]
fn waiters_survive_a_held_back_transaction_that_is_over_when_due() {
    let mut desk = Desk::new();
    let waiters = [desk.wait(one("q")), desk.wait(one("r"))];
    let mut late = message(1, &["q", "r"]);
    late.delay = SECOND;
    late.expiration = Expiration::After(SECOND);
    desk.push(late);
    desk.sleep(5 * SECOND);
    assert_eq!(desk.engine.transaction_count(), 0);
    desk.push(message(2, &["q", "r"]));
    assert_eq!(desk.got(waiters[0]), Some(vec![id(2)]));
    assert_eq!(desk.got(waiters[1]), Some(vec![id(2)]));
}
