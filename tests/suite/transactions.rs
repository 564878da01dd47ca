//! `POST /trans`, and `GET`, `PUT`, `DELETE /trans/:id`.

use serde_json::{Value, json};
use uuid::{Uuid, Version};

use crate::support::{Queue, delete, get, now_s, post, put, shared, unique};

const UNKNOWN: &str = "11111111-2222-4333-8444-555555555555";

/// A good transaction with some fields replaced; `null` takes one out.
fn body(fields: Value) -> Value {
    let mut body = json!({"payload": "p", "priority": "H", "queue": [{"id": unique("q")}]});
    let all = body.as_object_mut().unwrap();
    let Value::Object(fields) = fields else {
        panic!("fields are an object");
    };
    for (name, value) in fields {
        if value.is_null() {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
    }
    body
}

#[track_caller]
fn assert_push_errors(body: &Value, errors: &[&str]) {
    let response = shared().client().call(&post("/trans", body));
    response.assert_errors(400, errors);
}

#[track_caller]
fn assert_near(value: &Value, expected: u64) {
    let value: u64 = value
        .as_str()
        .expect("a string")
        .parse()
        .expect("of digits");
    assert!(
        value.abs_diff(expected) <= 5,
        "{value} is not near {expected}"
    );
}

#[test]
fn push_answers_with_a_random_uuid_and_nothing_else() {
    let response = shared().client().call(&post("/trans", &body(json!({}))));
    let id = response.json()["data"].as_str().unwrap().to_owned();
    response.assert_is(200, &format!(r#"{{"ok":true,"data":"{id}"}}"#));
    let uuid = Uuid::parse_str(&id).unwrap();
    assert_eq!(uuid.get_version(), Some(Version::Random));
    assert_eq!(uuid.hyphenated().to_string(), id);
}

#[test]
fn push_takes_any_content_type_that_begins_with_application_json() {
    let shared = shared();
    let mut client = shared.client();
    for kind in [
        "application/json",
        "APPLICATION/JSON",
        "Application/Json; charset=utf-8",
        "application/json-patch+json",
    ] {
        let request = post("/trans", &json!({})).body(body(json!({})).to_string());
        client.call(&request).assert_json_head(200);
        let request = crate::support::Request::new("POST", "/trans")
            .header("content-type", kind)
            .body(body(json!({})).to_string());
        client.call(&request).assert_json_head(200);
    }
}

#[test]
fn push_without_a_json_content_type_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let bare = crate::support::Request::new("POST", "/trans").body(body(json!({})).to_string());
    client
        .call(&bare)
        .assert_is(400, r#"{"errors":["invalid content-type header"]}"#);
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/application/json",
    ] {
        client
            .call(&bare.clone().header("Content-Type", kind))
            .assert_errors(400, &["invalid content-type header"]);
    }
}

#[test]
fn push_without_a_priority_is_refused() {
    let response = shared()
        .client()
        .call(&post("/trans", &body(json!({"priority": null}))));
    response.assert_is(400, r#"{"errors":["undefined priority"]}"#);
    assert_push_errors(&body(json!({"priority": ""})), &["undefined priority"]);
    let null = json!({"payload": "p", "priority": null, "queue": []});
    assert_push_errors(&null, &["undefined priority"]);
}

#[test]
fn push_with_a_priority_other_than_h_and_l_is_refused() {
    for priority in [
        json!("M"),
        json!("h"),
        json!("HL"),
        json!(5),
        json!(["H"]),
        json!({"H": 1}),
    ] {
        assert_push_errors(&body(json!({"priority": priority})), &["invalid priority"]);
    }
}

#[test]
fn push_without_a_queue_is_refused() {
    assert_push_errors(&body(json!({"queue": null})), &["undefined queue"]);
}

#[test]
fn push_with_a_queue_that_is_no_list_is_refused() {
    for queue in [json!("q"), json!({"id": "q"}), json!(5), json!(true)] {
        assert_push_errors(&body(json!({"queue": queue})), &["invalid queue type"]);
    }
}

#[test]
fn push_with_a_queue_element_without_a_string_id_is_refused() {
    for element in [
        json!({}),
        json!({"id": 5}),
        json!({"id": null}),
        json!({"id": ["q"]}),
        json!("q"),
        json!(null),
        json!(["q"]),
    ] {
        let queue = json!([{"id": unique("q")}, element]);
        assert_push_errors(&body(json!({"queue": queue})), &["invalid queue element"]);
    }
}

#[test]
fn a_refused_push_reaches_no_queue() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let bad = body(json!({"queue": [{"id": q.id}, {"id": 5}]}));
    client.call(&post("/trans", &bad)).assert_json_head(400);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn push_without_a_payload_is_refused() {
    for body in [
        body(json!({"payload": null})),
        body(json!({"payload": ""})),
        json!({"payload": null, "priority": "H", "queue": []}),
    ] {
        assert_push_errors(&body, &["undefined payload"]);
    }
}

#[test]
fn a_payload_that_is_no_string_is_kept_as_compact_json_text() {
    let shared = shared();
    let mut client = shared.client();
    for (raw, kept) in [
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (
            r#" { "a" : [ 1, "x y", null ] } "#,
            r#"{"a":[1,"x y",null]}"#,
        ),
        ("[1,2]", "[1,2]"),
        ("5", "5"),
        ("0", "0"),
        ("true", "true"),
        ("false", "false"),
    ] {
        let q = Queue::fresh();
        let text = format!(
            r#"{{"payload":{raw},"priority":"H","queue":[{{"id":"{}"}}]}}"#,
            q.id
        );
        let request = post("/trans", &json!({})).body(text);
        let id = client.call(&request).json()["data"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(client.transaction(&id)["payload"], json!(kept));
        assert_eq!(client.pop(&q, &json!({})).data, [kept]);
    }
}

#[test]
fn without_an_expiration_date_it_is_one_hour_from_now() {
    let shared = shared();
    let mut client = shared.client();
    for date in [json!(null), json!(0)] {
        let id = client.push_body(
            &json!({"payload": "p", "priority": "L", "queue": [], "expirationDate": date}),
        );
        assert_near(&client.transaction(&id)["expirationDate"], now_s() + 3600);
    }
    let id = client.push_body(&body(json!({})));
    assert_near(&client.transaction(&id)["expirationDate"], now_s() + 3600);
}

#[test]
fn an_expiration_delay_counts_from_now() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({"expirationDelay": 60})));
    assert_near(&client.transaction(&id)["expirationDate"], now_s() + 60);
}

#[test]
fn an_expiration_date_wins_over_an_expiration_delay() {
    let shared = shared();
    let mut client = shared.client();
    let date = now_s() + 500;
    let id = client.push_body(&body(
        json!({"expirationDate": date, "expirationDelay": 60}),
    ));
    assert_eq!(
        client.transaction(&id)["expirationDate"],
        json!(date.to_string())
    );
}

#[test]
fn an_expiration_date_that_is_no_number_is_refused() {
    for date in [json!("abc"), json!({"a": 1})] {
        assert_push_errors(
            &body(json!({"expirationDate": date})),
            &["expirationDate is not a number"],
        );
    }
}

#[test]
fn an_expiration_date_out_of_range_is_refused() {
    for date in [
        json!(-1),
        json!(2_147_483_648_u64),
        json!(1e18),
        json!(-1e300),
    ] {
        assert_push_errors(
            &body(json!({"expirationDate": date})),
            &["expirationDate out of range"],
        );
    }
}

#[test]
fn the_last_expiration_date_in_range_is_taken() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({"expirationDate": 2_147_483_647})));
    assert_eq!(
        client.transaction(&id)["expirationDate"],
        json!("2147483647")
    );
}

