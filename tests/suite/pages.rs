//! The pages a person looks at: HTML when `Accept` names it.

use serde_json::json;

use crate::support::{Client, Queue, Response, get, head, shared, unique};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

fn page(client: &mut Client, target: &str) -> Response {
    let response = client.call(&get(target).header("Accept", BROWSER));
    assert_eq!(response.status, 200, "{response:?}");
    let kind = response.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/html"), "{response:?}");
    assert!(kind.to_ascii_lowercase().contains("utf-8"), "{response:?}");
    response
}

fn targets(client: &mut Client) -> Vec<String> {
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    vec!["/".to_owned(), q.path(), format!("/trans/{id}")]
}

#[test]
fn a_browser_gets_html() {
    let shared = shared();
    let mut client = shared.client();
    for target in targets(&mut client) {
        assert!(
            page(&mut client, &target)
                .text()
                .to_lowercase()
                .contains("<html")
        );
        for accept in [
            "text/html",
            "TEXT/HTML",
            "application/json, text/html;q=0.9",
        ] {
            let response = client.call(&get(&target).header("Accept", accept));
            assert!(
                response
                    .header("content-type")
                    .unwrap()
                    .starts_with("text/html"),
                "{accept}"
            );
        }
    }
}

#[test]
fn everybody_else_gets_json() {
    let shared = shared();
    let mut client = shared.client();
    for target in targets(&mut client) {
        client.call(&get(&target)).assert_json_head(200);
        for accept in [
            "*/*",
            "application/json",
            "application/json, text/plain, */*",
            "text/*",
            "",
        ] {
            client
                .call(&get(&target).header("Accept", accept))
                .assert_json_head(200);
        }
    }
}

#[test]
fn the_root_says_what_it_is() {
    let response = shared().client().call(&get("/"));
    response.assert_json_head(200);
    let answer = response.json();
    assert_eq!(answer["ok"], json!(true));
    assert!(answer["version"].is_string(), "{answer}");
}

#[test]
fn routes_without_a_page_stay_json() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    for target in [
        q.route("peek"),
        format!("/trans/{id}/state"),
        format!("/group/{}", unique("g")),
    ] {
        client
            .call(&get(target).header("Accept", BROWSER))
            .assert_json_head(200);
    }
}

#[test]
fn a_queues_page_names_its_messages() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let response = page(&mut client, &q.path());
    assert!(response.text().contains(&q.id));
    assert!(response.text().contains(&id));
}

#[test]
fn a_transactions_page_shows_it() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let id = client.push(&q, "the payload of the page");
    let response = page(&mut client, &format!("/trans/{id}"));
    assert!(response.text().contains(&id));
    assert!(response.text().contains("the payload of the page"));
}

#[test]
fn whatever_clients_wrote_is_escaped() {
    let shared = shared();
    let mut client = shared.client();
    let evil = format!(
        "<script>alert('{}')</script>\"><img src=x onerror=alert(1)>",
        unique("x")
    );
    let q = Queue::named(&evil);
    let id = client.push_with(
        &q,
        &evil,
        json!({"callback": format!("x:{evil}"), "field<b>": evil}),
    );
    for target in [
        q.path(),
        format!("/trans/{id}"),
        format!("/trans/{id}?queues=All"),
        format!("/trans/{}", crate::support::escaped(&evil)),
    ] {
        let response = page(&mut client, &target);
        let text = response.text();
        for raw in [
            "<script>alert",
            "<img src=x",
            "field<b>",
            "</script>\"><img",
        ] {
            assert!(!text.contains(raw), "{raw} in {text}");
        }
    }
}

#[test]
fn a_tenants_queue_has_a_page_too() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::of(&unique("org"), unique("q"));
    let id = client.push(&q, "p");
    assert!(page(&mut client, &q.path()).text().contains(&id));
}

#[test]
fn head_of_a_page_is_its_head() {
    let shared = shared();
    let mut client = shared.client();
    for target in targets(&mut client) {
        let response = client.call(&head(&target).header("Accept", "text/html"));
        assert_eq!(response.status, 200);
        assert!(
            response
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
    }
    client.assert_alive();
}
