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
        "written_at": date(since.map_or(0, |since| since.as_secs())),
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

/// These seconds since 1970 as a date and a time (UTC).
fn date(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    // Years begin in March, so that the day that comes and goes is the last one; there are 146,097 days in 400 years.
    let days = seconds / DAY + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_next_year = month_from_march >= 10;
    let month = if is_next_year {
        month_from_march - 9
    } else {
        month_from_march + 3
    };
    let year = era * 400 + year_of_era + u64::from(is_next_year);
    let (hour, minute, second) = (seconds % DAY / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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

/// As it would be typed into a shell, but for the password of a login: a report is shown to others.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_=./:,+@%".contains(it);
    let mut is_login = false;
    let quoted: Vec<String> = arguments
        .map(|argument| {
            let (login, begin) = match argument.strip_prefix("--login=") {
                Some(login) => (Some(login), "--login="),
                None => (is_login.then_some(argument.as_str()), ""),
            };
            is_login = argument == "--login";
            let login = login.map(|login| login.split_once(':').map_or("", |(user, _)| user));
            login.map_or(argument.clone(), |user| format!("{begin}{user}:..."))
        })
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
        let arguments = ["--login", "al:sesame", "--login=al:sesame", "a:b"].map(str::to_owned);
        assert_eq!(
            command_line(arguments.into_iter()),
            "--login al:... --login=al:... a:b"
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_312_417, "2026-11-22T01:53:37Z"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn values_are_found_by_their_names() {
        let text = "MemFree: 1 kB\nMemTotal:   24 kB\n";
        assert_eq!(after_colon(text, "MemTotal"), "24 kB");
        assert_eq!(after_colon(text, "Swap"), "");
    }
}
