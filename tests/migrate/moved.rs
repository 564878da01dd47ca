//! What is moved, and how it looks afterwards.

use serde_json::json;

use super::new::Store;
use super::old::Old;
use super::{assert_says, id, later, meta};

/// Everything that an old server keeps, once.
fn fill(old: &mut Old) {
    let [first, second, third, fourth, fifth] = [1, 2, 3, 4, 5].map(id);
    let later = later();
    old.fill(&format!(
        "
        RPUSH PB:Q|H:UNSEC:alice      PB:T|{first} PB:T|{second}
        RPUSH PB:Q|L:UNSEC:alice      PB:T|{third}
        RPUSH PB:Q|H:UNSEC:bob        PB:T|{second}
        RPUSH PB:Q|L:city:UNSEC:alice PB:T|{fifth}
        RPUSH PB:Q|H:SEC:alice        PB:T|{first}

        HSET PB:T|{first}:meta  payload one priority H expirationDate {later} callback http://c/ note n
        HSET PB:T|{second}:meta payload two priority H expirationDate {later}.5
        HSET PB:T|{third}:meta  payload three priority L expirationDate {later}
        HSET PB:T|{fourth}:meta payload four priority H expirationDate {later}
        HSET PB:T|{fifth}:meta  payload five priority L expirationDate {later}

        HSET PB:T|{first}:state  alice Pending
        HSET PB:T|{second}:state UNSEC:alice Pending UNSEC:bob Pending UNSEC:carol Delivered
        HSET PB:T|{third}:state  alice Pending bob Blocked
        HSET PB:T|{fourth}:state bob Delivered
        HSET PB:T|{fifth}:state  city:UNSEC:alice Pending carol Blocked

        HSET PB:Q|UNSEC:bob:userInfo        lastPopDate 1400000000 blocked false
        HSET PB:Q|city:UNSEC:carol:userInfo lastPopDate 1400000000 blocked true

        SET  SEC:alice      oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=
        SET  city:SEC:alice Kq687n87SAfWn2w7nztl35M2yHo=
        SADD team alice bob
        SADD city alice
        "
    ));
}

#[test]
fn everything_is_where_it_was() {
    let (mut old, store) = (Old::start(), Store::new());
    fill(&mut old);
    let summary = store.migrate_from(&old.address());
    let expected = format!(
        "moved: 4 transactions (8 messages), 2 groups, 2 users of secured queues
already there: 0 transactions, 0 groups, 0 users of secured queues
left: 1 transactions that wait in no queue: they have been delivered everywhere, as a rule ({})
left: 1 states Delivered of transactions that still wait elsewhere
left: 2 times of last pops: this version has no place for them
",
        id(4)
    );
    assert_eq!(summary, expected);

    let server = store.serve();
    let [first, second, third, fifth] = [1, 2, 3, 5].map(id);
    assert_eq!(
        server.get(&format!("/trans/{first}")),
        json!({"payload": "one", "priority": "H", "expirationDate": later_of(&server, &first),
            "callback": "http://c/", "note": "n"})
    );
    let states = |id: &str| server.get(&format!("/trans/{id}/state"))["data"].clone();
    assert_eq!(
        states(&second),
        json!({"alice": "Pending", "bob": "Pending"})
    );
    assert_eq!(
        states(&third),
        json!({"alice": "Pending", "bob": "Pending"})
    );
    assert_eq!(
        states(&fifth),
        json!({"alice": "Pending", "carol": "Pending"})
    );
    assert_eq!(
        server.listed("/queue/alice"),
        [vec![first.clone(), second.clone()], vec![third.clone()]]
    );
    assert_eq!(server.listed("/queue/bob"), [vec![second], vec![third]]);
    assert_eq!(server.pop("/queue/alice"), ["one", "two", "three"]);
    assert_eq!(server.pop("/queue/bob"), ["two", "three"]);
    assert_eq!(server.pop("/org/city/queue/alice"), ["five"]);
    // Its state named the queue by its id alone; the old server knew of one with it.
    assert_eq!(server.pop("/org/city/queue/carol"), ["five"]);
    assert_eq!(server.pop("/queue/carol"), [""; 0]);
    assert_eq!(server.get("/group/team")["queues"], json!(["alice", "bob"]));
    assert_eq!(server.get("/group/city")["queues"], json!(["alice"]));
    // What is in the secured queue of the same name is another message.
    assert_eq!(
        server.get(&format!("/trans/{first}?queues=summary"))["queues"],
        json!({"totalNotifications": 2, "Pending": 1, "Delivered": 1})
    );
}

