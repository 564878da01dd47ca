//! Deliveries are counted, and what was delivered too often is a dead letter.

use super::*;

fn desk_with_max(deliveries_max: u32) -> Desk {
    Desk::with(Limits {
        deliveries_max,
        ..LIMITS
    })
}

/// Takes what there is, and lets the lease lapse; how often it has been delivered by now.
fn take_and_let_lapse(desk: &mut Desk, kind: LeaseKind) -> Vec<u32> {
    let counts = deliveries(&desk.ask(Op::Pop(pop("q", kind))));
    desk.sleep(SECOND);
    counts
}

fn deliveries(reply: &EngineReply) -> Vec<u32> {
    let Reply::Messages(handout) = reply else {
        panic!("{reply:?} hands out nothing");
    };
    handout.messages.iter().map(|it| it.deliveries).collect()
}

/// Messages 1 to `count`, each dead at its first lapse.
fn dead_letters(count: usize) -> Desk {
    let mut desk = desk_with_max(1);
    for number in 1..=count {
        desk.push(message(number, &["q"]));
    }
    take_and_let_lapse(&mut desk, LeaseKind::Reliable);
    desk
}

fn dead(desk: &mut Desk) -> Vec<TransactionId> {
    let list = Op::DeadLetters {
        queue: queue("q"),
        count_max: 10_000,
    };
    let Reply::DeadLetters(dead) = desk.ask(list) else {
        panic!("dead letters are dead letters");
    };
    assert_eq!(dead.size, dead.letters.len());
    assert_eq!(desk.describe("q").dead, dead.size);
    dead.letters.iter().map(|it| it.id).collect()
}

fn all(count_max: usize) -> DeadSelection {
    DeadSelection {
        queue: queue("q"),
        transactions: None,
        count_max,
    }
}

fn moved(moved: usize, left: usize) -> EngineReply {
    Reply::Moved { moved, left }
}

#[test]
fn each_hand_out_counts_unless_nothing_of_it_was_sent() {
    let mut desk = Desk::new();
    desk.push(message(1, &["q"]));
    assert_eq!(take_and_let_lapse(&mut desk, LeaseKind::Delivery), [1]);
    assert_eq!(take_and_let_lapse(&mut desk, LeaseKind::Reliable), [2]);
    for (reason, next) in [(Return::Unfinished, 4), (Return::Unsent, 4)] {
        let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
        desk.ask(Op::Release {
            queue: queue("q"),
            lease,
            transactions: ids,
            reason,
        });
        let handed = desk.ask(Op::Pop(pop("q", LeaseKind::Reliable)));
        assert_eq!(deliveries(&handed), [next], "after {reason:?}");
        let (lease, ids) = handed_out(&handed);
        desk.ask(Op::Release {
            queue: queue("q"),
            lease,
            transactions: ids,
            reason: Return::Unsent,
        });
    }
}

#[test]
fn what_lapses_once_too_often_is_dead() {
    let mut desk = desk_with_max(3);
    desk.push(message(1, &["q"]));
    for count in 1..=3 {
        assert_eq!(desk.states(id(1)), [State::Pending]);
        assert_eq!(take_and_let_lapse(&mut desk, LeaseKind::Reliable), [count]);
    }
    assert_eq!(desk.states(id(1)), [State::Dead]);
    assert_eq!((desk.peek("q"), dead(&mut desk)), (vec![], vec![id(1)]));
    assert_eq!(desk.describe("q").size, 0);
}

#[test]
fn a_delivery_that_lapses_never_makes_dead() {
    let mut desk = desk_with_max(1);
    desk.push(message(1, &["q"]));
    for _ in 0..5 {
        take_and_let_lapse(&mut desk, LeaseKind::Delivery);
        let (lease, ids) = desk.pop(pop("q", LeaseKind::Reliable));
        desk.release("q", lease, &ids);
    }
    assert_eq!(desk.peek("q"), [id(1)]);
    take_and_let_lapse(&mut desk, LeaseKind::Reliable);
    assert_eq!(desk.states(id(1)), [State::Dead]);
}

