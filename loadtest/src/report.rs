//! What a run came to: the same facts as tables for people, as JSON, and as a page.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

use serde_json::{Map, Number, Value, json};

use crate::{
    latencies::{Latencies, QUANTILES},
    machine, page,
};

/// Facts in the order in which they are shown. A key says its unit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    facts: Map<String, Value>,
    /// The keys, as a map of JSON has them in another order.
    order: Vec<String>,
    /// What was measured, with what stands in its columns.
    distributions: Vec<(String, Vec<f64>)>,
}

/// A file that the report cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {reason}")]
pub(crate) struct Unwritable {
    path: String,
    reason: io::Error,
}

impl Report {
    /// Of this command.
    pub(crate) fn new(command: &str) -> Self {
        let mut report = Self::default();
        report.text("command", command);
        report.detail("run", machine::describe());
        report
    }

    fn fact(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        self.order.push(key.clone());
        self.facts.insert(key, value);
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str, text: impl Into<String>) {
        self.fact(key, Value::String(text.into()));
    }

    /// A number.
    pub(crate) fn count(&mut self, key: impl Into<String>, count: u64) {
        self.fact(key, Value::from(count));
    }

    /// A number with digits after the point.
    pub(crate) fn number(&mut self, key: impl Into<String>, number: f64) {
        self.fact(key, rounded(number));
    }

    /// More than a line of a table has room for: it is in JSON only.
    pub(crate) fn detail(&mut self, key: &str, value: Value) {
        self.facts.insert(key.to_owned(), value);
    }

    /// How many times in a second something happened that happened `count` times in `time`.
    pub(crate) fn rate(&mut self, key: &str, count: u64, time: Duration) {
        self.number(
            key,
            float(count) / time.as_secs_f64().max(f64::MIN_POSITIVE),
        );
    }

    /// A distribution, in milliseconds.
    pub(crate) fn latencies(&mut self, key: &str, latencies: &Latencies) {
        let columns: Vec<f64> = QUANTILES
            .iter()
            .map(|(_, quantile)| latencies.at(*quantile))
            .chain([latencies.max(), latencies.mean()])
            .map(milliseconds)
            .collect();
        for (name, number) in column_names().zip(&columns) {
            let key = format!("{key}_ms_{name}");
            self.facts.insert(key, rounded(*number));
        }
        self.distributions.push((key.to_owned(), columns));
        let curve = latencies.curve().map(|(share, duration)| {
            Value::Array(vec![Value::from(share), rounded(milliseconds(duration))])
        });
        let curves = self.facts.entry("curves").or_insert_with(|| json!({}));
        if let Value::Object(curves) = curves {
            curves.insert(key.to_owned(), curve.collect());
        }
    }

    /// As JSON, in a file.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), Unwritable> {
        let mut text = serde_json::to_string_pretty(&self.facts).unwrap_or_default();
        text.push('\n');
        write(path, &text)
    }

    /// As a page for a browser, with what is wrong on top.
    pub(crate) fn write_html(&self, path: &Path, fault: Option<&str>) -> Result<(), Unwritable> {
        write(path, &page::render(&self.facts, &self.order, fault))
    }
}

/// Says at once if a report could not be written there, not only after hours.
pub(crate) fn try_path(path: &Path) -> Result<(), Unwritable> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|reason| Unwritable {
        path: path.display().to_string(),
        reason,
    })
}

fn write(path: &Path, text: &str) -> Result<(), Unwritable> {
    fs::write(path, text).map_err(|reason| Unwritable {
        path: path.display().to_string(),
        reason,
    })
}

/// What of a distribution is reported.
pub(crate) fn column_names() -> impl Iterator<Item = &'static str> {
    let quantiles = QUANTILES.iter().map(|(name, _)| *name);
    quantiles.chain(["max", "mean"])
}

/// As tables: one of the facts, one of the distributions.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.order.iter().map(String::len).max().unwrap_or(0);
        for key in &self.order {
            let shown = match self.facts.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            };
            let label = key.replace('_', " ");
            writeln!(formatter, "{label:width$}  {shown}")?;
        }
        if self.distributions.is_empty() {
            return Ok(());
        }
        let keys = self.distributions.iter().map(|(key, _)| key.len());
        let width = keys.chain([MILLISECONDS.len()]).max().unwrap_or(0);
        write!(formatter, "\n{MILLISECONDS:width$}")?;
        for name in column_names() {
            write!(formatter, "  {name:>9}")?;
        }
        writeln!(formatter)?;
        for (key, columns) in &self.distributions {
            write!(formatter, "{:width$}", key.replace('_', " "))?;
            for number in columns {
                write!(formatter, "  {number:>9.3}")?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

/// What stands over the names of distributions.
const MILLISECONDS: &str = "milliseconds";

/// To three digits: the rest is noise, in JSON too.
pub(crate) fn rounded(number: f64) -> Value {
    let rounded = (number * 1_000.0).round() / 1_000.0;
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// So many milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A count, to calculate with.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of things that happen in a run are far below 2^52"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(1));
        let mut report = Report::new("wake");
        report.count("pushed", 20_000);
        report.rate("pushed_per_second", 20_000, Duration::from_secs(3));
        report.latencies("wake", &latencies);
        report
    }

    #[test]
    fn the_table_has_the_facts_in_their_order() {
        let table = report().to_string();
        let lines: Vec<&str> = table.lines().collect();
        let expected = [
            "command            wake",
            "pushed             20000",
            "pushed per second  6666.667",
            "",
            "milliseconds        p50        p90        p99      p99.9        max       mean",
            "wake              1.000      1.000      1.000      1.000      1.000      1.000",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_file_has_the_same_facts() {
        let path = std::env::temp_dir().join(format!("popbox-report-{}", std::process::id()));
        report().write_json(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["pushed"], 20_000);
        assert_eq!(json["pushed_per_second"], 6_666.667);
        assert_eq!(json["wake_ms_p99"], 1.0);
        assert_eq!(
            json["curves"]["wake"],
            serde_json::json!([[0.0, 1.0], [1.0, 1.0]])
        );
    }

    #[test]
    fn a_run_without_any_time_has_a_rate_that_json_can_hold() {
        let mut report = Report::new("push");
        report.rate("pushed_per_second", 0, Duration::ZERO);
        assert!(report.to_string().contains("pushed per second  0.0"));
    }
}
