//! Delays and ends of life.

use super::*;

fn second(after: u64) -> Expiration {
    Expiration::At(u32::try_from(START.seconds() + after).unwrap())
}

fn held_back(number: usize, queues: &[&str], delay: Duration) -> Push {
    Push {
        delay,
        ..message(number, queues)
    }
}

#[test]
fn a_push_that_is_over_is_done_with_at_once() {
    let mut desk = Desk::new();
    let mut over = message(1, &["q"]);
    over.expiration = second(0);
    assert!(matches!(desk.push(over), Reply::Pushed(_)));
    assert_eq!(desk.engine.transaction_count(), 0);
    assert!(desk.changes.is_empty());
}

#[test]
fn an_end_counted_from_the_start_is_rounded_up() {
    let mut desk = Desk::new();
    desk.now = desk.now.plus(Duration::from_millis(1));
    let mut push = message(1, &["q"]);
    push.expiration = Expiration::After(SECOND);
    desk.push(push);
    let Reply::Transaction(Some(view)) = desk.ask(Op::Transaction(id(1))) else {
        panic!("it is known");
    };
    assert_eq!(u64::from(view.expires_at), START.seconds() + 2);
}

#[test]
fn the_life_of_a_held_back_transaction_begins_when_it_arrives() {
    let mut desk = Desk::new();
    let mut push = held_back(1, &["q"], 10 * SECOND);
    push.expiration = Expiration::After(SECOND);
    desk.push(push);
    assert_eq!(desk.states(id(1)), [State::Pending]);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.describe("q").size, 0);
    desk.sleep(10 * SECOND);
    assert_eq!(desk.peek("q"), [id(1)]);
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.engine.transaction_count(), 0);
}

#[test]
fn what_was_held_back_arrives_behind_what_came_meanwhile() {
    let mut desk = Desk::new();
    desk.push(held_back(1, &["q"], 2 * SECOND));
    desk.push(held_back(2, &["q"], SECOND));
    desk.push(message(3, &["q"]));
    desk.sleep(3 * SECOND);
    assert_eq!(desk.peek("q"), [3, 2, 1].map(id));
}

#[test]
fn what_is_due_together_arrives_as_pushed() {
    let mut desk = Desk::new();
    for number in (0..20).rev() {
        desk.push(held_back(number, &["q"], SECOND));
    }
    desk.sleep(SECOND);
    let expected: Vec<_> = (0..20).rev().map(id).collect();
    assert_eq!(desk.peek("q"), expected);
}

#[test]
fn an_ack_of_a_held_back_message_keeps_it_from_its_queue() {
    let mut desk = Desk::new();
    desk.push(held_back(1, &["q", "r"], SECOND));
    assert_eq!(desk.ack("q", &[id(1)]), Reply::Acked(vec![true]));
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.peek("r"), [id(1)]);
    assert_eq!(desk.states(id(1)), [State::Delivered, State::Pending]);
}

#[test]
fn a_deleted_held_back_transaction_never_arrives() {
    let mut desk = Desk::new();
    desk.push(held_back(1, &["q"], SECOND));
    desk.ask(Op::Delete(id(1)));
    // Its queue, which nothing names any longer, is forgotten.
    desk.sleep(Duration::ZERO);
    assert_eq!(desk.engine.next_deadline(), None);
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), []);
}

#[test]
fn a_message_that_ends_while_leased_does_not_come_back() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let long = Pop {
        lease: 10 * SECOND,
        ..pop("q", LeaseKind::Reliable)
    };
    let (lease, ids) = desk.pop(long);
    assert_eq!(desk.expire_at(id(1), second(2)), Reply::Found(true));
    desk.sleep(2 * SECOND);
    assert_eq!(desk.ack("q", &ids), Reply::Acked(vec![false]));
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(0));
    desk.sleep(10 * SECOND);
    assert_eq!(desk.peek("q"), []);
    // Nothing is left to do but to forget the last pop.
    let forgotten = START.plus(LIMITS.queue_retention);
    assert_eq!(desk.engine.next_deadline(), Some(forgotten));
}

#[test]
fn a_later_end_keeps_a_message_and_an_earlier_one_ends_it() {
    let mut desk = Desk::new();
    for number in 1..=2 {
        let mut push = message(number, &["q"]);
        push.expiration = second(5);
        desk.push(push);
    }
    desk.expire_at(id(1), second(10));
    desk.expire_at(id(2), second(1));
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), [id(1)]);
    desk.sleep(8 * SECOND);
    assert_eq!(desk.peek("q"), [id(1)]);
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.expire_at(id(1), second(99)), Reply::Found(false));
}

#[test]
fn an_update_that_ends_a_transaction_is_its_last() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    assert_eq!(desk.expire_at(id(1), second(0)), Reply::Found(true));
    assert_eq!(desk.states(id(1)), []);
    assert_eq!(desk.pop(pop("q", LeaseKind::Delivery)).1, []);
}

#[test]
fn a_new_payload_counts_with_its_own_size() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.push(message(2, &["q"]));
    let update = Update {
        payload: Some("0".into()),
        ..Update::default()
    };
    desk.ask(Op::Update(id(1), update));
    let eleven = Pop {
        bytes_max: 11,
        ..pop("q", LeaseKind::Delivery)
    };
    assert_eq!(desk.pop(eleven).1, [id(1), id(2)]);
}
