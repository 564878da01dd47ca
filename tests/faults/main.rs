//! No message lost, no waiter forgotten: real servers under load, while everything under and around them breaks.
//!
//! Producers push to 60 queues, consumers take from them in every way there is, rude clients vanish at every moment.
//! Meanwhile servers are killed, stopped, cut off. What was acknowledged, what came out and when is in a ledger, and
//! the verdict is made from that. How long, with which seed and on which layout: see `plan.rs`.
//!
//! A module is a part of the site (`agent`, `site`), of those who use it (`producer`, `repeater`, `consumer`, `rude`,
//! `redriver`), of the faults (`fault`, `wires`, `schedule`, `course`, `probe`), or of the judgement (`ledger`,
//! `examination`, `verdict`, `report`). `clock` and `disk` have tests of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod arrangement;
mod caller;
mod calm;
mod clock;
mod consumer;
mod course;
mod disk;
mod examination;
mod fault;
mod ledger;
mod letter;
mod outlet;
mod plan;
mod probe;
mod producer;
mod redriver;
mod repeater;
mod report;
mod rude;
mod schedule;
mod shim;
mod site;
mod stage;
mod trial;
mod verdict;
mod wires;
mod world;

use std::fs;

use plan::Plan;

/// One test, because layouts must not share the machine: each would be the other's fault.
#[test]
fn no_message_is_lost_and_no_waiter_forgotten() {
    let plan = Plan::of_this_run();
    let mut verdicts = Vec::new();
    for &arrangement in &plan.arrangements {
        let verdict = trial::run(arrangement, &plan);
        println!("{}", report::section(&verdict));
        println!("{}", report::slowest(&verdict));
        verdicts.push(verdict);
        // After each layout, so that a run that is ended early leaves what it has found.
        if let Some(path) = &plan.report {
            fs::write(path, report::report(&plan, &verdicts)).unwrap();
        }
    }
    let findings: usize = verdicts.iter().map(|verdict| verdict.findings.len()).sum();
    assert_eq!(findings, 0, "seed {}: see the findings above", plan.seed);
}
