//! JSON that is valid and odd: fields that come twice, numbers that nothing can hold, lists in lists in lists.

use serde_json::json;

use crate::support::{Popped, Queue, post, put, shared};

/// Where a field comes twice the last one counts, in a query the first, and a body counts before the query.
#[test]
fn of_two_fields_of_one_name_one_counts_always_the_same() {
    let shared = shared();
    let mut client = shared.client();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    let body = format!(
        r#"{{"payload":"a","priority":"X","queue":[{{"id":"{other}"}}],"queue":[{{"id":"{other}","id":"{q}"}}],
            "expirationDate":-1,"x":"1","priority":"H","p\u0061yload":"b","expirationDate":0,"x":"2"}}"#,
        other = other.id,
        q = q.id
    );
    let response = client.call(&post("/trans", &json!({})).body(body));
    response.assert_json_head(200);
    let stored = client.transaction(response.json()["data"].as_str().unwrap());
    assert_eq!(stored["payload"], json!("b"));
    assert_eq!(stored["x"], json!("2"));
    assert_eq!(client.pop(&q, &json!({})).data, ["b"]);
    assert!(client.peek(&other).is_empty());
    for (query, body, count) in [
        ("?max=1&max=3", "", 1),
        ("?m%61x=2&max=3", "", 2),
        ("?max=3", r#"{"max":3,"max":2,"timeout":-1,"timeout":1}"#, 2),
        ("?max=3", r#"{"max":null,"max":1}"#, 1),
    ] {
        client.push_many(&q, &["p".to_owned(), "p".to_owned(), "p".to_owned()]);
        let popped =
            client.call(&post(format!("{}{query}", q.route("pop")), &json!({})).body(body));
        assert_eq!(Popped::parse(&popped).data.len(), count, "{query} {body}");
        client.call(&post(q.route("pop"), &json!({})));
    }
}

/// Beyond every bound, below it, nothing with a sign, and too long to be a number of any kind.
#[test]
fn numbers_beyond_all_bounds_are_the_nearest_or_refused() {
    let shared = shared();
    let mut client = shared.client();
    let digits = "9".repeat(10_000);
    let mut pop = |number: &str, name: &str| {
        let q = Queue::fresh();
        client.push_many(&q, &["p".to_owned(), "p".to_owned()]);
        let body = format!(r#"{{"{name}":{number}}}"#);
        client.call(&post(q.route("pop"), &json!({})).body(body))
    };
    for huge in [
        "1e308",
        "18446744073709551616",
        "9223372036854775808",
        &digits[..300],
    ] {
        assert_eq!(Popped::parse(&pop(huge, "max")).data.len(), 2, "{huge}");
        pop(huge, "timeout").assert_json_head(200);
        pop(huge, "timeoutACK").assert_json_head(200);
        let below = format!("-{huge}");
        assert_eq!(Popped::parse(&pop(&below, "max")).data.len(), 1, "{below}");
        pop(&below, "timeout").assert_errors(400, &["invalid timeout"]);
        pop(&below, "timeoutACK").assert_json_head(200);
    }
    // What not even a float can hold is as if it were left out.
    for number in ["1e400", "-1e400", "1e99999999999", &digits] {
        for name in ["max", "timeout", "timeoutACK"] {
            assert_eq!(
                Popped::parse(&pop(number, name)).data.len(),
                2,
                "{name} {number}"
            );
        }
    }
    for nothing in ["-0", "-0.0", "0e999999", "1e-400", "-1e-400"] {
        assert_eq!(
            Popped::parse(&pop(nothing, "max")).data.len(),
            1,
            "{nothing}"
        );
        pop(nothing, "timeout").assert_json_head(200);
    }
    let mut push = |number: &str, name: &str| {
        let body = format!(r#"{{"payload":"p","priority":"H","queue":[],"{name}":{number}}}"#);
        client.call(&post("/trans", &json!({})).body(body))
    };
    for huge in [
        "1e400",
        "-1e400",
        "1e99999999999",
        "18446744073709551616",
        "2147483647.5",
        "-1e-3",
        &digits,
    ] {
        for name in ["expirationDate", "expirationDelay"] {
            push(huge, name).assert_errors(400, &[&format!("{name} out of range")]);
        }
        push(huge, "priority").assert_some_error(400);
        if huge != "2147483647.5" {
            push(huge, "delay").assert_errors(400, &["invalid delay"]);
        }
    }
    for nothing in ["-0", "-0.0", "0e999999", "1e-400", "-1e-400"] {
        push(nothing, "expirationDate").assert_json_head(200);
        push(nothing, "delay").assert_json_head(200);
    }
    let body = format!(r#"{{"payload":"p","priority":1e400,"queue":[{{"id":{digits}}}]}}"#);
    client
        .call(&post("/trans", &json!({})).body(body))
        .assert_errors(400, &["invalid priority", "invalid queue element"]);
    client.assert_alive();
}

/// To the level that is documented, wherever a body is read.
#[test]
fn json_may_be_nested_so_deep_and_no_deeper() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"x":{open}1{close}}}"#)
    };
    for request in [
        post(q.route("pop"), &json!({})),
        post(q.route("poprel"), &json!({})),
        post(q.route("ack"), &json!({})),
        post("/trans", &json!({})),
        post("/group", &json!({})),
        put("/group/unknown", &json!({})),
        put("/trans/unknown", &json!({})),
    ] {
        client.push(&q, "p");
        let response = client.call(&request.clone().body(nested(128)));
        assert!(!response.text().contains("invalid json"), "{response:?}");
        for levels in [129, 100_000] {
            let response = client.call(&request.clone().body(nested(levels)));
            response.assert_some_error(400);
            assert!(response.text().contains("invalid json: "), "{response:?}");
        }
    }
    shared.client().assert_alive();
}