#[test]
fn a_fraction_of_an_expiration_date_is_rounded_up() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({"expirationDate": 2_000_000_000.25})));
    assert_eq!(
        client.transaction(&id)["expirationDate"],
        json!("2000000001")
    );
}

#[test]
fn errors_of_several_kinds_are_all_told_in_order() {
    let response = shared().client().call(&post("/trans", &json!({})));
    response.assert_is(
        400,
        r#"{"errors":["undefined priority","undefined queue","undefined payload"]}"#,
    );
    assert_push_errors(
        &json!({"expirationDate": "x", "payload": "", "queue": "q", "priority": "Z"}),
        &[
            "invalid priority",
            "invalid queue type",
            "undefined payload",
            "expirationDate is not a number",
        ],
    );
    assert_push_errors(
        &json!({"expirationDate": -5, "queue": [{}], "priority": "H", "payload": "x".repeat(1_048_577)}),
        &[
            "invalid queue element",
            "payload greater than 1048576",
            "expirationDate out of range",
        ],
    );
}

#[test]
fn the_same_queue_twice_gets_one_message() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push_to_all(&[&q, &q], "once");
    assert_eq!(client.pop(&q, &json!({})).data, ["once"]);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn a_queue_named_and_also_in_a_group_gets_one_message() {
    let shared = shared();
    let mut client = shared.client();
    let (q, other, group) = (Queue::fresh(), Queue::fresh(), unique("g"));
    client
        .call(&post(
            "/group",
            &json!({"name": group, "queues": [q.id, other.id]}),
        ))
        .assert_json_head(200);
    client.push_body(&body(
        json!({"queue": [{"id": q.id}], "groups": [group, group]}),
    ));
    assert_eq!(client.peek(&q).data, ["p"]);
    assert_eq!(client.peek(&other).data, ["p"]);
}

