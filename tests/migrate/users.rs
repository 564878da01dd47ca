//! Users of secured queues: they come along as they are, once, and nobody gets to see what is kept of them.

use popbox_test_support::{Durability, Layout, Queue, Settings, get, popbox};
use serde_json::json;

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

#[test]
fn a_login_of_the_old_server_opens_its_queue_and_is_kept_as_a_slow_hash_from_then_on() {
    let (mut old, layout) = (Old::start(), Layout::fresh());
    let [first, second] = DIGESTS;
    for (number, queue, digest) in [(1, "SEC:alice", first), (2, "city:SEC:alice", second)] {
        old.fill(&meta(number, "H"));
        old.fill(&format!(
            "RPUSH PB:Q|H:{queue} PB:T|{}
            SET {queue} {digest}",
            id(number)
        ));
    }
    let mut command = popbox();
    command.args(["migrate", "--from", &old.address()]);
    for (key, value) in layout.settings(Durability::Sync) {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let migration = Migration::of(&mut command);
    assert_eq!(migration.code, Some(0), "{migration:?}");

    // What is kept can be seen in Redis alone.
    let kept = |tag| {
        let servers = layout.redis_servers();
        let key = format!("pb:c:{{{tag}}}");
        servers.last().map(|it| it.call(&["GET", &key]).text())
    };
    let start = || Settings::on(&layout).with_tls().start();
    let server = start();
    for (queue, tag, digest, password, wrong, payload) in [
        (Queue::named("alice"), "s-/alice", first, "p", "q", "p1"),
        (
            Queue::of("city", "alice"),
            "s+city/alice",
            second,
            "q",
            "p",
            "p2",
        ),
    ] {
        let peek = get(queue.route("peek"));
        for wrong in [wrong, "", digest] {
            let mut client = server.secured_client();
            client
                .call(&peek.clone().login("u", wrong))
                .assert_unauthorized();
        }
        assert!(kept(tag).is_none_or(|kept| kept == digest), "{tag}");
        let mut owner = server.secured_client().login("u", password);
        assert_eq!(owner.peek(&queue).data, [payload]);
        if let Some(kept) = kept(tag) {
            assert!(kept.starts_with("u:$argon2id$"), "{tag}: {kept}");
        }
    }
    server.stop();

    let server = start();
    let queue = Queue::named("alice");
    server
        .secured_client()
        .call(&get(queue.route("peek")).login("u", "q"))
        .assert_unauthorized();
    let mut owner = server.secured_client().login("u", "p");
    assert_eq!(owner.pop(&queue, &json!({})).data, ["p1"]);
}
