//! Paths and methods.

use super::*;

/// Every path with the methods it knows.
const ROUTES: [(&str, &str); 17] = [
    ("/", "GET, HEAD"),
    ("/trans", "POST"),
    ("/trans/i", "GET, HEAD, PUT, DELETE"),
    ("/trans/i/state", "GET, HEAD"),
    ("/trans/i/state/All", "GET, HEAD"),
    ("/queue/q", "GET, HEAD"),
    ("/queue/q/peek", "GET, HEAD"),
    ("/queue/q/dead", "GET, HEAD, DELETE"),
    ("/queue/q/dead/redrive", "POST"),
    ("/queue/q/pop", "POST"),
    ("/queue/q/poprel", "POST"),
    ("/queue/q/ack", "POST"),
    ("/queue/q/subscribe", "POST"),
    ("/queue/q/subscriberel", "POST"),
    ("/group", "POST"),
    ("/group/g", "GET, HEAD, PUT, DELETE"),
    ("/trans/i/state/x", "GET, HEAD"),
];

#[test]
fn every_path_knows_its_methods_and_names_them() {
    for (path, allowed) in ROUTES {
        for prefix in ["", "/org/o", "/ORG/o"] {
            for method in [
                "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get",
            ] {
                let line = format!("{method} {prefix}{path}");
                let Action::Respond(response) = act(&line, "") else {
                    assert!(allowed.split(", ").any(|known| known == method), "{line}");
                    continue;
                };
                let is_known = allowed.split(", ").any(|known| known == method);
                assert_eq!(response.status.code() != 405, is_known, "{line}");
                let allow = header(&response, "Allow");
                assert_eq!(allow, (!is_known).then_some(allowed), "{line}");
            }
        }
    }
}

#[test]
fn fixed_words_come_in_any_case_and_with_a_slash_behind() {
    for line in [
        "POST /Queue/Q/POP",
        "POST /queue/Q/pop/",
        "POST /queue/%51/pop?x=1",
    ] {
        match act(line, "") {
            Action::Pop { pop, .. } => assert_eq!(pop.queue, plain_queue("Q"), "{line}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn other_paths_are_unknown() {
    for line in [
        "GET /x",
        "GET //",
        "GET /queue",
        "POST /queue",
        "POST /queue//pop",
        "GET /queue/q//",
        "GET /org",
        "GET /org//queue/q",
        "GET /org/o/org/p",
        "DELETE /tranſ/i",
        "GET /queue/q/pop/x",
    ] {
        assert_eq!(
            answer(line, ""),
            (404, r#"{"errors":["not found"]}"#.to_owned()),
            "{line}"
        );
    }
}

#[test]
fn pages_of_another_site_change_nothing() {
    let site = |line: &str, site: &str| {
        let headers = format!("Sec-Fetch-Site: {site}\r\n");
        match act_on(&request(line, &headers, "")) {
            Action::Respond(response) => response.status.code(),
            _ => 0,
        }
    };
    for line in [
        "POST /queue/q/pop",
        "POST /queue/q/dead/redrive",
        "DELETE /group/g",
    ] {
        assert_eq!(site(line, "cross-site"), 403, "{line}");
        assert_eq!(site(line, "same-origin"), 0, "{line}");
    }
    assert_eq!(site("GET /queue/q", "cross-site"), 0);
}

#[test]
fn ids_are_decoded_once() {
    match act(
        "POST /org/o%2Fp/queue/a%2Fb%2525%E2%82%AC/peek"
            .replace("POST", "GET")
            .as_str(),
        "",
    ) {
        Action::Ask(Op::Peek { queue, .. }, _) => assert_eq!(queue, org_queue("o/p", "a/b%25€")),
        other => panic!("{other:?}"),
    }
    refused("GET /queue/%ff", "", &["undecodable path"]);
    refused("GET /queue/%zz", "", &["undecodable path"]);
}

#[test]
fn ids_have_a_length() {
    let long = "x".repeat(41);
    let error = ["id longer than 40 bytes"];
    refused(&format!("GET /queue/{long}"), "", &error);
    refused(&format!("POST /queue/{long}/pop"), "", &error);
    refused(&format!("GET /org/{long}/queue/q"), "", &error);
    refused(&format!("DELETE /org/{long}/trans/i"), "", &error);
    refused(&format!("GET /group/{long}"), "", &error);
    assert!(matches!(
        act(&format!("GET /queue/{}", &long[1..]), ""),
        Action::Ask(..)
    ));
    // No transaction has such an id, which is an answer like any other.
    assert_eq!(
        answer(&format!("GET /trans/{long}"), ""),
        (200, "{}".to_owned())
    );
}