#[test]
fn an_empty_queue_list_makes_a_transaction_in_no_queue() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({"queue": []})));
    assert_eq!(client.transaction(&id)["payload"], json!("p"));
    assert_eq!(client.state(&id), json!({}));
}

#[test]
fn a_group_alone_needs_no_queue() {
    let shared = shared();
    let mut client = shared.client();
    let (q, group) = (Queue::fresh(), unique("g"));
    client
        .call(&post("/group", &json!({"name": group, "queues": [q.id]})))
        .assert_json_head(200);
    let id = client.push_body(&json!({"payload": "p", "priority": "H", "groups": [group]}));
    assert_eq!(client.pop(&q, &json!({})).transactions, [id]);
}

#[test]
fn an_unknown_group_adds_nothing() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push_body(&body(
        json!({"queue": [{"id": q.id}], "groups": [unique("nobody")]}),
    ));
    assert_eq!(client.state(&id), json!({&q.id: "Pending"}));
    let id =
        client.push_body(&json!({"payload": "p", "priority": "H", "groups": [unique("nobody")]}));
    assert_eq!(client.state(&id), json!({}));
}

#[test]
fn groups_work_on_tenant_routes() {
    let shared = shared();
    let mut client = shared.client();
    let (tenant, group) = (unique("org"), unique("g"));
    let q = Queue::of(&tenant, unique("q"));
    client
        .call(&post(
            format!("/org/{tenant}/group"),
            &json!({"name": group, "queues": [q.id]}),
        ))
        .assert_json_head(200);
    let push = json!({"payload": "p", "priority": "H", "queue": [], "groups": [group]});
    client
        .call(&post(format!("/org/{tenant}/trans"), &push))
        .assert_json_head(200);
    assert_eq!(client.peek(&q).data, ["p"]);
}

#[test]
fn one_transaction_reaches_every_queue_it_names() {
    let shared = shared();
    let mut client = shared.client();
    let queues: Vec<Queue> = (0..50).map(|_| Queue::fresh()).collect();
    let id = client.push_to_all(&queues.iter().collect::<Vec<_>>(), "to all");
    for q in &queues {
        let popped = client.pop(q, &json!({"timeout": 1}));
        assert_eq!(popped.data, ["to all"]);
        assert_eq!(popped.transactions, [id.as_str()]);
    }
}

#[test]
fn get_shows_the_stored_fields_as_strings_without_a_wrapper() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({
        "payload": "the payload", "callback": "http://example.com/", "expirationDate": 2_000_000_000,
    })));
    let shown = client.transaction(&id);
    assert_eq!(shown["payload"], json!("the payload"));
    assert_eq!(shown["priority"], json!("H"));
    assert_eq!(shown["callback"], json!("http://example.com/"));
    assert_eq!(shown["expirationDate"], json!("2000000000"));
    assert_eq!(shown.get("ok"), None);
    assert_eq!(shown.get("queues"), None);
    assert!(
        shown.as_object().unwrap().values().all(Value::is_string),
        "{shown}"
    );
}

