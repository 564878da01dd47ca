//! Full tables and too much of something.

use super::*;

const TOO_MANY: EngineReply = Reply::Refused(Refusal::TooManyQueues(2));

fn is_full(reply: &EngineReply) -> bool {
    matches!(reply, Reply::Refused(Refusal::Full(_)))
}

#[test]
fn too_many_queues_are_refused_and_leave_nothing() {
    let mut desk = Desk::with(Limits {
        queues_per_transaction_max: 2,
        ..LIMITS
    });
    assert!(matches!(
        desk.push(message(1, &["a", "b", "a", "b"])),
        Reply::Pushed(_)
    ));
    assert_eq!(desk.push(message(2, &["a", "b", "c"])), TOO_MANY);
    desk.ask(Op::StoreGroup(group("g"), vec!["a".into(), "b".into()]));
    let mut push = message(3, &["c"]);
    push.groups = vec![group("g")];
    assert_eq!(desk.push(push), TOO_MANY);
    assert_eq!(desk.engine.transaction_count(), 1);
    assert_eq!(desk.engine.queue_count(), 2);
}

#[test]
fn a_group_has_no_more_members_than_a_push_may_have_queues() {
    let mut desk = Desk::with(Limits {
        queues_per_transaction_max: 2,
        ..LIMITS
    });
    let store = |members: &[&str]| {
        let members = members.iter().map(|&it| it.into()).collect();
        Op::StoreGroup(group("g"), members)
    };
    assert_eq!(desk.ask(store(&["a", "b", "c"])), TOO_MANY);
    assert_eq!(desk.ask(store(&["a", "b", "a"])), Reply::Done);
    assert_eq!(desk.ask(store(&["c"])), TOO_MANY);
    let change = GroupChange {
        add: vec!["c".into()],
        remove: vec!["a".into()],
    };
    let changed = desk.ask(Op::ChangeGroup(group("g"), change));
    assert_eq!(changed, Reply::Found(true));
}

#[test]
fn a_full_table_of_groups_still_takes_changes() {
    let mut desk = Desk::with(Limits {
        groups_max: 1,
        ..LIMITS
    });
    let store = |name| Op::StoreGroup(group(name), vec!["a".into()]);
    assert_eq!(desk.ask(store("g")), Reply::Done);
    assert!(is_full(&desk.ask(store("h"))));
    assert_eq!(desk.ask(store("g")), Reply::Done);
    desk.ask(Op::RemoveGroup(group("g")));
    assert_eq!(desk.ask(store("h")), Reply::Done);
}

#[test]
fn a_full_store_refuses_pushes_until_something_ends() {
    let mut desk = Desk::with(Limits {
        transactions_max: 1,
        ..LIMITS
    });
    let mut short = message(1, &["q"]);
    short.expiration = Expiration::After(SECOND);
    desk.push(short.clone());
    assert!(is_full(&desk.push(message(2, &["q"]))));
    // What is in already, or has no need to be, is no matter of room.
    assert!(matches!(desk.push(short), Reply::Pushed(_)));
    let mut over = message(3, &["q"]);
    over.expiration = Expiration::At(0);
    assert!(matches!(desk.push(over), Reply::Pushed(_)));
    desk.sleep(SECOND);
    assert!(matches!(desk.push(message(2, &["q"])), Reply::Pushed(_)));
}

#[test]
fn a_full_table_of_queues_forgets_the_idlest() {
    let mut desk = Desk::with(Limits {
        queues_max: 2,
        ..LIMITS
    });
    desk.pop(pop("a", LeaseKind::Delivery));
    desk.sleep(SECOND);
    desk.pop(pop("b", LeaseKind::Delivery));
    desk.push(message(1, &["c"]));
    assert_eq!(desk.describe("a").last_pop, None);
    assert!(desk.describe("b").last_pop.is_some());
    let forgotten = Change::QueueForgotten(queue("a"));
    assert!(desk.changes.contains(&forgotten));

    let waiter = desk.wait(pop("b", LeaseKind::Delivery));
    assert!(is_full(&desk.push(message(2, &["b", "d"]))));
    assert!(is_full(&desk.ask(Op::Pop(pop("d", LeaseKind::Delivery)))));
    // A refused push has reached nobody and holds on to nothing.
    assert_eq!(desk.got(waiter), None);
    desk.ask(Op::Delete(id(1)));
    assert!(matches!(
        desk.push(message(2, &["b", "d"])),
        Reply::Pushed(_)
    ));
    assert_eq!(desk.got(waiter), Some(vec![id(2)]));
}

#[test]
fn looking_at_a_queue_does_not_make_it() {
    let mut desk = Desk::new();
    desk.peek("q");
    assert_eq!(desk.describe("q"), QueueInfo::default());
    desk.ack("q", &[id(1)]);
    desk.release("q", LeaseId(1), &[id(1)]);
    assert_eq!(desk.engine.queue_count(), 0);
}

#[test]
fn an_idle_queue_is_forgotten_after_a_while() {
    let mut desk = Desk::new();
    desk.pop(pop("q", LeaseKind::Delivery));
    desk.pop(pop("q", LeaseKind::Delivery));
    let second = START.seconds();
    let popped = Change::QueuePopped {
        queue: queue("q"),
        second,
    };
    assert_eq!(desk.changes, [popped], "told once a second");
    assert_eq!(desk.describe("q").last_pop, Some(second));
    let end = desk.engine.next_deadline().unwrap();
    assert_eq!(end, START.plus(LIMITS.queue_retention));
    desk.sleep(LIMITS.queue_retention);
    assert_eq!(desk.engine.queue_count(), 0);
    assert_eq!(desk.changes[1..], [Change::QueueForgotten(queue("q"))]);
    assert_eq!(desk.engine.next_deadline(), None);
}

#[test]
fn a_queue_in_use_is_not_forgotten() {
    let mut desk = Desk::new();
    let waiter = desk.wait(pop("q", LeaseKind::Delivery));
    desk.sleep(2 * LIMITS.queue_retention);
    assert!(desk.describe("q").blocked);
    desk.push(message(1, &["q"]));
    assert_eq!(desk.got(waiter), Some(vec![id(1)]));
    desk.sleep(LIMITS.queue_retention);
    assert_eq!(desk.engine.queue_count(), 1);
}

#[test]
fn a_description_lists_no_more_than_it_may() {
    let mut desk = Desk::with(Limits {
        listed_messages_max: 2,
        ..LIMITS
    });
    for number in 0..5 {
        desk.push(message(number, &["q"]));
    }
    let info = desk.describe("q");
    assert_eq!(info.size, 5);
    assert_eq!(info.low, [id(0), id(1)]);
    assert_eq!(info.high, []);
}
