//! Users of secured queues: they come along as they are, once, and nobody gets to see what is kept of them.

use super::new::{Migration, Store};
use super::old::Old;
use super::{assert_says, id, meta};

/// Those of `u` with the passwords `p` and `q`.
const DIGESTS: [&str; 2] = [
    "oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=",
    "Kq687n87SAfWn2w7nztl35M2yHo=",
];

/// A migration that logs all it can.
#[track_caller]
fn migrate(store: &Store, arguments: &[&str]) -> Migration {
    let arguments = [&["--set", "log.level=trace"], arguments].concat();
    let migration = store.migrate(&arguments);
    let said = format!("{}{}", migration.summary, migration.errors);
    for secret in DIGESTS.into_iter().chain(["root:secret"]) {
        assert!(!said.contains(secret), "{said}");
    }
    migration
}

#[test]
fn they_come_along_once() {
    let (mut old, mut other, mut store) = (Old::start(), Old::start(), Store::new());
    let [first, second] = DIGESTS;
    old.fill(&format!(
        "SET SEC:alice {first}
        SET city:SEC:alice {second}"
    ));
    other.fill(&format!("SET SEC:bob {second}"));
    let addresses = [old.address(), other.address()].join(",");
    let migration = migrate(&store, &["--from", &addresses]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    assert_eq!(
        migration.summary,
        "moved: 0 transactions (0 messages), 0 groups, 3 users of secured queues\n\
         already there: 0 transactions, 0 groups, 0 users of secured queues\n"
    );

    // They have had a server, which leaves them as they are.
    store.serve().stop();
    old.fill(&format!(
        "SET SEC:alice {second}
        SET SEC:carol {first}"
    ));
    let again = migrate(&store, &["--from", &addresses]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(
        again.summary,
        "moved: 0 transactions (0 messages), 0 groups, 1 users of secured queues\n\
         already there: 0 transactions, 0 groups, 3 users of secured queues\n"
    );
    for (tag, digest) in [
        ("s-/alice", first),
        ("s+city/alice", second),
        ("s-/bob", second),
        ("s-/carol", first),
    ] {
        if let Some(kept) = store.kept_of_user(tag) {
            assert_eq!(kept, digest, "{tag}");
        }
    }
}

#[test]
fn what_is_no_user_is_left() {
    let (mut old, store) = (Old::start(), Store::new());
    let [first, second] = DIGESTS;
    let long = "x".repeat(1025);
    old.fill(&format!(
        "SET SEC:text root:secret
        SET SEC:long {first}x
        SET SEC: {first}
        SET :SEC:q {first}
        SET SEC:{long} {first}
        SET UNSEC:SEC:q {second}
        SET SEC:good {first}"
    ));
    old.command(&[b"SET", b"SEC:empty", b""]);
    let migration = migrate(&store, &["--from", &old.address()]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    let summary = migration.summary;
    assert_says(
        &summary,
        "moved: 0 transactions (0 messages), 0 groups, 1 users of secured queues",
    );
    for (line, keys) in [
        (
            "left: 3 users of secured queues of whom something else is kept than a digest (",
            &["\"SEC:text\"", "\"SEC:long\"", "\"SEC:empty\""][..],
        ),
        (
            "left: 3 users of secured queues whose name is empty or longer than limits.max_id (",
            &["\"SEC:\"", "\":SEC:q\""],
        ),
        (
            "left: 1 keys that are not the old server's (",
            &["\"UNSEC:SEC:q\""],
        ),
    ] {
        assert!(summary.contains(line), "{summary}");
        assert!(keys.iter().all(|it| summary.contains(it)), "{summary}");
    }
}

#[test]
fn a_name_that_can_be_read_in_two_ways_is_noted_once() {
    let (mut old, mut store) = (Old::start(), Store::new());
    let [first, second] = DIGESTS;
    old.fill(&meta(1, "H"));
    old.fill(&format!(
        "RPUSH PB:Q|H:a:SEC:SEC:q PB:T|{}
        SET a:SEC:SEC:q {first}
        SET b:SEC:SEC:q {second}",
        id(1)
    ));
    let migration = migrate(&store, &["--from", &old.address()]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    let summary = migration.summary;
    assert_says(
        &summary,
        "moved: 1 transactions (1 messages), 0 groups, 2 users of secured queues",
    );
    assert_says(
        &summary,
        "note: the names of 2 queues can be read in two ways; the first UNSEC: or SEC: was taken to end the tenant \
         (\"a:SEC:SEC:q\", \"b:SEC:SEC:q\")",
    );
    for (tag, digest) in [("s+a/SEC:q", first), ("s+b/SEC:q", second)] {
        if let Some(kept) = store.kept_of_user(tag) {
            assert_eq!(kept, digest, "{tag}");
        }
    }
}

#[test]
fn without_room_for_them_no_message_is_moved_that_others_could_claim() {
    let (mut old, store) = (Old::start(), Store::embedded());
    old.fill(&meta(1, "H"));
    old.fill(&format!("RPUSH PB:Q|H:SEC:a PB:T|{}", id(1)));
    for queue in ["a", "b", "c"] {
        old.fill(&format!("SET SEC:{queue} {}", DIGESTS[0]));
    }
    let address = old.address();
    let limit = "limits.max_secured_queues=2";
    let migration = migrate(&store, &["--from", &address, "--set", limit]);
    assert_eq!(migration.code, Some(1), "{migration:?}");
    let reason = "the store takes no more: no room: limits.max_secured_queues is reached";
    assert!(migration.errors.contains(reason), "{migration:?}");
    assert_says(
        &migration.summary,
        "moved: 0 transactions (0 messages), 0 groups, 2 users of secured queues",
    );
    let again = store.migrate_from(&address);
    assert_says(
        &again,
        "moved: 1 transactions (1 messages), 0 groups, 1 users of secured queues",
    );
    assert_says(
        &again,
        "already there: 0 transactions, 0 groups, 2 users of secured queues",
    );
}
