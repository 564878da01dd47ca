//! Engines built from what a store kept.

use super::*;

fn header(number: usize, position: u64) -> Header {
    Header {
        id: id(number),
        priority: Priority::Low,
        position,
        due: None,
        expires_at: u32::try_from(START.seconds() + 3600).unwrap(),
        payload_bytes: 10,
        queues: vec![queue("q")],
    }
}

#[test]
fn lines_are_ordered_by_position_whatever_the_order_of_restoring() {
    let mut desk = Desk::new();
    for (number, position) in [(1, 30), (2, 10), (3, 20)] {
        let key = RecordKey(u64::try_from(number).unwrap());
        desk.engine
            .restore_transaction(key, header(number, position), &[]);
    }
    desk.push(message(4, &["q"]));
    assert_eq!(desk.peek("q"), [2, 3, 1, 4].map(id));
}

#[test]
fn what_a_reliable_pop_took_comes_back_when_its_lease_lapses() {
    let mut desk = Desk::new();
    let until = START.plus(SECOND);
    let blocked = Mark::Blocked {
        until,
        deliveries: 1,
    };
    desk.engine
        .restore_transaction(RecordKey(1), header(1, 1), &[(0, blocked)]);
    desk.engine
        .restore_transaction(RecordKey(2), header(2, 2), &[(0, blocked)]);
    desk.engine
        .restore_transaction(RecordKey(3), header(3, 3), &[(0, Mark::Delivered)]);
    assert_eq!(desk.states(id(1)), [State::Blocked]);
    assert_eq!(desk.states(id(3)), [State::Delivered]);
    assert_eq!(desk.peek("q"), []);
    assert_eq!(desk.engine.next_deadline(), Some(until));
    assert_eq!(desk.ack("q", &[id(2)]), Reply::Acked(vec![true]));
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), [id(1)]);
}

#[test]
fn what_was_held_back_is_still_held_back() {
    let mut desk = Desk::new();
    let mut held_back = header(1, 1);
    held_back.due = Some(START.plus(SECOND));
    desk.engine
        .restore_transaction(RecordKey(1), held_back, &[]);
    desk.push(message(2, &["q"]));
    assert_eq!(desk.peek("q"), [id(2)]);
    desk.sleep(SECOND);
    assert_eq!(desk.peek("q"), [id(2), id(1)]);
}

#[test]
fn what_ended_meanwhile_is_removed_so_that_the_store_hears_of_it() {
    let mut desk = Desk::new();
    let mut over = header(1, 1);
    over.expires_at = 1;
    desk.engine
        .restore_transaction(RecordKey(1), over, &[(0, Mark::Delivered)]);
    assert_eq!(desk.states(id(1)), []);
    let removed = Change::Removed {
        key: RecordKey(1),
        marked: vec![0],
    };
    assert!(desk.changes.contains(&removed));
}

#[test]
fn marks_find_their_messages_among_many() {
    let mut desk = Desk::new();
    let mut header = header(1, 1);
    header.queues = ["c", "a", "b"].map(queue).into();
    let blocked = Mark::Blocked {
        until: START.plus(SECOND),
        deliveries: 1,
    };
    let marks = [(0, blocked), (2, Mark::Delivered)];
    desk.engine
        .restore_transaction(RecordKey(1), header, &marks);
    let expected = [State::Blocked, State::Pending, State::Delivered];
    assert_eq!(desk.states(id(1)), expected);
}

#[test]
fn groups_and_last_pops_are_known_again() {
    let mut desk = Desk::new();
    desk.engine
        .restore_group(group("g"), ["b", "a"].map(Into::into));
    desk.engine.restore_last_pop(queue("q"), START.seconds());
    let members = desk.ask(Op::Group(group("g")));
    assert_eq!(members, Reply::Group(vec!["a".into(), "b".into()]));
    assert_eq!(desk.describe("q").last_pop, Some(START.seconds()));
}
