//! The home page, and who gets pages at all.

use super::*;

fn get(path: &str, accept: &str) -> Action {
    act_on(&request(
        &format!("GET {path}"),
        &format!("Accept: {accept}\r\n"),
        "",
    ))
}

#[test]
fn programs_get_json_and_people_a_page() {
    let version = env!("CARGO_PKG_VERSION");
    let expected =
        format!(r#"{{"ok":true,"name":"popbox","version":"{version}","deadLetters":1}}"#);
    assert_eq!(answer("GET /", ""), (200, expected.clone()));
    assert_eq!(shown(&response(get("/org/o", "*/*"))), (200, expected));
    let page = response(get("/", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
    assert!(shown(&page).1.starts_with("<!DOCTYPE html>"));
    assert_eq!(page.content_type, crate::http::ContentType::Html);
    assert!(
        header(&page, "Content-Security-Policy")
            .unwrap()
            .starts_with("default-src 'none'; style-src 'sha256-")
    );
}

#[test]
fn the_forms_are_sent_on() {
    for (path, expected) in [
        ("/?queue=a%2Fb", "/queue/a%2Fb"),
        (
            "/?queue=%0d%0aSet-Cookie:+x",
            "/queue/%0D%0ASet-Cookie%3A%20x",
        ),
        ("/org/o/?queue=q", "/org/o/queue/q"),
        ("/?transaction=+i+", "/trans/i"),
        ("/?queue=&transaction=i", "/trans/i"),
        ("/?queue=%2F%2Fevil.example", "/queue/%2F%2Fevil.example"),
    ] {
        let response = response(get(path, "text/html"));
        assert_eq!(response.status.code(), 303, "{path}");
        assert_eq!(header(&response, "Location"), Some(expected));
    }
    assert_eq!(response(get("/?queue=+", "text/html")).status.code(), 200);
}

#[test]
fn pages_of_queues_and_transactions() {
    let Action::Ask(Op::DescribeQueue(_), shown_queue) = get("/org/o/queue/%3Cq%3E", "text/html")
    else {
        panic!("no description");
    };
    let (status, page) =
        shown(&shown_queue.render(Reply::Queue(crate::mailbox::QueueInfo::default())));
    assert_eq!(status, 200);
    assert!(
        page.contains("<h1>Queue &lt;q&gt;</h1>") && page.contains("href=\"/org/o\""),
        "{page}"
    );
    let (status, page) = shown(&response(get("/trans/%3Cx%3E", "text/html")));
    assert_eq!(status, 200);
    assert!(page.contains("<code>&lt;x&gt;</code>"), "{page}");
    let Action::Ask(Op::Transaction(_), shown_transaction) =
        get(&format!("/trans/{}", id(1)), "text/html")
    else {
        panic!("no transaction");
    };
    let (_, page) = shown(&shown_transaction.render(Reply::Transaction(None)));
    assert!(page.contains("No such transaction"), "{page}");
}
