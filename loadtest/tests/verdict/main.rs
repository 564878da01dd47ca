//! Whether the load generator tells a sound server from one that loses or repeats messages, or refuses requests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inbox;
mod peers;

use std::process::{Command, Output};

use inbox::{Inbox, Vice};
use serde_json::Value;

/// A short run of `command` against a server with this vice: what it said, and its report.
fn run(vice: Vice, command: &str, arguments: &[&str]) -> (Output, Value) {
    run_at(&Inbox::start(vice), command, arguments)
}

/// The same against this server.
fn run_at(inbox: &Inbox, command: &str, arguments: &[&str]) -> (Output, Value) {
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

/// A run that ends with this code before there is a report: what it said.
fn fails(inbox: &Inbox, command: &str, arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
        .args([command, "--target", &inbox.url()])
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn wake(vice: Vice) -> (Output, Value) {
    let line = "--waiters 20 --rate 200 --warmup 100ms --duration 400ms --settle 0 --patience 500ms --timeout 1";
    let mut arguments: Vec<&str> = line.split(' ').collect();
    arguments.extend(["--threads", "2", "--pushers", "3", "--seed", "5"]);
    run(vice, "wake", &arguments)
}

/// Twenty pushes to four queues each.
fn fanout(vice: Vice) -> (Output, Value) {
    let line = "--waiters 10 --queues 4 --rate 50 --warmup 0 --duration 400ms --settle 0 --patience 500ms --timeout 1";
    run(vice, "fanout", &line.split(' ').collect::<Vec<_>>())
}

/// A hundred pushes to twenty streams.
fn subscribe(vice: Vice) -> (Output, Value) {
    let line = "--streams 20 --rate 200 --warmup 100ms --duration 400ms --settle 0 --patience 2s";
    run(vice, "subscribe", &line.split(' ').collect::<Vec<_>>())
}

/// Two hundred pushes to everybody.
const MIXED: &str = "--waiters 4 --borrowers 4 --streams 4 --rate 400 --inspections 20 --payload 40,400,4000 --warmup 0 \
                     --duration 500ms --settle 0 --patience 1s --timeout 1 --seed 3";

fn mixed(vice: Vice) -> (Output, Value) {
    run(vice, "mixed", &MIXED.split_whitespace().collect::<Vec<_>>())
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
    assert!(report["late_by_generator"].is_u64());
    assert_eq!(report["server"], "inbox 7.0");

    let (output, report) = fanout(Vice::None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], 20);
    assert_eq!(report["received"], 80, "four messages each");
    assert_eq!(report["lost"], 0);
    let last = report["last_ms_p50"].as_f64().unwrap();
    assert!(last >= report["each_ms_p50"].as_f64().unwrap() && last > 0.0);

    let (output, report) = subscribe(Vice::None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], 100);
    assert_eq!(report["received"], 100);
    assert_eq!(report["measured"], 80);
    assert_eq!(report["dropped_connections"], 0);
    assert!(report["stream_ms_p99"].as_f64().unwrap() > 0.0);

    let (output, report) = pair(Vice::None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], report["received"]);
    assert!(report["pairs_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn pairs_in_deep_queues_leave_them_as_deep() {
    let inbox = Inbox::start(Vice::None);
    let line = "--connections 3 --threads 2 --depth 7 --warmup 0 --duration 200ms";
    let arguments: Vec<&str> = line.split(' ').collect();
    let (output, report) = run_at(&inbox, "pair", &arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], report["received"]);
    assert_eq!(report["lost"], 0);
    let (output, report) = run_at(&inbox, "pop", &["--prefix", "load-pair-", "--queues", "3"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["received"], 21);
}

#[test]
fn everything_goes_over_tls_and_into_secured_queues_that_are_made_for_it() {
    let lines = [
        "hold --waiters 80 --warmup 0 --duration 300ms",
        "wake --waiters 70 --rate 200 --warmup 0 --duration 300ms --settle 0 --timeout 1",
        "push --connections 3 --queues 5 --warmup 0 --duration 200ms",
        "pop --connections 2 --queues 5 --max 7",
        "pair --connections 4 --depth 3 --warmup 0 --duration 200ms",
        "get --path /queue/load-pair-0/peek?max=1 --warmup 0 --duration 100ms",
    ];
    let inbox = Inbox::start_secured(Vice::None);
    let mixed = format!("mixed {MIXED}");
    for line in lines.into_iter().chain([mixed.as_str()]) {
        let mut arguments = line.split_whitespace();
        let command = arguments.next().unwrap();
        let mut arguments: Vec<&str> = arguments.collect();
        arguments.extend(["--threads", "2", "--login", "al:open:sesame"]);
        let (output, report) = run_at(&inbox, command, &arguments);
        assert!(output.status.success(), "{line}: {output:?}");
        assert_eq!(report["refused"], 0, "{line}");
        assert_eq!(report["dropped_connections"], 0, "{line}");
        assert_eq!(report["server"], "inbox 7.0", "{line}");
        assert!(!report.to_string().contains("sesame"), "{report}");
    }
    let line = "--waiters 1 --login bo:sesame";
    let arguments: Vec<&str> = line.split(' ').collect();
    let said = fails(&inbox, "hold", &arguments, 1);
    assert!(said.contains("load-hold-0: 401"), "{said}");
}

#[test]
fn a_certificate_is_verified_where_an_authority_is_given() {
    let (inbox, other) = (
        Inbox::start_secured(Vice::None),
        Inbox::start_secured(Vice::None),
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let arguments = ["--duration", "100ms", "--warmup", "0", "--cacert"];
    let mut arguments = arguments.to_vec();
    arguments.push(file.path().to_str().unwrap());
    let said = fails(&inbox, "get", &arguments, 2);
    assert!(said.contains("no certificate in it"), "{said}");
    std::fs::write(file.path(), inbox.certificate()).unwrap();
    let (output, _) = run_at(&inbox, "get", &arguments);
    assert!(output.status.success(), "{output:?}");
    let said = fails(&other, "get", &arguments, 1);
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[test]
fn a_path_is_asked_for() {
    let line = "--path / --connections 3 --warmup 0 --duration 200ms";
    let arguments: Vec<&str> = line.split(' ').collect();
    let (output, report) = run(Vice::None, "get", &arguments);
    assert!(output.status.success(), "{output:?}");
    assert!(report["received"].as_u64().unwrap() > 3, "{report}");
}

#[test]
fn everybody_is_there_in_a_mix() {
    let inbox = Inbox::start(Vice::None);
    let arguments: Vec<&str> = MIXED.split_whitespace().collect();
    let (output, report) = run_at(&inbox, "mixed", &arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(report["pushed"], 200);
    assert_eq!(report["received"], 200);
    assert_eq!(report["payload_bytes"], 1_480, "the mean");
    for kind in ["pop", "poprel", "stream", "ack", "inspection"] {
        let key = format!("{kind}_ms_max");
        assert!(report[&key].as_f64().is_some_and(|it| it > 0.0), "{key}");
    }
    let (acked, lent) = inbox.acked_and_lent();
    assert!(acked > 0 && lent == 0, "{acked} acked, {lent} not");
    let (streams, looks) = inbox.streams_and_looks();
    assert_eq!(streams, 4);
    assert!((1..=10).contains(&looks), "{looks}");
}

#[test]
fn a_soak_tells_how_it_went_and_what_grew() {
    let this = format!("test={}", std::process::id());
    let line = "--waiters 2 --borrowers 1 --streams 1 --rate 50 --warmup 0 --duration 2500ms --settle 0 --timeout 1 \
                --progress 500ms --pid";
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.push(&this);
    let (output, report) = run(Vice::None, "soak", &arguments);
    assert!(output.status.success(), "{output:?}");
    assert!(report["test_growth_kib_per_hour"].is_number(), "{report}");
    assert!(report["test_grown_kib"].is_number(), "{report}");
    assert_eq!(report["payload_bytes"], 3_700, "the mean of mixed sizes");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines = said.lines().filter(|line| line.contains("p99 so far"));
    assert!(lines.count() >= 2, "{said}");
    let points = report["timeline"].as_array().unwrap();
    assert!(points.len() >= 2);
    assert!(points[0]["resident_kib"]["test"].as_u64().unwrap() > 0);
}

#[test]
fn the_page_holds_what_the_json_says() {
    let html = tempfile::NamedTempFile::new().unwrap();
    let line = "--waiters 5 --rate 100 --warmup 0 --duration 1200ms --settle 0 --patience 300ms --timeout 1 --pid";
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    let this = format!("test={}", std::process::id());
    arguments.extend([this.as_str(), "--html", html.path().to_str().unwrap()]);
    let (output, report) = run(Vice::LosesEvery(50), "wake", &arguments);
    assert_eq!(output.status.code(), Some(1));
    let page = std::fs::read_to_string(html.path()).unwrap();
    let (_, json) = page.split_once("id=\"report\">").unwrap();
    let (json, _) = json.split_once("</script>").unwrap();
    assert_eq!(serde_json::from_str::<Value>(json).unwrap(), report);
    for title in [
        "Run",
        "Summary",
        "Latencies",
        "Latency over time",
        "Rate over time",
        "Memory over time",
    ] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(page.contains("2 messages lost"));
    assert!(page.contains("--waiters 5 --rate 100"), "the command line");
    assert!(
        report["run"]["command_line"]
            .as_str()
            .unwrap()
            .contains("--waiters 5")
    );
}

#[test]
fn a_watched_process_that_ends_is_a_fault_and_the_report_is_there() {
    let mut watched = Command::new("sleep").arg("1").spawn().unwrap();
    let line = "--waiters 2 --borrowers 0 --streams 0 --rate 50 --warmup 0 --duration 2s --settle 0 --timeout 1 --pid";
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    let brief = format!("brief={}", watched.id());
    arguments.push(&brief);
    let (output, report) = run(Vice::None, "soak", &arguments);
    watched.wait().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["gone_processes"], "brief");
    assert_eq!(report["fault"], "ended meanwhile: brief");
    assert_eq!(report["received"], 100);
}

#[test]
fn where_a_report_cannot_be_written_is_said_before_the_run() {
    let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
        .args(["soak", "--html", "/proc/none/report.html"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("cannot write /proc/none/report.html"),
        "{said}"
    );
}

#[test]
fn what_a_server_does_not_get_to_is_unsent_and_neither_lost_nor_late_by_ourselves() {
    let line = "--waiters 2 --rate 100 --pushers 1 --warmup 0 --duration 200ms --settle 0 --timeout 1 --patience 300ms";
    let arguments: Vec<&str> = line.split(' ').collect();
    let (output, report) = run(Vice::AnswersNoMoreAfter(5), "wake", &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["pushed"], 5);
    // One is under way for ever.
    assert_eq!(report["unsent"], 14);
    assert_eq!(report["lost"], 0);
    let fault = report["fault"].as_str().unwrap();
    assert!(fault.starts_with("14 pushes"), "{fault}");
}

#[test]
fn a_stream_that_ends_is_counted_and_asked_for_again() {
    let (output, report) = subscribe(Vice::EndsStreamsAfter(2));
    assert!(output.status.success(), "{output:?}");
    assert!(report["dropped_connections"].as_u64().unwrap() >= 20);
    assert_eq!(report["received"], 100);
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "wake --waiters 0",
        "wake --rate -1",
        "wake --payload 5",
        "wake --payload 200,",
        "wake --from localhost",
        "wake --from 127.0.0.9-127.0.0.1",
        "wake --target ftp://127.0.0.1",
        "wake --duration 5d",
        "fanout --waiters 5 --queues 6",
        "fanout --queues 10001",
        "fanout --target redis://127.0.0.1:9",
        "subscribe --target redis://127.0.0.1:9",
        "pop --target beanstalk://127.0.0.1:9",
        "get --target redis://127.0.0.1:9",
        "get --path queue",
        "mixed --waiters 0 --borrowers 0 --streams 0",
        "soak --rate 1000000 --duration 720h",
        "soak --progress never",
        "sleep",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
            .args(line.split(' '))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        assert!(!output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn connections_come_from_several_addresses_and_go_to_several_servers() {
    let others = Inbox::start(Vice::None);
    let other = others.url();
    let line = "--waiters 2 --borrowers 2 --streams 2 --rate 10 --warmup 0 --duration 200ms --settle 0 --timeout 1 \
                --patience 100ms --from 127.0.0.2,127.0.0.4-127.0.0.5 --target";
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.push(&other);
    let inbox = Inbox::start(Vice::None);
    let (_, report) = run_at(&inbox, "mixed", &arguments);
    assert_eq!(report["pushed"], 2);
    for server in [&inbox, &others] {
        assert_eq!(server.streams_and_looks().0, 1, "every second connection");
        let mut clients = server.clients();
        // From there it is only asked for its version.
        clients.remove("127.0.0.1");
        assert!(clients.len() >= 2, "{clients:?}");
        let given = ["127.0.0.2", "127.0.0.4", "127.0.0.5"];
        assert!(
            clients.iter().all(|it| given.contains(&it.as_str())),
            "{clients:?}"
        );
    }
}

#[test]
fn losses_are_found() {
    let (output, report) = wake(Vice::LosesEvery(10));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["lost"], 10);
    assert_eq!(report["received"], 90);

    let (output, report) = fanout(Vice::LosesEvery(5));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        report["lost"], 4,
        "one of four messages of every fifth push"
    );
    assert_eq!(report["received"], 76);

    for (output, report) in [subscribe(Vice::LosesEvery(10)), mixed(Vice::LosesEvery(20))] {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(report["lost"], 10);
    }

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

    for (output, report) in [
        fanout(Vice::RepeatsEvery(2)),
        subscribe(Vice::RepeatsEvery(10)),
        mixed(Vice::RepeatsEvery(20)),
    ] {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(report["lost"], 0);
        assert!(report["duplicated"].as_u64().unwrap() >= 5, "{report}");
    }

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
