//! What a run has shown, as Markdown that can be read as it is.

use std::fmt::Write as _;
use std::time::Duration;

use super::plan::Plan;
use super::verdict::Verdict;

/// The whole of it.
pub(crate) fn report(plan: &Plan, verdicts: &[Verdict]) -> String {
    let mut text = format!(
        "# Messages and waiters under faults\n\nSeed {}, {} s of load on each layout.\n",
        plan.seed,
        plan.load.as_secs()
    );
    for verdict in verdicts {
        text.push_str(&section(verdict));
    }
    text
}

/// That of one layout, fit to be published.
pub(crate) fn section(verdict: &Verdict) -> String {
    let mut text = format!("\n## {}\n\n", verdict.arrangement.name());
    text.push_str(&faults(verdict));
    text.push_str(&counts(verdict));
    text.push_str(&findings(verdict));
    text
}

/// What held a layout up: for whoever reads the output of the run.
pub(crate) fn slowest(verdict: &Verdict) -> String {
    let mut text = format!("The last to come, {}:\n", verdict.arrangement.name());
    for slow in &verdict.slowest {
        let _ = writeln!(text, "- {slow}");
    }
    text
}

fn faults(verdict: &Verdict) -> String {
    let mut names: Vec<&str> = verdict
        .disturbances
        .iter()
        .flat_map(|disturbance| disturbance.faults.iter().copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::from(
        "Recovery is the time from the end of a fault until the last of all waiters has got a message that was pushed \
         after it.\n\n\
         | fault | alone | recovery, median | longest | messages again | with others | longest recovery |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for name in names {
        let (mut alone, mut together, mut again) = (Vec::new(), Vec::new(), 0);
        for (disturbance, again_by_it) in verdict.disturbances.iter().zip(&verdict.again) {
            if disturbance.faults == [name] {
                alone.push(disturbance.recovery.took);
                again += again_by_it;
            } else if disturbance.faults.contains(&name) {
                together.push(disturbance.recovery.took);
            }
        }
        alone.sort_unstable();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {again} | {} | {} |",
            alone.len(),
            seconds(alone.get(alone.len() / 2)),
            seconds(alone.last()),
            together.len(),
            seconds(together.iter().max()),
        );
    }
    text
}

fn counts(verdict: &Verdict) -> String {
    let counts = &verdict.counts;
    let rows = [
        ("pushes", counts.pushes),
        ("of these with a key", counts.keyed),
        ("repeats of these", counts.repeats),
        ("messages acknowledged", counts.acknowledged),
        ("messages received", counts.received),
        ("in doubt: the push got no answer, or 503", counts.in_doubt),
        ("of these received", counts.in_doubt_received),
        ("received again, plain queues", counts.again_plain),
        ("received again, reliable queues", counts.again_reliable),
        (
            "ended before anybody took them, as they were told to",
            counts.ended_unseen,
        ),
        (
            "gone with a client that had left, plain queues",
            counts.gone_with_clients,
        ),
        ("clients that left before their answer", counts.departures),
        ("out of order", counts.out_of_order),
        (
            "first deliveries, where `deliveries` had to be 1",
            counts.first_deliveries,
        ),
        ("messages that became dead letters", counts.died),
        ("dead letters put back", counts.redriven),
        ("states looked at, of what was received", counts.sampled),
    ];
    let mut text = String::from("\n| | |\n|---|---|\n");
    let storm = seconds(Some(&verdict.storm));
    let _ = writeln!(
        text,
        "| the machine was busy with something else for | {storm} |"
    );
    for (name, count) in rows {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    text
}

fn findings(verdict: &Verdict) -> String {
    if verdict.findings.is_empty() {
        return "\nNothing lost, nothing pushed twice, nothing delivered twice without a cause, nobody forgotten, \
                nothing stuck, no ghosts.\n".to_owned();
    }
    let mut text = format!("\n{} findings:\n\n", verdict.findings.len());
    for finding in &verdict.findings {
        let _ = writeln!(text, "- {:?}: {}", finding.kind, finding.text);
    }
    text
}

fn seconds(time: Option<&Duration>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| format!("{:.2} s", time.as_secs_f64()),
    )
}
