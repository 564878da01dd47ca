//! Hand-outs: how they end.

use super::*;

#[test]
fn what_comes_back_takes_its_old_place() {
    let mut desk = Desk::new();
    for number in 1..=3 {
        desk.push(message(number, &["q"]));
    }
    let two = Pop {
        count_max: 2,
        ..pop("q", LeaseKind::Delivery)
    };
    let (lease, ids) = desk.pop(two);
    desk.push(message(4, &["q"]));
    // Whatever order they are given back in.
    assert_eq!(
        desk.release("q", lease, &[ids[1], ids[0]]),
        Reply::Released(2)
    );
    assert_eq!(desk.peek("q"), [1, 2, 3, 4].map(id));
}

#[test]
fn a_plain_pop_is_pending_until_settled() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    assert_eq!(desk.states(id(1)), [State::Pending]);
    desk.settle("q", lease, &ids);
    assert_eq!(desk.states(id(1)), [State::Delivered]);
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(0));
    desk.sleep(2 * SECOND);
    assert_eq!(desk.peek("q"), []);
}

#[test]
fn what_lapses_together_keeps_its_order() {
    let mut desk = Desk::new();
    for number in 0..20 {
        desk.push(message(number, &["q"]));
    }
    let expected: Vec<_> = (0..20).map(id).collect();
    assert_eq!(desk.pop(pop("q", LeaseKind::Reliable)).1, expected);
    let waiter = desk.wait(pop("q", LeaseKind::Reliable));
    desk.sleep(SECOND);
    assert_eq!(desk.got(waiter), Some(expected));
}

#[test]
fn a_late_sweep_returns_all_that_has_lapsed_before_it_serves() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.push(message(2, &["q"]));
    desk.push(message(3, &["other"]));
    let leased = |name, millis| Pop {
        count_max: 1,
        lease: Duration::from_millis(millis),
        ..pop(name, LeaseKind::Reliable)
    };
    desk.pop(leased("q", 300));
    desk.pop(leased("q", 100));
    desk.pop(leased("other", 200));
    let waiter = desk.wait(leased("q", 1000));
    desk.sleep(SECOND);
    assert_eq!(desk.got(waiter), Some(vec![id(1)]));
    assert_eq!(desk.peek("q"), [id(2)]);
}

#[test]
fn a_settling_after_the_lapse_still_delivers_what_nobody_else_has() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), ids);
    desk.settle("q", lease, &ids);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.states(id(1)), [State::Delivered]);
}

#[test]
fn a_stale_lease_touches_nothing_of_the_next_taker() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let (stale, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    desk.sleep(SECOND);
    let (lease, again) = desk.pop(pop("q", LeaseKind::Reliable));
    assert_eq!(again, ids);
    assert_ne!(lease, stale);
    desk.settle("q", stale, &ids);
    assert_eq!(desk.release("q", stale, &ids), Reply::Released(0));
    assert_eq!(desk.states(id(1)), [State::Blocked]);
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(1));
}

#[test]
fn a_release_after_the_lapse_finds_nothing_to_release() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    desk.sleep(SECOND);
    assert_eq!(desk.release("q", lease, &ids), Reply::Released(0));
    assert_eq!(desk.peek("q"), ids);
}

#[test]
fn part_of_a_hand_out_can_be_released() {
    let mut desk = Desk::new();
    for number in 1..=3 {
        desk.push(message(number, &["q"]));
    }
    let (lease, _) = desk.pop(pop("q", LeaseKind::Reliable));
    let part = [id(2), id(2), id(9)];
    assert_eq!(desk.release("q", lease, &part), Reply::Released(1));
    assert_eq!(desk.peek("q"), [id(2)]);
    assert_eq!(desk.release("unknown", lease, &part), Reply::Released(0));
}

#[test]
fn a_lapse_is_due_when_the_engine_says_so() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    desk.pop(pop("q", LeaseKind::Reliable));
    let lapse = START.plus(SECOND);
    assert_eq!(desk.engine.next_deadline(), Some(lapse));
    desk.sleep(Duration::from_millis(999));
    assert_eq!(desk.peek("q"), []);
    desk.sleep(Duration::from_millis(1));
    assert_eq!(desk.peek("q"), [id(1)]);
    let end = START.plus(3600 * SECOND);
    assert_eq!(desk.engine.next_deadline(), Some(end));
}
