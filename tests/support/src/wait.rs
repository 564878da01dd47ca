//! Waiting for what can be seen, and the bounds that tell "at once" from "after the timeout".

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Far above what an immediate answer takes on a busy machine, far below the timeouts that tests use (60 s).
const AT_ONCE: Duration = Duration::from_secs(8);

/// Polls until `holds`, and fails after ten seconds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "still not so after 10 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Polls until `found` gives what is expected, and fails after half a minute: for what takes a way through several
/// programs.
#[track_caller]
pub fn eventually_equal<T: Debug + PartialEq>(expected: &T, mut found: impl FnMut() -> T) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = found();
        if found == *expected {
            return;
        }
        if Instant::now() >= deadline {
            assert_eq!(found, *expected, "still so after 30 s");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// For what has no event of its own, such as a second waiter of a queue being registered.
pub fn pause() {
    thread::sleep(Duration::from_millis(250));
}

/// Fails when more time has passed than an immediate answer takes.
#[track_caller]
pub fn soon(since: Instant) {
    let taken = since.elapsed();
    assert!(taken < AT_ONCE, "took {taken:?}, expected at once");
}

/// Fails when less time than `minimum` has passed (with 100 ms of grace for coarse timers).
#[track_caller]
pub fn at_least(since: Instant, minimum: Duration) {
    let taken = since.elapsed();
    assert!(
        taken + Duration::from_millis(100) >= minimum,
        "took only {taken:?}, expected {minimum:?}"
    );
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
