//! Whether the load generator tells a sound server from one that loses or repeats messages, or refuses requests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inbox;

use std::process::{Command, Output};

use inbox::{Inbox, Vice};
use serde_json::Value;

/// A short run of `command` against a server with this vice: what it said, and its report.
fn run(vice: Vice, command: &str, arguments: &[&str]) -> (Output, Value) {
    let inbox = Inbox::start(vice);
    let json = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
        .args([command, "--target", &inbox.url(), "--json"])
        .arg(json.path())
        .args(arguments)
        .output()
        .unwrap();
    let text = std::fs::read_to_string(json.path()).unwrap();
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("no report ({error}): {said}")
    });
    (output, report)
}

fn wake(vice: Vice) -> (Output, Value) {
    let line = "--waiters 20 --rate 200 --warmup 100ms --duration 400ms --settle 0 --patience 500ms --timeout 1";
    let mut arguments: Vec<&str> = line.split(' ').collect();
    arguments.extend(["--threads", "2", "--pushers", "3", "--seed", "5"]);
    run(vice, "wake", &arguments)
}

fn pair(vice: Vice) -> (Output, Value) {
    let line = "--connections 4 --warmup 0 --duration 300ms --patience 2s";
    run(vice, "pair", &line.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_sound_server_passes() {
    let (output, report) = wake(Vice::None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], 100);
    assert_eq!(report["received"], 100);
    assert_eq!(report["measured"], 80, "the warm-up does not count");
    assert_eq!(report["lost"], 0);
    assert_eq!(report["duplicated"], 0);
    assert!(report["wake_ms_p50"].as_f64().unwrap() > 0.0);

    let (output, report) = pair(Vice::None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], report["received"]);
    assert!(report["pairs_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn losses_are_found() {
    let (output, report) = wake(Vice::LosesEvery(10));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["lost"], 10);
    assert_eq!(report["received"], 90);

    let (output, report) = pair(Vice::LosesEvery(10));
    assert_eq!(output.status.code(), Some(1));
    let lost = report["lost"].as_u64().unwrap();
    assert!(lost >= 1);
    assert_eq!(report["empty"].as_u64().unwrap(), lost);
}

#[test]
fn repetitions_are_found() {
    let (output, report) = wake(Vice::RepeatsEvery(10));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["lost"], 0);
    // The last ones may come when nobody waits any more.
    assert!(report["duplicated"].as_u64().unwrap() >= 5, "{report}");

    let (output, report) = pair(Vice::RepeatsEvery(10));
    assert_eq!(output.status.code(), Some(1));
    assert!(report["duplicated"].as_u64().unwrap() >= 1);
}

#[test]
fn what_is_refused_is_not_lost() {
    let (output, report) = wake(Vice::RefusesEvery(10));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["refused"], 10);
    assert_eq!(report["refused_503"], 10, "by status, too");
    assert_eq!(report["pushed"], 90);
    assert_eq!(report["lost"], 0);
}

#[test]
fn what_is_pushed_can_be_drained() {
    let inbox = Inbox::start(Vice::None);
    let loadtest = |line: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
            .args(line.split(' '))
            .args(["--target", &inbox.url()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let count = |report: &str, label: &str| -> u64 {
        let line = report.lines().find_map(|line| line.strip_prefix(label));
        line.unwrap().trim().parse().unwrap()
    };
    let pushed = loadtest("push --connections 3 --queues 5 --warmup 0 --duration 200ms");
    let popped = loadtest("pop --connections 2 --queues 5 --max 7");
    assert!(count(&pushed, "pushed  ") > 0);
    assert_eq!(count(&pushed, "pushed  "), count(&popped, "received  "));
}

#[test]
fn waiters_are_held_and_posted_anew() {
    let line = "--waiters 5 --warmup 0 --duration 1500ms --timeout 1";
    let mut arguments: Vec<&str> = line.split(' ').collect();
    let this = format!("test={}", std::process::id());
    arguments.extend(["--pid", &this]);
    let (output, report) = run(Vice::None, "hold", &arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["empty"], 5);
    assert!(report["test_resident_kib"].as_u64().unwrap() > 0);
}

#[test]
fn a_server_that_is_not_there_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
        // Nobody serves on the port of discarded bytes.
        .args(["push", "--target", "http://127.0.0.1:9"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot connect"), "{said}");
}
