//! What the load was made on, and how it was asked for.

use std::{
    env, fs,
    num::NonZeroUsize,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// The command line, the version and the machine, for a report.
pub(crate) fn describe() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    json!({
        "command_line": command_line(env::args()),
        "version": concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        "written_at_unix_seconds": since.map_or(0, |since| since.as_secs()),
        "host": file("/proc/sys/kernel/hostname"),
        "kernel": format!(
            "{} {}",
            file("/proc/sys/kernel/ostype"),
            file("/proc/sys/kernel/osrelease")
        ),
        "processor": after_colon(&file("/proc/cpuinfo"), "model name"),
        "processors": thread::available_parallelism().map_or(1, NonZeroUsize::get),
        "memory": after_colon(&file("/proc/meminfo"), "MemTotal"),
    })
}

fn file(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim_end().to_owned()
}

/// What stands behind the colon in the first line that begins so; empty if there is none.
fn after_colon(text: &str, begins: &str) -> String {
    let mut lines = text.lines().filter(|line| line.starts_with(begins));
    let line = lines.next().and_then(|line| line.split_once(':'));
    line.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// As it would be typed into a shell.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_=./:,+@%".contains(it);
    let quoted: Vec<String> = arguments
        .map(|argument| {
            if !argument.is_empty() && argument.chars().all(is_plain) {
                argument
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        })
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let arguments = ["load", "--pid", "a=1", "it's", ""].map(str::to_owned);
        assert_eq!(
            command_line(arguments.into_iter()),
            r"load --pid a=1 'it'\''s' ''"
        );
    }

    #[test]
    fn values_are_found_by_their_names() {
        let text = "MemFree: 1 kB\nMemTotal:   24 kB\n";
        assert_eq!(after_colon(text, "MemTotal"), "24 kB");
        assert_eq!(after_colon(text, "Swap"), "");
    }
}
