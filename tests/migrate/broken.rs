//! What makes no sense is left, counted, and named; nothing of it holds up the rest.

use super::new::Store;
use super::old::Old;
use super::{assert_says, id, later, meta, now};

/// One good message behind everything that is broken.
fn good(old: &mut Old) {
    old.fill(&meta(100, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:q PB:T|{}", id(100)));
}

#[track_caller]
fn assert_only_good_moved(store: &Store, summary: &str) {
    assert_says(
        summary,
        "moved: 1 transactions (1 messages), 0 groups, 0 users of secured queues",
    );
    assert_eq!(store.serve().pop("/queue/q"), ["p100"]);
}

#[test]
fn transactions_at_their_end() {
    let (mut old, store) = (Old::start(), Store::new());
    let [gone, over] = [1, 2].map(id);
    let past = now() - 1;
    old.fill(&format!(
        "
        RPUSH PB:Q|H:UNSEC:q PB:T|{gone} PB:T|{over}
        HSET PB:T|{gone}:state q Pending
        HSET PB:T|{over}:meta payload x priority H expirationDate {past}
        HSET PB:T|{over}:state q Pending
        "
    ));
    good(&mut old);
    let summary = store.migrate_from(&old.address());
    assert_says(
        &summary,
        &format!("left: 1 transactions that have expired ({over}: expirationDate)"),
    );
    assert_says(
        &summary,
        &format!("left: 1 transactions without fields: they have expired, as a rule ({gone})"),
    );
    assert_only_good_moved(&store, &summary);
}

#[test]
fn ids_and_entries_that_name_nothing() {
    let (mut old, store) = (Old::start(), Store::new());
    let upper = id(0xABC).to_uppercase();
    old.fill(&format!(
        "
        RPUSH PB:Q|H:UNSEC:q PB:T|7 PB:T|{upper} {} PB:T|
        HSET PB:T|7:meta payload x priority H expirationDate {}
        HSET PB:T|7:state q Pending
        ",
        id(1),
        later(),
    ));
    old.command(&[b"RPUSH", b"PB:Q|H:UNSEC:q", b"PB:T|\xff\n", b""]);
    good(&mut old);
    old.fill(&format!("RPUSH PB:Q|L:UNSEC:q PB:T|{0} PB:T|{0}", id(100)));
    let summary = store.migrate_from(&old.address());
    assert_says(
        &summary,
        &format!(
            "left: 2 entries of queues that name no transaction (\"{}\", \"\")",
            id(1)
        ),
    );
    let odd = "left: 4 transactions whose id is no UUID in lower case with hyphens (";
    assert!(summary.contains(odd), "{summary}");
    assert_says(
        &summary,
        &format!(
            "left: 2 entries of queues that name a transaction again ({}, ...)",
            id(100)
        ),
    );
    assert_only_good_moved(&store, &summary);
}

#[test]
fn fields_that_make_no_sense() {
    let (mut old, store) = (Old::start(), Store::new());
    let later = later();
    for (number, fields) in [
        (1, format!("priority H expirationDate {later}")),
        (2, "payload x priority H".to_owned()),
        (3, "payload x priority H expirationDate soon".to_owned()),
        (4, "payload x priority H expirationDate -5".to_owned()),
        (
            5,
            "payload x priority H expirationDate 99999999999".to_owned(),
        ),
    ] {
        let id = id(number);
        old.fill(&format!(
            "RPUSH PB:Q|H:UNSEC:q PB:T|{id}\nHSET PB:T|{id}:meta {fields}"
        ));
    }
    let text = id(6);
    old.fill(&meta(6, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:q PB:T|{text}"));
    let key = format!("PB:T|{text}:meta");
    old.command(&[b"HSET", key.as_bytes(), b"payload", b"\xff\xfe"]);
    // Out with a consumer, and nobody knows with what priority.
    let blocked = id(7);
    old.fill(&format!(
        "HSET PB:T|{blocked}:meta payload x priority X expirationDate {later}
        HSET PB:T|{blocked}:state q Blocked"
    ));
    let long = id(8);
    old.fill(&meta(8, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:q PB:T|{long}"));
    let key = format!("PB:T|{long}:meta");
    let payload = "x".repeat(1_048_577);
    old.command(&[b"HSET", key.as_bytes(), b"payload", payload.as_bytes()]);
    good(&mut old);
    let summary = store.migrate_from(&old.address());
    let broken = format!(
        "left: 7 transactions whose fields are missing or make no sense ({}: priority, ",
        id(7)
    );
    assert!(summary.contains(&broken), "{summary}");
    assert_says(
        &summary,
        &format!(
            "left: 1 transactions with a payload longer than limits.max_payload ({long}: payload)"
        ),
    );
    assert_only_good_moved(&store, &summary);
}

#[test]
fn keys_of_another_type() {
    let (mut old, store) = (Old::start(), Store::new());
    let [first, second, third] = [1, 2, 3].map(id);
    old.fill(&format!(
        "
        HSET  PB:Q|H:UNSEC:hash x y
        SET   PB:Q|L:UNSEC:text x
        RPUSH PB:Q|UNSEC:q:userInfo x
        SET   PB:T|{first}:meta x
        RPUSH PB:Q|H:UNSEC:q PB:T|{first}
        SET   PB:T|{second}:state x
        SADD  PB:T|{third} x
        SADD  PB:other x
        RPUSH list x
        HSET  hash x y
        ZADD  sorted 1 x
        SET   text x
        SET   XSEC:q x
        "
    ));
    old.fill(&meta(2, "H"));
    old.fill(&format!("RPUSH PB:Q|H:UNSEC:r PB:T|{second}"));
    old.command(&[b"SET", b"\xff\r\n", b"x"]);
    let summary = store.migrate_from(&old.address());
    assert_says(
        &summary,
        "moved: 1 transactions (1 messages), 0 groups, 0 users of secured queues",
    );
    assert!(
        summary.contains("left: 5 keys that do not hold what their name says ("),
        "{summary}"
    );
    assert!(
        summary.contains("left: 8 keys that are not the old server's ("),
        "{summary}"
    );
    assert_eq!(store.serve().pop("/queue/r"), ["p2"]);
}

#[test]
fn queues_that_nobody_could_ask_for() {
    let (mut old, store) = (Old::start(), Store::new());
    old.fill(&meta(1, "H"));
    let entry = format!("PB:T|{}", id(1));
    let long = format!("PB:Q|H:UNSEC:{}", "x".repeat(1025));
    for key in [
        &b"PB:Q|H:UNSEC:"[..],
        b"PB:Q|L::UNSEC:q",
        b"PB:Q|H:UNSEC:\xff",
        b"PB:Q|H:nothing",
        long.as_bytes(),
    ] {
        old.command(&[b"RPUSH", key, entry.as_bytes()]);
    }
    good(&mut old);
    let summary = store.migrate_from(&old.address());
    let left = "left: 5 messages in queues whose name is empty, not UTF-8, longer than limits.max_id or without UNSEC: ";
    assert!(summary.contains(left), "{summary}");
    assert_only_good_moved(&store, &summary);
}

#[test]
fn names_that_can_be_read_in_two_ways() {
    let (mut old, store) = (Old::start(), Store::new());
    old.fill(&meta(1, "H"));
    old.fill(&format!(
        "RPUSH PB:Q|H:a:UNSEC:UNSEC:q PB:T|{0}\nRPUSH PB:Q|H:a:UNSEC:q PB:T|{0}",
        id(1)
    ));
    let summary = store.migrate_from(&old.address());
    assert_says(
        &summary,
        "note: the names of 1 queues can be read in two ways; the first UNSEC: or SEC: was taken to end the tenant \
         (\"a:UNSEC:UNSEC:q\")",
    );
    let server = store.serve();
    assert_eq!(server.pop("/org/a/queue/UNSEC:q"), ["p1"]);
    assert_eq!(server.pop("/org/a/queue/q"), ["p1"]);
}

#[test]
fn states_that_do_not_fit() {
    let (mut old, store) = (Old::start(), Store::new());
    let first = id(1);
    old.fill(&meta(1, "H"));
    old.fill(&format!(
        "RPUSH PB:Q|H:UNSEC:q PB:T|{first}
        HSET PB:T|{first}:state UNSEC:q Pending UNSEC:lost Pending UNSEC:x Borrowed UNSEC:y Expired"
    ));
    let key = format!("PB:T|{first}:state");
    old.command(&[b"HSET", key.as_bytes(), b"\xff", b"Blocked"]);
    let summary = store.migrate_from(&old.address());
    assert_says(
        &summary,
        &format!(
            "left: 1 states Pending where the queue does not hold the message ({first} in \"UNSEC:lost\")"
        ),
    );
    assert!(
        summary.contains("left: 2 states that make no sense ("),
        "{summary}"
    );
    assert_says(
        &summary,
        "moved: 1 transactions (1 messages), 0 groups, 0 users of secured queues",
    );
}

#[test]
fn what_is_more_than_the_limits_allow() {
    let (mut old, store) = (Old::start(), Store::new());
    for queue in ["a", "b", "c", "q"] {
        old.fill(&format!("RPUSH PB:Q|H:UNSEC:{queue} PB:T|{}", id(1)));
    }
    old.fill(&meta(1, "H"));
    old.fill("SADD large a b c d\nSADD good a b c");
    old.command(&[b"SADD", b"odd\xff", b"a"]);
    old.command(&[b"SADD", b"odd", b"\xff"]);
    good(&mut old);
    let address = old.address();
    let migration = store.migrate(&["--from", &address, "--set", "limits.max_queues=3"]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    let summary = migration.summary;
    assert_says(
        &summary,
        "moved: 1 transactions (1 messages), 1 groups, 0 users of secured queues",
    );
    assert_says(
        &summary,
        &format!(
            "left: 1 transactions for more queues than limits.max_queues ({})",
            id(1)
        ),
    );
    assert_says(
        &summary,
        "left: 1 groups with more queues than limits.max_queues (\"large\")",
    );
    assert!(
        summary.contains("left: 2 groups where a name is "),
        "{summary}"
    );
}