#[test]
fn other_fields_are_kept_as_strings() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({
        "colour": "blue", "count": 7, "nested": {"a": [1, true]}, "yes": true, "ünïcode": "ключ",
    })));
    let shown = client.transaction(&id);
    assert_eq!(shown["colour"], json!("blue"));
    assert_eq!(shown["count"], json!("7"));
    assert_eq!(shown["nested"], json!(r#"{"a":[1,true]}"#));
    assert_eq!(shown["yes"], json!("true"));
    assert_eq!(shown["ünïcode"], json!("ключ"));
}

#[test]
fn get_of_an_unknown_transaction_is_an_empty_object() {
    shared()
        .client()
        .call(&get(format!("/trans/{UNKNOWN}")))
        .assert_is(200, "{}");
    shared()
        .client()
        .call(&get("/trans/no-uuid-at-all"))
        .assert_is(200, "{}");
}

#[test]
fn get_with_queues_all_adds_the_state_and_address_of_each_queue() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b], "p");
    client.pop(&a, &json!({}));
    client.await_state(&id, &a, "Delivered");
    let request = get(format!("/trans/{id}?queues=All")).header("Host", "box.example:81");
    let shown = client.call(&request).json();
    assert_eq!(
        shown["queues"],
        json!({
            &a.id: {"state": "Delivered", "href": format!("http://box.example:81/queue/{}", a.id)},
            &b.id: {"state": "Pending", "href": format!("http://box.example:81/queue/{}", b.id)},
        })
    );
    assert_eq!(shown["payload"], json!("p"));
}

#[test]
fn get_with_queues_of_one_state_adds_only_those() {
    let shared = shared();
    let mut client = shared.client();
    let (delivered, blocked, pending) = (Queue::fresh(), Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&delivered, &blocked, &pending], "p");
    client.pop(&delivered, &json!({}));
    client.poprel(&blocked, &json!({}));
    client.await_state(&id, &delivered, "Delivered");
    let expected = [
        ("Pending", vec![&pending.id]),
        ("Blocked", vec![&blocked.id]),
        ("Delivered", vec![&delivered.id]),
        ("Expired", vec![]),
    ];
    for (state, ids) in expected {
        let shown = client
            .call(&get(format!("/trans/{id}?queues={state}")))
            .json();
        let queues = shown["queues"].as_object().unwrap();
        assert_eq!(queues.keys().collect::<Vec<_>>(), ids, "{state}");
        assert!(
            queues.values().all(|queue| queue["state"] == json!(state)),
            "{shown}"
        );
    }
}

#[test]
fn get_with_a_summary_counts_the_states_present() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b, c) = (Queue::fresh(), Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b, &c], "p");
    let target = format!("/trans/{id}?queues=summary");
    let shown = client.call(&get(&target)).json();
    assert_eq!(
        shown["queues"],
        json!({"totalNotifications": 3, "Pending": 3})
    );
    client.poprel(&a, &json!({}));
    let shown = client.call(&get(&target)).json();
    assert_eq!(
        shown["queues"],
        json!({"totalNotifications": 3, "Pending": 2, "Blocked": 1})
    );
}

#[test]
fn get_with_an_unknown_state_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    client
        .call(&get(format!("/trans/{id}?queues=Sideways")))
        .assert_is(400, r#"{"errors":["Wrong State:Sideways"]}"#);
}

#[test]
fn queues_may_be_asked_for_in_the_body() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    let request = get(format!("/trans/{id}?queues=All")).json(&json!({"queues": "summary"}));
    let shown = client.call(&request).json();
    assert_eq!(
        shown["queues"],
        json!({"totalNotifications": 1, "Pending": 1})
    );
}

#[test]
fn put_changes_payload_callback_and_expiration_date() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "old");
    let target = format!("/trans/{id}");
    let date = now_s() + 777;
    for change in [
        json!({"payload": "new"}),
        json!({"callback": "http://example.com/cb"}),
        json!({"expirationDate": date}),
    ] {
        client
            .call(&put(&target, &change))
            .assert_is(200, r#"{"ok":true}"#);
    }
    let shown = client.transaction(&id);
    assert_eq!(shown["payload"], json!("new"));
    assert_eq!(shown["callback"], json!("http://example.com/cb"));
    assert_eq!(shown["expirationDate"], json!(date.to_string()));
    assert_eq!(client.pop(&q, &json!({})).data, ["new"]);
}

