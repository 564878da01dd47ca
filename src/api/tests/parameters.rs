//! Where parameters are looked for, and how they are read.

use std::time::Duration;

use super::*;

fn pop_of(request: &Request) -> (usize, Duration, Duration) {
    match act_on(request) {
        Action::Pop { pop, wait_max } => (pop.count_max, wait_max, pop.lease),
        other => panic!("{other:?}"),
    }
}

/// `max`, `timeout` and `timeoutACK` as a reliable pop takes them from a JSON body.
fn from_body(body: &str) -> (usize, Duration, Duration) {
    pop_of(&request("POST /queue/q/poprel", "", body))
}

fn count(text: &str) -> usize {
    from_body(&format!("{{\"max\":{text}}}")).0
}

fn wait(text: &str) -> f64 {
    from_body(&format!("{{\"timeout\":{text}}}"))
        .1
        .as_secs_f64()
}

fn lease(text: &str) -> f64 {
    from_body(&format!("{{\"timeoutACK\":{text}}}"))
        .2
        .as_secs_f64()
}

#[test]
fn numbers_are_read_as_far_as_they_make_sense() {
    for (text, expected) in [
        ("5", 5),
        ("\"5\"", 5),
        ("2.7", 2),
        ("\"5abc\"", 5),
        ("0", 1),
        ("-4", 1),
        ("21", 20),
        ("1e1", 10),
        ("1e400", 10),
        ("\"abc\"", 10),
        ("null", 10),
        ("true", 10),
        ("[5]", 10),
        ("{}", 10),
        ("\"\"", 10),
        ("99999999999999999999", 20),
        ("-99999999999999999999", 1),
    ] {
        assert_eq!(count(text), expected, "max {text}");
    }
    for (text, expected) in [
        ("7", 7.0),
        ("\"7\"", 7.0),
        ("2.7", 2.0),
        ("0", 1.0),
        ("-0.5", 1.0),
        ("301", 300.0),
        ("1e300", 300.0),
        ("\"x\"", 5.0),
        ("null", 5.0),
        ("false", 5.0),
        ("\"5abc\"", 5.0),
    ] {
        assert_eq!(
            wait(text).to_bits(),
            f64::to_bits(expected),
            "timeout {text}"
        );
    }
    for (text, expected) in [
        ("0.5", 0.5),
        ("\"0.5s\"", 0.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("86401", 86400.0),
        ("1e400", 20.0),
        ("1e300", 86400.0),
        ("\"x\"", 20.0),
        ("null", 20.0),
        ("1e-300", 0.001),
    ] {
        assert_eq!(
            lease(text).to_bits(),
            f64::to_bits(expected),
            "timeoutACK {text}"
        );
    }
}

#[test]
fn a_wait_below_zero_is_refused() {
    for body in ["{\"timeout\":-1}", "{\"timeout\":\"-1\"}"] {
        refused("POST /queue/q/pop", body, &["invalid timeout"]);
        refused("POST /queue/q/poprel", body, &["invalid timeout"]);
    }
    refused(
        "POST /queue/q/pop?timeout=-9999999999999999999999",
        "",
        &["invalid timeout"],
    );
}

#[test]
fn the_body_outweighs_the_query() {
    let asked = |headers, body| {
        pop_of(&request(
            "POST /queue/q/poprel?max=3&timeout=9&max=4",
            headers,
            body,
        ))
        .0
    };
    assert_eq!(asked("", "{\"max\":2}"), 2);
    assert_eq!(asked("", "{\"max\":null}"), 3);
    assert_eq!(asked("", "{}"), 3);
    assert_eq!(asked("", ""), 3);
    assert_eq!(asked("", " \r\n "), 3);
    let form = "Content-Type: application/X-www-form-urlencoded; charset=utf-8\r\n";
    assert_eq!(asked(form, "a=1&max=+7%20"), 7);
    assert_eq!(asked(form, "timeout=1"), 3);
    assert_eq!(asked(form, " {\"max\":2}"), 2);
    assert_eq!(asked(form, "\u{e9}%ff&max"), 10);
    assert_eq!(asked("Content-Type: text/plain\r\n", "{\"max\":2}"), 2);
}

#[test]
fn a_body_that_is_no_object_is_refused_everywhere() {
    for line in [
        "POST /queue/q/pop",
        "GET /queue/q/peek",
        "POST /group",
        "GET /trans/i",
        "PUT /trans/i",
        "POST /trans",
    ] {
        refused(line, "[1]", &["invalid json: not an object"]);
        refused(line, "nope", &["invalid json: not an object"]);
        let (status, text) = answer(line, "{\"a\":1");
        assert_eq!(status, 400);
        assert!(text.starts_with(r#"{"errors":["invalid json: "#), "{text}");
    }
}

#[test]
fn get_may_have_a_body() {
    match act("GET /queue/q/peek?max=9", "{\"max\":2}") {
        Action::Ask(Op::Peek { count_max, .. }, _) => assert_eq!(count_max, 2),
        other => panic!("{other:?}"),
    }
}
