//! The program from outside: `check-config` and `hash-password`.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use argon2::password_hash::PasswordHash;
use argon2::{Argon2, PasswordVerifier};

const DOCUMENTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/popbox.toml");

#[test]
fn a_fine_configuration_is_named() {
    let output = run(popbox(["check-config", "--config", DOCUMENTED]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        format!("{DOCUMENTED}: the configuration is fine\n")
    );
    assert_eq!(text(&output.stderr), "");
    assert!(run(popbox(["check-config"])).status.success());
}

#[test]
fn every_fault_is_a_line() {
    let mut command = popbox(["--set", "log.level=loud", "check-config"]);
    command.args([
        "--config",
        "/nowhere/popbox.toml",
        "--set",
        "limits.max_pop=x",
    ]);
    command.env("POPBOX_STORE__PATHS", "x");
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let faults: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(
        faults[0].starts_with("/nowhere/popbox.toml: "),
        "{faults:?}"
    );
    assert!(
        faults[1].starts_with("store.paths = \"x\": unknown key"),
        "{faults:?}"
    );
    assert_eq!(
        faults[2],
        "limits.max_pop = \"x\": expected a whole number from 1 to 1000000 (from --set)"
    );
    assert!(
        faults[3].starts_with("log.level = \"loud\": "),
        "{faults:?}"
    );
}

#[test]
fn serving_needs_a_fine_configuration() {
    for arguments in [
        &["--set", "log.level=loud"][..],
        &["serve", "--set", "log.level=loud"],
        &["--set", "log.level=loud", "serve"],
    ] {
        let output = run(popbox(arguments));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{arguments:?}");
    }
}

#[test]
fn the_version_is_told() {
    let output = run(popbox(["--version"]));
    assert_eq!(
        text(&output.stdout),
        concat!("popbox ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_hash_verifies_its_password_and_configures_the_administrator() {
    let output = hash_password("root", "sécret\n");
    assert!(output.status.success(), "{output:?}");
    let line = text(&output.stdout).trim_end();
    let hash = line.strip_prefix("root:").unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let hash = PasswordHash::new(hash).unwrap();
    let argon2 = Argon2::default();
    assert!(argon2.verify_password("sécret".as_bytes(), &hash).is_ok());
    assert!(argon2.verify_password(b"secret", &hash).is_err());

    let admin = format!("auth.admin={line}");
    assert!(
        run(popbox(["check-config", "--set", &admin]))
            .status
            .success()
    );

    let again = hash_password("root", "sécret\n");
    assert_ne!(again.stdout, output.stdout, "the salt is random");
}

#[test]
fn what_cannot_be_a_login_is_refused() {
    for (user, password) in [
        ("root", ""),
        ("root", "\n"),
        ("", "secret\n"),
        ("a:b", "secret\n"),
        ("a\nb", "secret\n"),
    ] {
        let output = hash_password(user, password);
        assert_eq!(output.status.code(), Some(1), "{user:?} {password:?}");
        assert_eq!(text(&output.stdout), "");
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn nobody_reading_is_no_panic() {
    for arguments in [
        &["check-config"][..],
        &["check-config", "--set", "a.b=c"],
        &["--help"],
        &["--version"],
        &["hash-password", "root"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = popbox(arguments);
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let code = feed(command, "secret\n").status.code();
        assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {code:?}");
    }
}

fn popbox(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_popbox"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POPBOX_") {
            command.env_remove(name);
        }
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: Command) -> Output {
    feed(command, "")
}

fn hash_password(user: &str, password: &str) -> Output {
    feed(popbox(["hash-password", user]), password)
}

fn feed(mut command: Command, input: &str) -> Output {
    let child = command.stdin(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // A command that does not read may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}