#[test]
fn a_subscription_that_lapses_early_makes_dead_too() {
    let mut desk = desk_with_max(1);
    desk.push(message(1, &["q"]));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Reliable));
    let release = Op::Release {
        queue: queue("q"),
        lease,
        transactions: ids,
        reason: Return::Lapsed,
    };
    assert_eq!(desk.ask(release), Reply::Released(1));
    assert_eq!(dead(&mut desk), [id(1)]);
}

#[test]
fn redriven_messages_are_as_new_and_in_their_old_places() {
    let mut desk = dead_letters(4);
    desk.push(message(5, &["q"]));
    assert_eq!(desk.ask(Op::Redrive(all(2))), moved(2, 2));
    assert_eq!(desk.peek("q"), [1, 2, 5].map(id));
    let selected = DeadSelection {
        transactions: Some(vec![id(4), id(1), id(9)]),
        ..all(10)
    };
    assert_eq!(desk.ask(Op::Redrive(selected)), moved(1, 1));
    assert_eq!(desk.peek("q"), [1, 2, 4, 5].map(id));
    let handed = desk.ask(Op::Pop(pop("q", LeaseKind::Delivery)));
    assert_eq!(deliveries(&handed), [1; 4]);
}

#[test]
fn who_waits_is_served_with_what_is_redriven() {
    let mut desk = dead_letters(2);
    let waiter = desk.wait(pop("q", LeaseKind::Delivery));
    assert_eq!(desk.ask(Op::Redrive(all(10))), moved(2, 0));
    assert_eq!(desk.got(waiter), Some(vec![id(1), id(2)]));
}

#[test]
fn purged_messages_are_gone_for_good() {
    let mut desk = dead_letters(3);
    assert_eq!(desk.ask(Op::Purge(all(2))), moved(2, 1));
    assert_eq!(desk.states(id(1)), [State::Expired]);
    assert_eq!(dead(&mut desk), [id(3)]);
    assert_eq!(desk.ack("q", &[id(1)]), Reply::Acked(vec![false]));
    assert_eq!(desk.ask(Op::Redrive(all(10))), moved(1, 0));
    assert_eq!(desk.peek("q"), [id(3)]);
}

#[test]
fn a_late_ack_of_a_dead_letter_delivers_it() {
    let mut desk = dead_letters(1);
    assert_eq!(desk.ack("q", &[id(1)]), Reply::Acked(vec![true]));
    assert_eq!(desk.states(id(1)), [State::Delivered]);
    assert_eq!(dead(&mut desk), []);
    assert_eq!(desk.ask(Op::Redrive(all(10))), moved(0, 0));
}

#[test]
fn dead_letters_end_with_their_transactions() {
    let mut desk = dead_letters(2);
    desk.ask(Op::Delete(id(1)));
    assert_eq!(dead(&mut desk), [id(2)]);
    desk.sleep(3600 * SECOND);
    assert_eq!(dead(&mut desk), []);
    assert_eq!(desk.engine.transaction_count(), 0);
}

#[test]
fn each_death_is_told_and_where_nobody_asks_nothing_else() {
    let mut desk = desk_with_max(1);
    desk.push(message(1, &["q"]));
    desk.ask(Op::Pop(pop("q", LeaseKind::Reliable)));
    let mut output = Output::default();
    desk.engine.advance(desk.now.plus(SECOND), &mut output);
    let died = Transition::Died { deliveries: 1 };
    assert_eq!(output.transitions, [(queue("q"), id(1), died)]);
    let ticket = Ticket {
        worker: 0,
        number: 9,
    };
    desk.engine
        .apply(desk.now, ticket, Op::Redrive(all(10)), &mut output);
    assert_eq!(output.replies, [(ticket, moved(1, 0))]);
    assert_eq!(output.transitions.len(), 1);
}

#[test]
fn nothing_is_told_of_a_hand_out_that_nobody_has_heard_of() {
    let mut desk = Desk::new();
    desk.engine = Engine::new(LIMITS, Told::All);
    desk.push(message(1, &["q"]));
    let Reply::Messages(handout) = desk.ask(Op::Pop(pop("q", LeaseKind::Reliable))) else {
        panic!("a pop is answered with messages");
    };
    let mut output = Output::default();
    desk.engine.take_back(desk.now, &handout, &mut output);
    assert_eq!(output.changes.len(), 1);
    assert_eq!(output.transitions, []);
}
