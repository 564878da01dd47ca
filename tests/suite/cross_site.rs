//! What a page of another site has a browser send changes nothing; browsers say so themselves (`Sec-Fetch-Site`).

use serde_json::json;

use crate::support::{Client, Queue, Request, delete, get, head, post, put, shared, unique};

const REFUSAL: &str = "not allowed to pages of another site";

fn from(site: &str, request: Request) -> Request {
    request.header("Sec-Fetch-Site", site)
}

/// Every request that changes something.
fn changes(q: &Queue, id: &str, group: &str) -> Vec<Request> {
    let push = json!({"payload": "evil", "priority": "H", "queue": [{"id": q.id}]});
    let members = json!({"name": group, "queues": [q.id]});
    let mut changes = vec![
        post("/trans", &push),
        post("/trans?delay=1", &push),
        put(format!("/trans/{id}"), &json!({"payload": "evil"})),
        delete(format!("/trans/{id}")),
        post("/group", &members),
        put(
            format!("/group/{group}"),
            &json!({"queuesToRemove": [q.id]}),
        ),
        delete(format!("/group/{group}")),
        post(q.route("ack"), &json!({"transactions": [id]})),
        post(q.route("dead/redrive"), &json!({})),
        delete(q.route("dead")),
        // As a form of a page sends it, which asks nobody before.
        post(q.route("pop"), &json!({}))
            .header("Accept", "text/html")
            .header("Sec-Fetch-Mode", "navigate"),
    ];
    for deed in ["pop", "poprel", "subscribe", "subscriberel"] {
        changes.push(post(q.route(deed), &json!({"timeout": 1})));
    }
    changes
}

#[track_caller]
fn assert_untouched(client: &mut Client, q: &Queue, id: &str, group: &str) {
    let peeked = client.peek(q);
    assert_eq!(
        (peeked.data, peeked.transactions),
        (vec!["safe".to_owned()], vec![id.to_owned()])
    );
    assert_eq!(client.state(id), json!({&q.id: "Pending"}));
    client
        .call(&get(format!("/group/{group}")))
        .assert_says(200, &json!({"name": group, "queues": ["member"]}));
}

#[test]
fn a_page_of_another_site_changes_nothing_and_is_told_so() {
    let shared = shared();
    let mut client = shared.client();
    let (q, group) = (Queue::fresh(), unique("g"));
    let id = client.push(&q, "safe");
    let members = json!({"name": group, "queues": ["member"]});
    client.call(&post("/group", &members)).assert_json_head(200);
    for request in changes(&q, &id, &group) {
        client
            .call(&from("cross-site", request))
            .assert_errors(403, &[REFUSAL]);
        assert_untouched(&mut client, &q, &id, &group);
    }
    // What changes nothing it may see, as far as the browser lets it.
    for target in [
        "/".to_owned(),
        q.path(),
        q.route("peek"),
        q.route("dead"),
        format!("/trans/{id}"),
        format!("/trans/{id}/state"),
        format!("/group/{group}"),
    ] {
        let response = client.call(&from("cross-site", get(&target)));
        assert_eq!(response.status, 200, "{target}");
        let response = client.call(&from("cross-site", head(&target)));
        assert_eq!(response.status, 200, "{target}");
    }
    assert_untouched(&mut client, &q, &id, &group);
}

#[test]
fn below_a_tenants_path_it_changes_nothing_either() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::of(&unique("org"), "q");
    client.push(&q, "safe");
    let push = json!({"payload": "evil", "priority": "H", "queue": [{"id": q.id}]});
    for request in [post(q.push_path(), &push), post(q.route("pop"), &json!({}))] {
        client
            .call(&from("cross-site", request))
            .assert_errors(403, &[REFUSAL]);
    }
    assert_eq!(client.peek(&q).data, ["safe"]);
}

#[test]
fn whoever_is_of_this_site_or_no_browser_may() {
    let shared = shared();
    let mut client = shared.client();
    for site in ["same-origin", "same-site", "none"] {
        let (q, group) = (Queue::fresh(), unique("g"));
        let id = client.push(&q, "p");
        let requests = changes(&q, &id, &group);
        // A stream would not end.
        let is_stream =
            |request: &Request| String::from_utf8_lossy(&request.bytes("h")).contains("/subscribe");
        for request in requests.into_iter().filter(|it| !is_stream(it)) {
            let response = client.call(&from(site, request));
            assert_eq!(response.status, 200, "{site}: {response:?}");
        }
    }
}

/// The body and what comes behind it are read as ever.
#[test]
fn a_refused_page_does_not_upset_the_connection() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let push = json!({"payload": "evil", "priority": "H", "queue": [{"id": q.id}]});
    let mut bytes = from("cross-site", post("/trans", &push)).bytes("h");
    bytes.extend(get(q.route("peek")).bytes("h"));
    client.send_raw(&bytes);
    client.receive().assert_errors(403, &[REFUSAL]);
    client
        .receive()
        .assert_says(200, &json!({"ok": true, "data": [], "transactions": []}));
}
