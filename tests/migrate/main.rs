//! `popbox migrate`: from a real Redis, filled as the old server would have, into a store that is then served.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod failures;
mod moved;
mod new;
mod old;
mod order;
mod process;
mod users;

use std::time::{SystemTime, UNIX_EPOCH};

/// The id of the `number`th transaction, of version 1 as the old server made them: later ones have later times.
fn id(number: u32) -> String {
    format!("{number:08x}-0000-11e0-8000-0242ac110002")
}

/// An end of life that does not come while a test runs.
fn later() -> u64 {
    now() + 3600
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The fields of the `number`th transaction, whose payload is `p<number>`.
fn meta(number: u32, priority: &str) -> String {
    let (id, later) = (id(number), later());
    format!("HSET PB:T|{id}:meta payload p{number} priority {priority} expirationDate {later}\n")
}

/// A line of a summary.
#[track_caller]
fn assert_says(summary: &str, line: &str) {
    assert!(
        summary.lines().any(|it| it == line),
        "no line\n{line}\nin\n{summary}"
    );
}