#[test]
fn put_never_changes_priority_or_queue() {
    let shared = shared();
    let mut client = shared.client();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    let id = client.push(&q, "p");
    let target = format!("/trans/{id}");
    let change = json!({"payload": "new", "priority": "L", "queue": [{"id": other.id}]});
    client
        .call(&put(&target, &change))
        .assert_is(200, r#"{"ok":true}"#);
    assert_eq!(client.transaction(&id)["priority"], json!("H"));
    assert_eq!(client.state(&id), json!({&q.id: "Pending"}));
    assert!(client.peek(&other).is_empty());
}

#[test]
fn put_with_nothing_to_change_says_so() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    for change in [
        json!({}),
        json!({"priority": "L"}),
        json!({"queue": [{"id": "q"}]}),
    ] {
        client
            .call(&put(format!("/trans/{id}"), &change))
            .assert_is(200, r#"{"ok":true,"data":"empty data"}"#);
    }
}

#[test]
fn put_of_an_unknown_transaction_is_refused() {
    let response = shared().client().call(&put(
        format!("/trans/{UNKNOWN}"),
        &json!({"payload": "new"}),
    ));
    response.assert_is(
        400,
        &format!(r#"{{"errors":["{UNKNOWN} does not exist"]}}"#),
    );
}

#[test]
fn put_is_checked_as_a_push_is() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    let target = format!("/trans/{id}");
    for (change, error) in [
        (
            json!({"payload": "x".repeat(1_048_577)}),
            "payload greater than 1048576",
        ),
        (
            json!({"expirationDate": "soon"}),
            "expirationDate is not a number",
        ),
        (json!({"expirationDate": -1}), "expirationDate out of range"),
        (
            json!({"expirationDate": 2_147_483_648_u64}),
            "expirationDate out of range",
        ),
    ] {
        client
            .call(&put(&target, &change))
            .assert_errors(400, &[error]);
    }
    assert_eq!(client.transaction(&id)["payload"], json!("p"));
}

#[test]
fn put_without_a_json_content_type_is_refused() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    let request =
        crate::support::Request::new("PUT", format!("/trans/{id}")).body(r#"{"payload":"new"}"#);
    client
        .call(&request)
        .assert_errors(400, &["invalid content-type header"]);
}

#[test]
fn put_keeps_a_payload_that_is_no_string_as_json_text() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    client
        .call(&put(format!("/trans/{id}"), &json!({"payload": {"a": 1}})))
        .assert_json_head(200);
    assert_eq!(client.transaction(&id)["payload"], json!(r#"{"a":1}"#));
}

#[test]
fn delete_removes_the_message_from_every_queue() {
    let shared = shared();
    let mut client = shared.client();
    let (a, b) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&a, &b], "gone");
    client.push(&a, "stays");
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_is(200, r#"{"ok":true}"#);
    client
        .call(&get(format!("/trans/{id}")))
        .assert_is(200, "{}");
    assert_eq!(client.state(&id), json!({}));
    assert_eq!(client.queue_info(&a)["size"], json!(1));
    assert_eq!(client.queue_info(&b)["size"], json!(0));
    assert_eq!(client.pop(&a, &json!({"timeout": 1})).data, ["stays"]);
    assert!(client.pop(&b, &json!({"timeout": 1})).is_empty());
}

#[test]
fn delete_answers_ok_whether_or_not_there_was_one() {
    let shared = shared();
    let mut client = shared.client();
    let id = client.push_body(&body(json!({})));
    for target in [id.as_str(), id.as_str(), UNKNOWN, "no-uuid"] {
        client
            .call(&delete(format!("/trans/{target}")))
            .assert_is(200, r#"{"ok":true}"#);
    }
}

#[test]
fn a_deleted_message_that_was_handed_out_does_not_come_back() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "gone");
    assert_eq!(client.poprel(&q, &json!({"timeoutACK": 1})).data, ["gone"]);
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    // Longer than the lease: a pop that waits sees whatever comes back.
    assert!(client.pop(&q, &json!({"timeout": 2})).is_empty());
}

#[test]
fn a_transaction_of_a_tenant_is_found_by_its_id_alone() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::of(&unique("org"), unique("q"));
    let id = client.push(&q, "theirs");
    assert_eq!(client.transaction(&id)["payload"], json!("theirs"));
    assert_eq!(client.state(&id), json!({&q.id: "Pending"}));
}

#[test]
fn more_than_ten_thousand_queues_are_refused_groups_included() {
    let shared = shared();
    let mut client = shared.client();
    let group = unique("g");
    let members: Vec<String> = (0..6000)
        .map(|number| format!("{group}-{number}"))
        .collect();
    client
        .call(&post("/group", &json!({"name": group, "queues": members})))
        .assert_json_head(200);
    let queues: Vec<Value> = (0..4001)
        .map(|number| json!({"id": format!("x{number}")}))
        .collect();
    let push = json!({"payload": "p", "priority": "H", "queue": queues, "groups": [group]});
    client
        .call(&post("/trans", &push))
        .assert_errors(400, &["too many queues: maximum 10000"]);
}
