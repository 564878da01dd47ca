//! The report as one page for a browser, which needs nothing else: no script runs, nothing is fetched.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::{
    chart::{Chart, Line, Scale, escaped},
    report::column_names,
};

/// How it looks.
const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin-bottom: 1rem; }
td, th { padding: .1rem 1rem .1rem 0; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; }
svg text { font-size: 12px; fill: currentColor; text-anchor: middle; }
svg text.left { text-anchor: end; dominant-baseline: middle; }
svg .axes line { stroke: currentColor; stroke-opacity: .15; }
svg polyline { fill: none; stroke-width: 1.5; }
.legend { margin: 0 0 1rem 4.5rem; }
.fault { font-weight: bold; color: #d55e00; }
";

/// The page of these facts, of which those in `order` are shown as a table.
pub(crate) fn render(facts: &Map<String, Value>, order: &[String], fault: Option<&str>) -> String {
    let command = shown(facts.get("command"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>popbox-loadtest {command}</title>\n<style>{STYLE}</style>\n<h1>{command}</h1>\n"
    );
    // Writing to a String does not fail.
    let _ = match fault {
        Some(fault) => writeln!(page, "<p class=\"fault\">{}</p>", escaped(fault)),
        None => writeln!(page, "<p>No fault was found.</p>"),
    };
    if let Some(Value::Object(run)) = facts.get("run") {
        let _ = writeln!(page, "<h2>Run</h2>");
        let keys: Vec<&String> = run.keys().collect();
        table(&mut page, run, &keys);
    }
    let _ = writeln!(page, "<h2>Summary</h2>");
    let keys: Vec<&String> = order.iter().collect();
    table(&mut page, facts, &keys);
    latencies(&mut page, facts);
    for (title, chart) in [
        ("Latencies", curves(facts)),
        ("Latency over time", latency_over_time(facts)),
        ("Rate over time", rate_over_time(facts)),
        ("Memory over time", memory_over_time(facts)),
    ] {
        if chart.lines.iter().any(|line| !line.points.is_empty()) {
            let _ = writeln!(page, "<h2>{title}</h2>\n{chart}");
        }
    }
    // In JSON, a character may stand as its number, and then cannot end the element.
    let json = serde_json::to_string(facts).unwrap_or_default();
    let json = json.replace('<', "\\u003c");
    let _ = writeln!(
        page,
        "<script type=\"application/json\" id=\"report\">{json}</script>\n</html>"
    );
    page
}

fn table(page: &mut String, facts: &Map<String, Value>, keys: &[&String]) {
    page.push_str("<table>\n");
    for key in keys {
        let value = facts.get(*key);
        let is_number = value.is_some_and(Value::is_number);
        let class = if is_number { " class=\"number\"" } else { "" };
        let _ = writeln!(
            page,
            "<tr><th>{}<td{class}>{}",
            escaped(&key.replace('_', " ")),
            shown(value)
        );
    }
    page.push_str("</table>\n");
}

/// The numbers of each distribution, in a row.
fn latencies(page: &mut String, facts: &Map<String, Value>) {
    let Some(Value::Object(curves)) = facts.get("curves") else {
        return;
    };
    page.push_str("<table>\n<tr><th>milliseconds");
    for column in column_names() {
        let _ = write!(page, "<th class=\"number\">{column}");
    }
    for key in curves.keys() {
        let _ = write!(page, "\n<tr><th>{}", escaped(&key.replace('_', " ")));
        for column in column_names() {
            let value = facts.get(&format!("{key}_ms_{column}"));
            let milliseconds = value.and_then(Value::as_f64).unwrap_or_default();
            let _ = write!(page, "<td class=\"number\">{milliseconds:.3}");
        }
    }
    page.push_str("\n</table>\n");
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => escaped(text),
        Some(value) => escaped(&value.to_string()),
        None => String::new(),
    }
}

/// Where a share of everything is on the axis of curves: 90 % at 1, 99 % at 2, 99.9 % at 3.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// Curves are drawn so far.
const NINES_MAX: f64 = 7.0;

/// Latency by the share of messages that did not exceed it.
fn curves(facts: &Map<String, Value>) -> Chart {
    let curves = facts.get("curves").and_then(Value::as_object);
    let mut lines = Vec::new();
    for (name, points) in curves.into_iter().flatten() {
        // The last one is the longest of all; it would be infinitely far away.
        let points = points.as_array().into_iter().flatten();
        let points = points
            .filter_map(|point| Some((point.get(0)?.as_f64()?, point.get(1)?.as_f64()?)))
            .filter(|(share, _)| *share < 1.0)
            .map(|(share, milliseconds)| (nines(share), milliseconds))
            .filter(|(nines, _)| *nines <= NINES_MAX);
        lines.push(Line {
            name: name.clone(),
            points: points.collect(),
        });
    }
    let last = lines.iter().filter_map(|line| line.points.last());
    let end = last.map(|point| point.0).fold(1.0, f64::max).ceil();
    let marks = [
        (0.0, "0 %"),
        (nines(0.5), "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
        (6.0, "99.9999 %"),
        (NINES_MAX, "99.99999 %"),
    ];
    let marks = marks.into_iter().filter(|(place, _)| *place <= end);
    Chart {
        across: "share of all".to_owned(),
        up: "milliseconds not exceeded".to_owned(),
        marks: marks
            .map(|(place, label)| (place, label.to_owned()))
            .collect(),
        scale: Scale::Powers,
        lines,
    }
}

/// The line of this field over time.
fn over_time(facts: &Map<String, Value>, name: &str, field: &str) -> Line {
    let points = facts.get("timeline").and_then(Value::as_array);
    let points = points.into_iter().flatten();
    let found = points.filter_map(|point| {
        let value = point.pointer(field)?.as_f64()?;
        Some((point.get("second")?.as_f64()?, value))
    });
    Line {
        name: name.to_owned(),
        points: found.collect(),
    }
}

fn latency_over_time(facts: &Map<String, Value>) -> Chart {
    let is_measured = |point: &(f64, f64)| point.1 > 0.0;
    let line = |name, field| {
        let mut line = over_time(facts, name, field);
        line.points.retain(is_measured);
        line
    };
    Chart {
        across: "seconds".to_owned(),
        up: "milliseconds".to_owned(),
        marks: Vec::new(),
        scale: Scale::Powers,
        lines: vec![
            line("p50", "/ms_p50"),
            line("p99", "/ms_p99"),
            line("max", "/ms_max"),
        ],
    }
}

fn rate_over_time(facts: &Map<String, Value>) -> Chart {
    Chart {
        across: "seconds".to_owned(),
        up: "each second".to_owned(),
        marks: Vec::new(),
        scale: Scale::Even,
        lines: vec![
            over_time(facts, "pushed", "/pushed_per_second"),
            over_time(facts, "received", "/received_per_second"),
            over_time(facts, "refused", "/refused_per_second"),
        ],
    }
}

fn memory_over_time(facts: &Map<String, Value>) -> Chart {
    let resident = facts
        .get("timeline")
        .and_then(|it| it.pointer("/0/resident_kib"));
    let names = resident.and_then(Value::as_object).into_iter().flatten();
    let lines = names.map(|(name, _)| {
        // As a pointer into JSON wants it.
        let key = name.replace('~', "~0").replace('/', "~1");
        over_time(facts, name, &format!("/resident_kib/{key}"))
    });
    Chart {
        across: "seconds".to_owned(),
        up: "resident KiB".to_owned(),
        marks: Vec::new(),
        scale: Scale::Even,
        lines: lines.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_stands_in_the_facts_stays_text() {
        let facts = json!({
            "command": "wake",
            "run": {"command_line": "load '</script><b>' \"&\""},
            "curves": {"<i>": [[0.0, 1.0], [0.5, 2.0], [1.0, 3.0]]},
            "timeline": [{"second": 1.0, "ms_p50": 1.0, "resident_kib": {"a/~b": 5}}],
        });
        let Value::Object(facts) = facts else {
            panic!("an object")
        };
        let page = render(&facts, &["command".to_owned()], Some("<lost>"));
        assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<lost>"));
        assert_eq!(page.matches("</script>").count(), 1);
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(!page.contains("http"), "nothing is fetched");
    }
}
