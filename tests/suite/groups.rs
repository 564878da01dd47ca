//! Groups: named sets of queues, a tenant's own.

use serde_json::{Value, json};

use crate::support::{Client, Queue, delete, escaped, get, post, put, shared, unique};

fn stored(client: &mut Client, name: &str, queues: &[&str]) {
    client
        .call(&post("/group", &json!({"name": name, "queues": queues})))
        .assert_is(200, r#"{"ok":"group stored"}"#);
}

/// The members, sorted: a group is a set.
#[track_caller]
fn members(client: &mut Client, name: &str) -> Vec<String> {
    let response = client.call(&get(format!("/group/{}", escaped(name))));
    response.assert_json_head(200);
    let group = response.json();
    assert_eq!(group["name"], json!(name));
    let queues = group["queues"].as_array().unwrap();
    let mut queues: Vec<String> = queues
        .iter()
        .map(|queue| queue.as_str().unwrap().to_owned())
        .collect();
    queues.sort();
    queues
}

#[test]
fn a_group_is_stored_and_shown() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    stored(&mut client, &name, &["a"]);
    client
        .call(&get(format!("/group/{name}")))
        .assert_is(200, &format!(r#"{{"name":"{name}","queues":["a"]}}"#));
}

#[test]
fn a_group_stored_again_is_the_union() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    stored(&mut client, &name, &["a", "b", "a"]);
    stored(&mut client, &name, &["b", "c"]);
    assert_eq!(members(&mut client, &name), ["a", "b", "c"]);
}

#[test]
fn a_group_needs_a_name_and_queues() {
    let shared = shared();
    let mut client = shared.client();
    client
        .call(&post("/group", &json!({"queues": ["a"]})))
        .assert_is(400, r#"{"errors":["missing name"]}"#);
    client
        .call(&post("/group", &json!({"name": unique("g")})))
        .assert_errors(400, &["missing queues"]);
    client
        .call(&post("/group", &json!({})))
        .assert_errors(400, &["missing name", "missing queues"]);
}

#[test]
fn names_and_members_are_strings() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    for group in [
        json!({"name": 5, "queues": ["a"]}),
        json!({"name": {"a": 1}, "queues": ["a"]}),
        json!({"name": name, "queues": [5]}),
        json!({"name": name, "queues": ["a", null]}),
        json!({"name": name, "queues": "a"}),
        json!({"name": name, "queues": {"a": 1}}),
    ] {
        client.call(&post("/group", &group)).assert_some_error(400);
    }
    assert_eq!(members(&mut client, &name), Vec::<String>::new());
    stored(&mut client, &name, &["a"]);
    for change in [
        json!({"queuesToAdd": [5]}),
        json!({"queuesToAdd": "b"}),
        json!({"queuesToRemove": [{"id": "a"}]}),
        json!({"queuesToAdd": ["b"], "queuesToRemove": 7}),
    ] {
        client
            .call(&put(format!("/group/{name}"), &change))
            .assert_some_error(400);
    }
    assert_eq!(members(&mut client, &name), ["a"]);
}

#[test]
fn an_unknown_group_has_no_members() {
    let name = unique("nobody");
    let response = shared().client().call(&get(format!("/group/{name}")));
    response.assert_is(200, &format!(r#"{{"name":"{name}","queues":[]}}"#));
}

#[test]
fn a_group_is_modified() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    let target = format!("/group/{name}");
    stored(&mut client, &name, &["a", "b"]);
    client
        .call(&put(&target, &json!({"queuesToAdd": ["c"]})))
        .assert_is(200, r#"{"ok":"group modified"}"#);
    assert_eq!(members(&mut client, &name), ["a", "b", "c"]);
    client
        .call(&put(&target, &json!({"queuesToRemove": ["a", "unknown"]})))
        .assert_is(200, r#"{"ok":"group modified"}"#);
    assert_eq!(members(&mut client, &name), ["b", "c"]);
}

#[test]
fn what_is_to_be_added_and_removed_is_removed() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    stored(&mut client, &name, &["a"]);
    let change = json!({"queuesToAdd": ["b", "c"], "queuesToRemove": ["b"]});
    client
        .call(&put(format!("/group/{name}"), &change))
        .assert_json_head(200);
    assert_eq!(members(&mut client, &name), ["a", "c"]);
}

#[test]
fn a_modification_needs_something_to_do_and_a_group() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    stored(&mut client, &name, &["a"]);
    client
        .call(&put(format!("/group/{name}"), &json!({})))
        .assert_is(400, r#"{"errors":["missing queues to add/remove"]}"#);
    let unknown = unique("nobody");
    client
        .call(&put(
            format!("/group/{unknown}"),
            &json!({"queuesToAdd": ["a"]}),
        ))
        .assert_is(
            400,
            &format!(r#"{{"errors":["{unknown} does not exist"]}}"#),
        );
}

#[test]
fn removing_a_group_always_succeeds() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    stored(&mut client, &name, &["a"]);
    for _ in 0..2 {
        client
            .call(&delete(format!("/group/{name}")))
            .assert_is(200, &format!(r#"{{"ok":"Group {name} removed"}}"#));
        assert_eq!(members(&mut client, &name), Vec::<String>::new());
    }
}

#[test]
fn a_removed_group_adds_nothing_to_a_push() {
    let shared = shared();
    let mut client = shared.client();
    let (name, q) = (unique("g"), Queue::fresh());
    stored(&mut client, &name, &[&q.id]);
    client
        .call(&delete(format!("/group/{name}")))
        .assert_json_head(200);
    client.push_body(&json!({"payload": "p", "priority": "H", "groups": [name]}));
    assert!(client.peek(&q).is_empty());
}

#[test]
fn a_group_changed_after_a_push_changes_nothing_in_it() {
    let shared = shared();
    let mut client = shared.client();
    let (name, before, after) = (unique("g"), Queue::fresh(), Queue::fresh());
    stored(&mut client, &name, &[&before.id]);
    let id = client.push_body(&json!({"payload": "p", "priority": "H", "groups": [name]}));
    let change = json!({"queuesToAdd": [after.id], "queuesToRemove": [before.id]});
    client
        .call(&put(format!("/group/{name}"), &change))
        .assert_json_head(200);
    assert_eq!(client.state(&id), json!({&before.id: "Pending"}));
    assert!(client.peek(&after).is_empty());
}

#[test]
fn a_group_can_reach_no_other_key() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "safe");
    for name in [
        q.id.clone(),
        format!("UNSEC:{}", q.id),
        format!("SEC:{}", q.id),
        format!("PB:Q|H:UNSEC:{}", q.id),
        format!("PB:T|{id}:meta"),
        format!("pb:{}", q.id),
        id.clone(),
    ] {
        stored(&mut client, &name, &["a"]);
        assert_eq!(members(&mut client, &name), ["a"]);
        client
            .call(&delete(format!("/group/{}", escaped(&name))))
            .assert_says(200, &json!({"ok": format!("Group {name} removed")}));
    }
    assert_eq!(client.transaction(&id)["payload"], json!("safe"));
    assert_eq!(client.pop(&q, &json!({})).data, ["safe"]);
}

#[test]
fn names_and_members_may_be_any_text() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::named(format!("{} a/b?ü\"\n", unique("q")));
    let name = format!("{} x/y#ñ'\\", unique("g"));
    stored(&mut client, &name, &[&q.id]);
    assert_eq!(members(&mut client, &name), [q.id.as_str()]);
    client.push_body(&json!({"payload": "p", "priority": "H", "groups": [name]}));
    assert_eq!(client.peek(&q).data, ["p"]);
}

#[test]
fn groups_of_one_name_are_each_tenants_own() {
    let shared = shared();
    let mut client = shared.client();
    let name = unique("g");
    let (one, two) = (unique("org"), unique("org"));
    stored(&mut client, &name, &["plain"]);
    for (tenant, member) in [(&one, "of-one"), (&two, "of-two")] {
        client
            .call(&post(
                format!("/org/{tenant}/group"),
                &json!({"name": name, "queues": [member]}),
            ))
            .assert_json_head(200);
    }
    let mut queues =
        |target: String| -> Value { client.call(&get(target)).json()["queues"].clone() };
    assert_eq!(queues(format!("/group/{name}")), json!(["plain"]));
    assert_eq!(
        queues(format!("/org/{one}/group/{name}")),
        json!(["of-one"])
    );
    assert_eq!(
        queues(format!("/org/{two}/group/{name}")),
        json!(["of-two"])
    );
    client
        .call(&delete(format!("/org/{one}/group/{name}")))
        .assert_json_head(200);
    let mut queues =
        |target: String| -> Value { client.call(&get(target)).json()["queues"].clone() };
    assert_eq!(queues(format!("/org/{one}/group/{name}")), json!([]));
    assert_eq!(
        queues(format!("/org/{two}/group/{name}")),
        json!(["of-two"])
    );
}

#[test]
fn a_tenants_push_sees_its_own_groups_only() {
    let shared = shared();
    let mut client = shared.client();
    let (name, tenant) = (unique("g"), unique("org"));
    stored(&mut client, &name, &["plain"]);
    let push = json!({"payload": "p", "priority": "H", "queue": [], "groups": [name]});
    let response = client.call(&post(format!("/org/{tenant}/trans"), &push));
    let id = response.json()["data"].as_str().unwrap().to_owned();
    assert_eq!(client.state(&id), json!({}));
}
