//! Repeats of pushes are known by their keys.

use super::*;

const LIFE: Duration = Duration::from_mins(1);

/// A push by a key, that says something different for each `content`.
fn keyed(number: usize, tenant: Option<&str>, text: &str, content: u8) -> Push {
    let idempotency = Idempotency {
        key: IdempotencyKey {
            realm: Realm::Plain,
            tenant: Tenant(tenant.map(Into::into)),
            text: text.into(),
        },
        fingerprint: [content; 16],
        life: LIFE,
    };
    Push {
        idempotency: Some(idempotency.into()),
        may_repeat: false,
        ..message(number, &["q"])
    }
}

#[test]
fn a_repeat_is_answered_with_the_first_id_and_not_pushed() {
    let mut desk = Desk::new();
    assert_eq!(desk.push(keyed(1, None, "k", 0)), Reply::Pushed(id(1)));
    assert_eq!(desk.push(keyed(2, None, "k", 0)), Reply::Pushed(id(1)));
    let (lease, ids) = desk.pop(pop("q", LeaseKind::Delivery));
    assert_eq!(ids, [id(1)]);
    desk.settle("q", lease, &ids);
    desk.ask(Op::Delete(id(1)));
    // Whatever has become of the first one.
    assert_eq!(desk.push(keyed(3, None, "k", 0)), Reply::Pushed(id(1)));
    assert_eq!(desk.peek("q"), []);
}

#[test]
fn another_push_by_the_same_key_is_refused() {
    let mut desk = Desk::new();
    desk.push(keyed(1, None, "k", 0));
    let refused = Reply::Refused(Refusal::OtherPush);
    assert_eq!(desk.push(keyed(2, None, "k", 1)), refused);
    assert_eq!(desk.peek("q"), [id(1)]);
}

#[test]
fn keys_of_two_tenants_are_two() {
    let mut desk = Desk::new();
    for (number, tenant) in [(1, None), (2, Some("")), (3, Some("org"))] {
        let reply = desk.push(keyed(number, tenant, "k", 0));
        assert_eq!(reply, Reply::Pushed(id(number)));
    }
}

#[test]
fn a_key_is_forgotten_after_its_life() {
    let mut desk = Desk::new();
    desk.push(keyed(1, None, "k", 0));
    desk.sleep(LIFE / 2);
    desk.push(keyed(2, None, "k", 0));
    assert_eq!(desk.engine.next_deadline(), Some(START.plus(LIFE)));
    desk.sleep(LIFE / 2);
    assert!(
        desk.changes
            .iter()
            .any(|it| matches!(it, Change::KeyForgotten(_)))
    );
    assert_eq!(desk.push(keyed(3, None, "k", 1)), Reply::Pushed(id(3)));
}

#[test]
fn a_refused_push_leaves_no_key() {
    let mut desk = Desk::with(Limits {
        transactions_max: 1,
        ..LIMITS
    });
    desk.push(message(1, &["q"]));
    let full = desk.push(keyed(2, None, "k", 0));
    assert!(matches!(full, Reply::Refused(Refusal::Full(_))));
    desk.ask(Op::Delete(id(1)));
    assert_eq!(desk.push(keyed(3, None, "k", 1)), Reply::Pushed(id(3)));
}

#[test]
fn only_so_many_keys_are_remembered() {
    let mut desk = Desk::with(Limits {
        idempotency_keys_max: 2,
        ..LIMITS
    });
    desk.push(keyed(1, None, "a", 0));
    desk.push(keyed(2, None, "b", 0));
    let full = Refusal::Full("limits.max_idempotency_keys is reached");
    assert_eq!(desk.push(keyed(3, None, "c", 0)), Reply::Refused(full));
    assert_eq!(desk.push(keyed(4, None, "b", 0)), Reply::Pushed(id(2)));
    assert!(matches!(desk.push(message(5, &["q"])), Reply::Pushed(_)));
    desk.sleep(LIFE);
    assert_eq!(desk.push(keyed(6, None, "c", 0)), Reply::Pushed(id(6)));
}
