//! What the history has of requests, and what it never has: passwords.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding as _};
use mongodb::bson::Document;
use serde_json::json;

use crate::history::{await_all, mongo, stage, texts};
use crate::support::{
    Mongo, Queue, Request, Settings, credentials, delete, eventually_equal, get, post, unique,
};

/// Requests of a tenant about the queue `q`, the transaction `ID` and the group `g`, each with its body, and what they
/// are in the history: name, queue, transaction, how many messages at most, and how many in all.
const REQUESTS: [[&str; 4]; 17] = [
    ["GET", "/trans/ID", "", "GETTRANSACTION - ID - -"],
    ["HEAD", "/trans/ID", "", "GETTRANSACTION - ID - -"],
    ["GET", "/trans/ID/state", "", "GETTRANSACTIONSTATE - ID - -"],
    [
        "PUT",
        "/trans/ID",
        r#"{"payload":1}"#,
        "UPDATETRANSACTION - ID - -",
    ],
    ["GET", "/queue/q", "", "GETQUEUE q - - -"],
    ["GET", "/queue/q/peek?max=3", "", "USERPEEK q - 3 1"],
    ["POST", "/queue/q/poprel", r#"{"max":5}"#, "USERPOP q - 5 1"],
    [
        "POST",
        "/queue/q/pop",
        r#"{"timeout":1}"#,
        "USERPOP q - 1000 0",
    ],
    [
        "POST",
        "/queue/q/ack",
        r#"{"transactions":["ID","x"]}"#,
        "USERACK q - 2 1",
    ],
    ["GET", "/queue/q/dead", "", "GETDEADLETTERS q - - -"],
    [
        "POST",
        "/queue/q/dead/redrive",
        "{}",
        "REDRIVEDEADLETTERS q - - 0",
    ],
    ["DELETE", "/queue/q/dead", "", "PURGEDEADLETTERS q - - 0"],
    [
        "POST",
        "/group",
        r#"{"name":"g","queues":["q"]}"#,
        "CREATEGROUP - - - -",
    ],
    [
        "PUT",
        "/group/g",
        r#"{"queuesToAdd":["a"]}"#,
        "UPDATEGROUP g - - -",
    ],
    ["GET", "/group/g", "", "GETGROUP g - - -"],
    ["DELETE", "/group/g", "", "DELETEGROUP g - - -"],
    ["DELETE", "/trans/ID", "", "DELETETRANSACTION - ID - -"],
];

/// The same of a document, with what came with the request.
fn summary(document: &Document) -> [String; 2] {
    let text = |field| document.get_str(field).unwrap_or("-").to_owned();
    let number = |field| {
        let number = document.get_i64(field);
        number.map_or_else(|_| "-".to_owned(), |number| number.to_string())
    };
    let fields = [
        text("action"),
        text("queue"),
        text("transaction"),
        number("max_msg"),
        number("total_msg"),
    ];
    let postdata = document.get_str("postdata").unwrap_or_default();
    [fields.join(" "), postdata.to_owned()]
}

#[test]
fn each_request_is_an_action() {
    let stage = stage();
    let mut client = stage.client();
    // All that is told is about this tenant, so all of it can be compared.
    let tenant = unique("org");
    let q = Queue::of(&tenant, "q");
    let id = client.push(&q, "p");
    client.await_states_told(&id, &q, &["Pending"]);
    let push = r#"{"payload":"p","priority":"H","queue":[{"id":"q"}]}"#;
    let mut expected = vec![[format!("USERPUSH - {id} - -"), push.to_owned()]];
    for row in REQUESTS {
        let [method, path, body, action] = row.map(|text| text.replace("ID", &id));
        let request = Request::new(&method, format!("/org/{tenant}{path}"));
        let request = request.header("Content-Type", "application/json");
        let response = client.call(&request.body(body.clone()));
        assert_eq!(response.status, 200, "{row:?}: {response:?}");
        expected.push([action, body]);
    }
    // These are none.
    for path in [
        "/",
        "/unknown",
        "/queue/q/history",
        &format!("/trans/{id}/history"),
    ] {
        client.call(&get(format!("/org/{tenant}{path}")));
    }
    client.call(&delete(q.route("pop")));
    // A client that takes no leave has asked all the same.
    let mut stream = stage.client();
    stream.subscribe(&q, "subscribe", &json!({"max": 2}));
    drop(stream);
    expected.push([
        "USERSUBSCRIBE q - - -".to_owned(),
        r#"{"max":2}"#.to_owned(),
    ]);

    let told = || {
        let mut documents = mongo().documents("popbox_ev");
        documents
            .retain(|it| it.get_str("tenant").ok() == Some(&tenant) && it.contains_key("action"));
        // Those of one time are in the order of ids.
        documents.sort_by_key(|it| *it.get_datetime("timestamp").unwrap());
        documents
    };
    eventually_equal(&expected, || told().iter().map(summary).collect());
    for document in told() {
        assert_eq!(document.get_str("agent").ok(), Some("the agent"));
        assert!(!document.contains_key("error"), "{document}");
    }
}

#[test]
fn a_refused_request_has_its_error() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let refused = client.call(&post(q.route("pop"), &json!({"timeout": -1})));
    refused.assert_some_error(400);
    client
        .call(&post(q.route("ack"), &json!({})))
        .assert_errors(400, &["missing transaction"]);
    let large = "x".repeat(100_000);
    client
        .call(&post(q.route("pop"), &json!({"timeout": 1, "note": large})))
        .assert_json_head(200);
    let expected = [refused.text(), r#"{"errors":["missing transaction"]}"#, "-"];
    let expected = expected.map(str::to_owned).to_vec();
    eventually_equal(&expected, || texts(&client.history(&q.path()), "error"));
    let events = client.history(&q.path());
    assert_eq!(texts(&events, "action"), ["USERPOP", "USERACK", "USERPOP"]);
    // Of a large body there is the beginning.
    let kept = events[2]["postdata"].as_str().unwrap();
    assert!(
        kept.starts_with(r#"{"note":"xxx"#) && kept.len() == 8192,
        "{}",
        kept.len()
    );
}

#[test]
fn what_got_no_answer_or_half_of_one_says_why() {
    let mongo = Mongo::shared();
    let server = Settings::new()
        .with_history(&mongo)
        .set("limits.max_waiters", 1)
        .start();
    let q = Queue::fresh();
    let (mut client, mut waiting) = (server.client(), server.client());
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    let mut over = server.client();
    over.send(&post(q.route("subscribe"), &json!({})));
    over.receive();
    let no_room = r#"{"errors":["no room: limits.max_waiters is reached"]}"#;
    eventually_equal(&vec![no_room.to_owned()], || {
        let events = client.history(&q.path());
        texts(&events, "error")
            .into_iter()
            .filter(|it| it != "-")
            .collect()
    });
    drop(waiting);
    eventually_equal(&true, || {
        let events = client.history(&q.path());
        let is_told = |it: &serde_json::Value| {
            it["action"] == "USERPOP" && it["error"] == "the client has left"
        };
        events.iter().any(is_told)
    });
}

#[test]
fn bodies_are_kept_only_where_that_is_asked_for() {
    let mongo = Mongo::shared();
    let server = Settings::new().with_history(&mongo).start();
    let mut client = server.client();
    let q = Queue::fresh();
    client.push(&q, "of interest to nobody");
    client.call(&post(
        "/trans",
        &json!({"payload": "of interest to nobody"}),
    ));
    await_all(&mut client);
    for document in mongo.documents("popbox_ev") {
        assert!(!document.contains_key("postdata"), "{document}");
        assert!(!document.to_string().contains("of interest"), "{document}");
        // Unless it is given a name, a server is called by its host and port.
        assert!(
            document.get_str("agent").unwrap().contains(':'),
            "{document}"
        );
    }
}

#[test]
fn no_document_has_a_password_or_a_login() {
    let mongo = Mongo::shared();
    let server = Settings::new()
        .with_history(&mongo)
        .with_tls()
        .set("history.postdata", true)
        .set("auth.admin", credentials("root", "the-admins-secret"))
        .start();
    let mut client = server.secured_client();
    let q = Queue::fresh();
    let password = "open-sesame";
    client.secure(&q, "ali", password);
    // Refused in each way there is.
    let whole = json!({"queue": q.id, "user": "ali", "password": password}).to_string();
    let bodies = [
        whole.clone(),
        whole.replace("ali", ""),
        whole.replace(&q.id, ""),
        whole.replace("user", "owner"),
        whole.replace('{', "{{"),
        whole.replace('}', ""),
        format!("password={password}"),
        format!("\"{password}\""),
        password.to_owned(),
    ];
    for body in bodies {
        for path in ["/queue", "/org/o/queue"] {
            let request = Request::new("POST", path);
            client.call(
                &request
                    .header("Content-Type", "application/json")
                    .body(body.clone()),
            );
        }
    }
    let id = client.push(&q, "p");
    let pop = post(q.route("pop"), &json!({"timeout": 1}));
    for (user, password, status) in [
        ("ali", "open-barley", 401),
        ("ali", password, 200),
        ("root", "the-admins-secret", 200),
    ] {
        let response = client.call(&pop.clone().login(user, password));
        assert_eq!(response.status, status, "{response:?}");
    }
    client.call(&pop).assert_unauthorized();
    client.call(&get(format!("/trans/{id}")).login("ali", password));
    await_all(&mut server.client());

    let mut names = BTreeSet::new();
    for collection in mongo.collections() {
        for document in mongo.documents(&collection) {
            names.extend(document.get_str("action").ok().map(str::to_owned));
            let text = document.to_string();
            for (user, password) in [
                ("ali", password),
                ("ali", "open-barley"),
                ("root", "the-admins-secret"),
            ] {
                let login = Base64::encode_string(format!("{user}:{password}").as_bytes());
                assert!(!text.contains(password), "{text}");
                assert!(!text.contains(&login), "{text}");
            }
            assert!(!text.contains("Basic "), "{text}");
        }
    }
    for name in ["CREATEQUEUE", "USERPOP", "USERPUSH", "GETTRANSACTION"] {
        assert!(names.contains(name), "{names:?}");
    }
}
