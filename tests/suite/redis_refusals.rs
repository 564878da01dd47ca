//! Redis servers that would lose messages are refused at the start, with the reason; and one that may, is warned of.

use crate::support::{Layout, Redis, Refusal, Settings, eventually};

/// A refusal with a line that names the server and has one of these words.
#[track_caller]
fn assert_refused(refusal: &Refusal, redis: &Redis, words: &[&str]) {
    assert!(!refusal.status.success(), "{refusal:?}");
    assert!(!refusal.stdout.contains("popbox ready"), "{refusal:?}");
    assert!(!refusal.stderr.contains("panicked"), "{refusal:?}");
    let address = redis.address();
    let said = refusal.stderr.lines().any(|line| {
        let reason = line.to_lowercase();
        line.contains(&address) && words.iter().any(|word| reason.contains(word))
    });
    assert!(said, "{address}, {words:?}: {}", refusal.stderr);
}

#[track_caller]
fn refusal(layout: &std::sync::Arc<Layout>) -> Refusal {
    let refusal = Settings::on(layout).try_start().err();
    refusal.expect("refused")
}

/// What is written to a replica is lost when it hears from its master.
#[test]
fn a_replica_is_refused() {
    let Some(layout) = Layout::redis_with(&["--replicaof", "127.0.0.1", "1"]) else {
        return;
    };
    assert_refused(
        &refusal(&layout),
        layout.redis_servers()[0],
        &["replica", "slave"],
    );
}

/// Keys of one queue would be on several nodes.
#[test]
fn a_cluster_is_refused() {
    let Some(layout) = Layout::redis_with(&["--cluster-enabled", "yes"]) else {
        return;
    };
    assert_refused(&refusal(&layout), layout.redis_servers()[0], &["cluster"]);
}

/// With eviction Redis throws away what was acknowledged; but an operator may know better.
#[test]
fn an_evicting_policy_is_warned_of() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let flags = ["--maxmemory", "100mb", "--maxmemory-policy", policy];
        let Some(layout) = Layout::redis_with(&flags) else {
            return;
        };
        let server = Settings::on(&layout).start();
        let address = layout.redis_servers()[0].address();
        eventually("the log warns of it", || {
            server.stderr().lines().any(|line| {
                line.contains("WARN") && line.contains("noeviction") && line.contains(&address)
            })
        });
        server.client().assert_alive();
    }
}

#[test]
fn a_server_that_never_evicts_is_not_warned_of() {
    let flags = ["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"];
    let Some(layout) = Layout::redis_with(&flags) else {
        return;
    };
    let server = Settings::on(&layout).start();
    server.client().assert_alive();
    assert!(
        !server.stderr().contains("noeviction"),
        "{}",
        server.stderr()
    );
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let Some(layout) = Layout::redis_with(&["--requirepass", "open-sesame"]) else {
        return;
    };
    let redis = layout.redis_servers()[0];
    let wrong = format!("[{:?}]", redis.url_with_password("close-sesame"));
    let refusal = Settings::on(&layout)
        .set("redis.queues", wrong)
        .try_start()
        .err()
        .expect("refused");
    assert_refused(&refusal, redis, &["password", "wrongpass", "auth"]);
    assert!(!refusal.stderr.contains("sesame"), "{}", refusal.stderr);
}

#[test]
fn a_missing_password_is_refused() {
    let Some(layout) = Layout::redis_with(&["--requirepass", "open-sesame"]) else {
        return;
    };
    let redis = layout.redis_servers()[0];
    let refusal = Settings::on(&layout)
        .set("redis.queues", format!("redis://{}/0", redis.address()))
        .try_start()
        .err()
        .expect("refused");
    assert_refused(&refusal, redis, &["password", "noauth", "auth"]);
}

#[test]
fn the_right_password_is_taken_and_not_shown() {
    let Some(layout) = Layout::redis_with(&["--requirepass", "open-sesame"]) else {
        return;
    };
    let server = Settings::on(&layout).set("log.level", "debug").start();
    server.client().assert_alive();
    assert!(!server.stderr().contains("sesame"), "{}", server.stderr());
}

/// The number at the end of the address is kept to: another one is another store.
#[test]
fn a_database_is_a_store_of_its_own() {
    let Some(layout) = Layout::redis_with(&[]) else {
        return;
    };
    let redis = layout.redis_servers()[0];
    let in_zero = Settings::on(&layout).start();
    let in_three = Settings::on(&layout)
        .set("redis.queues", format!("redis://{}/3", redis.address()))
        .start();
    let q = crate::support::Queue::fresh();
    in_zero.client().push(&q, "zero");
    assert!(in_three.client().peek(&q).is_empty());
    in_three.client().push(&q, "three");
    assert_eq!(in_zero.client().peek(&q).data, ["zero"]);
    assert_eq!(in_three.client().peek(&q).data, ["three"]);
}