fn later_of(server: &super::new::Server, id: &str) -> String {
    let date = server.get(&format!("/trans/{id}"))["expirationDate"].clone();
    let date = date.as_str().unwrap();
    let seconds: u64 = date.parse().unwrap();
    assert!(seconds.abs_diff(later()) < 60, "{date}");
    date.to_owned()
}

#[test]
fn a_repeat_moves_only_what_has_come_since() {
    let (mut old, store) = (Old::start(), Store::new());
    fill(&mut old);
    store.migrate_from(&old.address());
    let again = store.migrate_from(&old.address());
    assert_says(
        &again,
        "moved: 0 transactions (0 messages), 0 groups, 0 users of secured queues",
    );
    assert_says(
        &again,
        "already there: 4 transactions, 2 groups, 2 users of secured queues",
    );
    let server = store.serve();
    assert_eq!(server.pop("/queue/alice"), ["one", "two", "three"]);
    server.stop();

    let new = id(9);
    old.fill(&meta(9, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:alice PB:T|{new}"));
    old.fill("SADD team carol");
    let third = store.migrate_from(&old.address());
    assert_says(
        &third,
        "moved: 1 transactions (1 messages), 1 groups, 0 users of secured queues",
    );
    assert_says(
        &third,
        "already there: 4 transactions, 1 groups, 2 users of secured queues",
    );
    let server = store.serve();
    assert_eq!(server.pop("/queue/alice"), ["p9"], "and nothing twice");
    assert_eq!(
        server.get("/group/team")["queues"],
        json!(["alice", "bob", "carol"])
    );
}

#[test]
fn several_servers_are_one() {
    let (mut queues, mut others, mut transactions) = (Old::start(), Old::start(), Old::start());
    let store = Store::new();
    let [first, second] = [1, 2].map(id);
    queues.fill(&format!(
        "RPUSH PB:Q|H:UNSEC:a PB:T|{first} PB:T|{second}\nSADD g a"
    ));
    others.fill(&format!("RPUSH PB:Q|H:UNSEC:b PB:T|{first}\nSADD g b"));
    transactions.fill(&meta(1, "H"));
    others.fill(&meta(2, "H"));
    let from = [queues.address(), others.address(), queues.address()].join(",");
    let from_transactions = [transactions.address(), others.address()].join(",");
    let migration = store.migrate(&["--from", &from, "--from-transactions", &from_transactions]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    assert_eq!(
        migration.summary,
        "moved: 2 transactions (3 messages), 2 groups, 0 users of secured queues\nalready there: 0 transactions, 0 groups, 0 users of secured queues\n"
    );
    let server = store.serve();
    assert_eq!(server.pop("/queue/a"), ["p1", "p2"]);
    assert_eq!(server.pop("/queue/b"), ["p1"]);
    assert_eq!(server.get("/group/g")["queues"], json!(["a", "b"]));
}

#[test]
fn a_server_with_passwords_and_databases() {
    let mut old = Old::start_with(&["--requirepass", "se:cr@t"]);
    let store = Store::new();
    old.fill("AUTH se:cr@t\nACL SETUSER mover on >other ~* +@all\nSELECT 3");
    old.fill(&meta(1, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:a PB:T|{}", id(1)));
    let moved = "moved: 1 transactions (1 messages), 0 groups, 0 users of secured queues";
    assert_says(
        &store.migrate_from(&old.address_of(":se%3Acr%40t", 3)),
        moved,
    );
    assert_says(
        &Store::new().migrate_from(&old.address_of("mover:other", 3)),
        moved,
    );
    let elsewhere = store.migrate_from(&old.address_of("mover:other", 2));
    assert_says(
        &elsewhere,
        "moved: 0 transactions (0 messages), 0 groups, 0 users of secured queues",
    );
    for (login, reason) in [
        ("mover:wr0ng", "it answered AUTH with \"WRONGPASS"),
        (":wr0ng", "it answered AUTH with \"WRONGPASS"),
    ] {
        let address = old.address_of(login, 3);
        let migration = store.migrate(&["--from", &address]);
        assert_eq!(migration.code, Some(1), "{migration:?}");
        assert!(migration.errors.contains(reason), "{migration:?}");
        assert!(!migration.errors.contains("wr0ng"), "{migration:?}");
    }
    let migration = store.migrate(&["--from", &old.address()]);
    assert_eq!(migration.code, Some(1), "{migration:?}");
    assert!(migration.errors.contains("NOAUTH"), "{migration:?}");
}
