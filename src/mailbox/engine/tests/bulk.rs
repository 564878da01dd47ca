//! More of something than one go handles.

use super::*;

const MANY: usize = 3 * DUE_AT_ONCE_MAX + 1;

fn end(after: u64) -> Expiration {
    Expiration::At(u32::try_from(START.seconds() + after).unwrap())
}

/// Goes on until nothing is overdue; how often it takes.
fn catch_up(desk: &mut Desk) -> usize {
    let is_behind = |desk: &Desk| desk.engine.next_deadline().is_some_and(|it| it <= desk.now);
    let mut times = 0;
    while is_behind(desk) {
        desk.sleep(Duration::ZERO);
        times += 1;
    }
    times
}

#[test]
fn a_push_to_ten_thousand_queues_answers_a_waiter_on_each() {
    let mut desk = Desk::new();
    let names: Vec<String> = (0..10_000).map(|it| format!("q{it}")).collect();
    let one = |name| pop(name, LeaseKind::Delivery);
    let waiters: Vec<_> = names.iter().map(|name| desk.wait(one(name))).collect();
    assert_eq!(desk.engine.waiter_count(), 10_000);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(matches!(desk.push(message(1, &names)), Reply::Pushed(_)));
    for waiter in waiters {
        assert_eq!(desk.got(waiter), Some(vec![id(1)]));
    }
    assert_eq!(desk.engine.waiter_count(), 0);
    assert!(desk.states(id(1)).iter().all(|&it| it == State::Pending));
}

#[test]
fn nothing_that_is_over_is_handed_out_while_the_sweep_is_behind() {
    let mut desk = Desk::new();
    for number in 0..MANY {
        let mut push = message(number, &["q", "r"]);
        push.expiration = end(5);
        desk.push(push);
    }
    let (lease, _) = desk.pop(Pop {
        lease: 100 * SECOND,
        ..pop("r", LeaseKind::Reliable)
    });
    desk.push(message(MANY, &["q"]));
    desk.now = desk.now.plus(5 * SECOND);
    // Each operation sweeps a part before it looks.
    assert_eq!(desk.peek("q"), [id(MANY)]);
    let last = id(MANY - 1);
    assert_eq!(desk.states(last), []);
    assert_eq!(desk.ack("q", &[last]), Reply::Acked(vec![false]));
    assert!(desk.engine.transaction_count() > 1, "the sweep is behind");
    let waiter = desk.wait(pop("r", LeaseKind::Delivery));
    desk.release("r", lease, &[last]);
    assert_eq!(desk.got(waiter), None);
    assert_eq!(desk.pop(pop("q", LeaseKind::Delivery)).1, [id(MANY)]);
    catch_up(&mut desk);
    assert_eq!(desk.engine.transaction_count(), 1);
}

#[test]
fn a_sweep_of_many_ends_takes_several_goes() {
    let mut desk = Desk::new();
    for number in 0..MANY {
        let mut push = message(number, &["q"]);
        push.expiration = end(5);
        desk.push(push);
    }
    desk.now = desk.now.plus(5 * SECOND);
    assert_eq!(catch_up(&mut desk), 4);
    assert_eq!(desk.engine.transaction_count(), 0);
    assert_eq!(desk.engine.queue_count(), 0);
    assert_eq!(desk.engine.next_deadline(), None);
}

#[test]
fn a_large_hand_out_lapses_in_order_and_at_once() {
    let mut desk = Desk::new();
    for number in 0..MANY {
        desk.push(message(number, &["q"]));
    }
    let (_, all) = desk.pop(pop("q", LeaseKind::Reliable));
    assert_eq!(all.len(), MANY);
    let waiter = desk.wait(pop("q", LeaseKind::Reliable));
    desk.sleep(SECOND);
    assert_eq!(desk.got(waiter), Some(all));
}

#[test]
fn many_leases_of_one_queue_lapse_in_several_goes() {
    let mut desk = Desk::new();
    for number in 0..MANY {
        desk.push(message(number, &["q"]));
        desk.pop(pop("q", LeaseKind::Reliable));
        desk.now = desk.now.plus(Duration::from_millis(1));
    }
    desk.now = desk.now.plus(SECOND);
    assert!(catch_up(&mut desk) >= 2);
    let expected: Vec<_> = (0..MANY).map(id).collect();
    assert_eq!(desk.peek("q"), expected);
}

#[test]
fn what_is_held_back_in_great_number_arrives_in_order() {
    let mut desk = Desk::new();
    for number in (0..MANY).rev() {
        let mut push = message(number, &["q"]);
        push.delay = SECOND;
        desk.push(push);
    }
    desk.now = desk.now.plus(SECOND);
    assert_eq!(catch_up(&mut desk), 4);
    let expected: Vec<_> = (0..MANY).rev().map(id).collect();
    assert_eq!(desk.peek("q"), expected);
}
