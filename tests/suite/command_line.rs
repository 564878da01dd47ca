//! The command line and the configuration: fixed names, so that scripts can rely on them.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::{Durability, Layout, Queue, Server, Settings, popbox};

#[track_caller]
fn run(mut command: Command) -> Output {
    command.output().expect("the binary can be run")
}

/// Everything the program said, wherever.
fn said(output: &Output) -> String {
    let mut all = String::from_utf8_lossy(&output.stdout).into_owned();
    all.push_str(&String::from_utf8_lossy(&output.stderr));
    all
}

/// A configuration file for a store and a free port, with `more` behind it.
fn config_file(layout: &Layout, more: &str) -> std::path::PathBuf {
    let path = layout.scratch().join("popbox.toml");
    // A dotted key stands on top, before the first section.
    let mut text = "server.listen = \"127.0.0.1:0\"\n".to_owned();
    for (key, value) in layout.settings(Durability::Interval) {
        writeln!(text, "{key} = {value:?}").unwrap();
    }
    text.push_str(more);
    fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn started(mut command: Command, layout: &std::sync::Arc<Layout>) -> Server {
    // Where what it is told no folder for has its own.
    command.current_dir(layout.scratch());
    Server::run(command, layout.clone())
        .map_err(|refusal| format!("{refusal:?}"))
        .unwrap()
}

/// How many messages a pop without parameters takes: what `limits.default_pop` is.
fn default_pop(server: &Server) -> usize {
    let mut client = server.client();
    let q = Queue::fresh();
    let payloads: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    client.push_many(&q, &payloads);
    client.pop(&q, &json!({})).data.len()
}

#[test]
fn popbox_alone_serves_as_its_environment_says() {
    let layout = Layout::fresh();
    let mut command = popbox();
    command.env("POPBOX_SERVER__LISTEN", "127.0.0.1:0");
    for (key, value) in layout.settings(Durability::Interval) {
        command.env(
            format!("POPBOX_{}", key.replace('.', "__").to_uppercase()),
            value,
        );
    }
    command.env("POPBOX_LIMITS__DEFAULT_POP", "4");
    assert_eq!(default_pop(&started(command, &layout)), 4);
}

#[test]
fn a_setting_on_the_command_line_wins_over_the_environment_and_that_over_the_file() {
    for (environment, argument, expected) in [
        (None, None, 2),
        (Some("3"), None, 3),
        (Some("3"), Some("4"), 4),
    ] {
        let layout = Layout::fresh();
        let file = config_file(&layout, "[limits]\ndefault_pop = 2\n");
        let mut command = popbox();
        command.arg("serve").arg("--config").arg(file);
        if let Some(value) = environment {
            command.env("POPBOX_LIMITS__DEFAULT_POP", value);
        }
        if let Some(value) = argument {
            command
                .arg("--set")
                .arg(format!("limits.default_pop={value}"));
        }
        assert_eq!(default_pop(&started(command, &layout)), expected);
    }
}

/// For the embedded store only.
#[test]
fn without_a_path_the_embedded_store_is_in_popbox_data() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let mut command = popbox();
    command.args(["serve", "--set", "server.listen=127.0.0.1:0"]);
    started(command, &layout).client().assert_alive();
    assert!(layout.scratch().join("popbox-data").exists());
}

#[test]
fn an_unknown_key_is_a_fault_that_is_named() {
    for key in ["limits.no_such_key", "nosection.key", "server.lisen"] {
        let refusal = Settings::new()
            .set(key, 1)
            .try_start()
            .err()
            .expect("refused");
        assert!(!refusal.status.success());
        assert!(refusal.stderr.contains(key), "{}", refusal.stderr);
    }
    let layout = Layout::fresh();
    let mut command = popbox();
    command
        .arg("serve")
        .arg("--config")
        .arg(config_file(&layout, "[limits]\nno_such_key = 1\n"));
    let refusal = Server::run(command, layout).err().expect("refused");
    assert!(refusal.stderr.contains("no_such_key"), "{}", refusal.stderr);
}

#[test]
fn a_bad_value_is_a_fault_that_names_key_and_value() {
    for (key, value) in [
        ("limits.max_pop", "many"),
        ("limits.pop_timeout", "soonish"),
        ("limits.max_body", "8XB"),
        ("server.listen", "nowhere"),
        ("store.durability", "perhaps"),
        ("store.kind", "paper"),
    ] {
        let refusal = Settings::new()
            .set(key, value)
            .try_start()
            .err()
            .expect("refused");
        assert!(!refusal.status.success());
        assert!(refusal.stderr.contains(key), "{}", refusal.stderr);
        assert!(refusal.stderr.contains(value), "{}", refusal.stderr);
    }
}

#[test]
fn a_missing_config_file_is_a_fault_that_is_named() {
    let mut command = popbox();
    command.args(["serve", "--config", "/no/such/popbox.toml"]);
    let output = run(command);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("/no/such/popbox.toml"),
        "{}",
        said(&output)
    );
}

#[test]
fn check_config_passes_a_good_file() {
    let layout = Layout::fresh();
    let mut command = popbox();
    command
        .arg("check-config")
        .arg("--config")
        .arg(config_file(&layout, "[limits]\nmax_pop = 5000\n"));
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn check_config_tells_every_fault_in_a_line_of_its_own() {
    let layout = Layout::fresh();
    let mut command = popbox();
    command.arg("check-config").arg("--config").arg(config_file(
        &layout,
        "[limits]\nmax_pop = \"many\"\npop_timeout = \"soonish\"\nno_such_key = 1\n",
    ));
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for (key, value) in [
        ("limits.max_pop", "many"),
        ("limits.pop_timeout", "soonish"),
        ("limits.no_such_key", ""),
    ] {
        let matching = lines.iter().filter(|line| line.contains(key)).count();
        assert_eq!(matching, 1, "{key}: {text}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains(key) && line.contains(value)),
            "{text}"
        );
    }
}

#[test]
fn hash_password_reads_standard_input_and_prints_the_admin_line() {
    let mut child = popbox()
        .args(["hash-password", "alice"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"open sesame\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let line = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("alice:"), "{line}");
    assert!(!said(&output).contains("sesame"));
}

#[test]
fn what_is_not_a_command_is_refused() {
    for arguments in [
        vec!["no-such-command"],
        vec!["serve", "--no-such-flag"],
        vec!["serve", "--set", "no-equals-sign"],
    ] {
        let mut command = popbox();
        command.args(&arguments);
        let output = run(command);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
    }
}

/// Both would be given connections by the kernel, and each message would be in one of two stores.
#[test]
fn a_second_server_on_the_same_address_is_refused() {
    let server = Settings::new().start();
    let refusal = Settings::new()
        .set("server.listen", server.addr)
        .try_start()
        .err()
        .expect("refused");
    assert_eq!(refusal.status.code(), Some(1));
    let address = server.addr.to_string();
    assert!(refusal.stderr.contains(&address), "{}", refusal.stderr);
    assert!(
        refusal.stderr.contains("server.listen"),
        "{}",
        refusal.stderr
    );
    server.client().assert_alive();
    server.stop();
}
