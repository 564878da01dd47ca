//! Who may read the history, and the page that shows it.

use std::sync::LazyLock;

use mongodb::bson::{DateTime, doc};
use serde_json::{Value, json};

use crate::support::{
    Client, Mongo, Queue, Server, Settings, Shared, credentials, delete, eventually,
    eventually_equal, get, put, shared, unique,
};

/// A server with users, whose passwords are all `password`.
fn stage() -> Shared {
    static STAGE: LazyLock<(Server, Mongo)> = LazyLock::new(|| {
        let mongo = Mongo::shared();
        let users = [
            ("producer", r#"roles = ["producer"]"#),
            ("inspector", r#"roles = ["inspector"]"#),
            ("operator", r#"roles = ["operator"]"#),
            ("one", r#"roles = ["inspector"], tenants = ["one"]"#),
            ("two", r#"roles = ["operator"], tenants = ["two"]"#),
        ];
        let users = users.map(|(name, rights)| {
            let credentials = credentials(name, "password");
            format!("{{credentials = {credentials:?}, {rights}}}")
        });
        let server = Settings::new()
            .with_history(&mongo)
            .with_tls()
            .set("auth.users", format!("[{}]", users.join(", ")))
            .set("auth.admin", credentials("root", "password"))
            .set("auth.max_failures", 1_000_000)
            .start();
        (server, mongo)
    });
    Shared::of(&STAGE.0)
}

fn client(stage: &Server, name: &str) -> Client {
    stage.client().login(name, "password")
}

/// A transaction of tenant `one` with a delivery; somebody of tenant `two` has looked at it, and it is gone.
struct Life {
    q: Queue,
    id: String,
}

impl Life {
    fn new(stage: &Server) -> Self {
        let q = Queue::of("one", unique("q"));
        let mut root = client(stage, "root");
        let id = root.push(&q, "p");
        root.await_states_told(&id, &q, &["Pending"]);
        root.call(&get(format!("/org/two/trans/{id}")))
            .assert_json_head(200);
        root.pop(&q, &json!({}));
        root.await_states_told(&id, &q, &["Pending", "Delivered"]);
        Self { q, id }
    }

    fn at(&self, prefix: &str) -> String {
        format!("{prefix}/trans/{}", self.id)
    }
}

/// What happened, each in a word.
fn words(events: &[Value]) -> Vec<String> {
    let word = |event: &Value| {
        event["state"]
            .as_str()
            .or(event["action"].as_str())
            .map(str::to_owned)
    };
    events.iter().filter_map(word).collect()
}

#[test]
fn history_is_for_inspectors_and_operators() {
    let stage = stage();
    let life = Life::new(&stage);
    let paths = [life.at("/org/one"), life.at(""), life.q.path()];
    for path in &paths {
        let history = get(format!("{path}/history"));
        stage.client().call(&history).assert_unauthorized();
        let denied = client(&stage, "producer").call(&history);
        denied.assert_errors(403, &["not allowed to this user"]);
        for name in ["inspector", "operator", "root"] {
            let words = words(&client(&stage, name).history(path));
            assert!(
                words.iter().any(|word| word == "Delivered"),
                "{name}: {words:?}"
            );
        }
    }
    // Over TLS a transaction's is the same, and a queue's is its own user's.
    let secured = |name| stage.secured_client().login(name, "password");
    let history = get(format!("{}/history", life.at("/org/one")));
    stage.secured_client().call(&history).assert_unauthorized();
    secured("producer")
        .call(&history)
        .assert_errors(403, &["not allowed to this user"]);
    secured("inspector").call(&history).assert_json_head(200);
    let q = Queue::fresh();
    secured("root").secure(&q, "ali", "open-sesame");
    let history = get(q.route("history"));
    secured("inspector").call(&history).assert_unauthorized();
    stage
        .secured_client()
        .login("ali", "open-sesame")
        .call(&history)
        .assert_json_head(200);
}

#[test]
fn whoever_is_confined_to_a_tenant_sees_what_is_its_own() {
    let stage = stage();
    let life = Life::new(&stage);
    let assert_seen = || {
        let mut one = client(&stage, "one");
        let mut two = client(&stage, "two");
        let of_one = one.history(&life.at("/org/one"));
        assert!(
            of_one.iter().all(|event| event["tenant"] == "one"),
            "{of_one:?}"
        );
        assert_eq!(words(&of_one)[..1], ["Pending"]);
        let of_two = two.history(&life.at("/org/two"));
        assert_eq!(words(&of_two), ["GETTRANSACTION"]);
        assert_eq!(of_two[0]["tenant"], "two");
        for (name, path) in [
            ("one", life.at("/org/two")),
            ("one", life.at("")),
            ("two", life.at("/org/one")),
            ("two", life.q.path()),
        ] {
            let mut client = client(&stage, name);
            let response = client.call(&get(format!("{path}/history")));
            response.assert_errors(403, &["not allowed to this user"]);
        }
        assert!(!one.history(&life.q.path()).is_empty());
    };
    assert_seen();
    // Also after nobody can tell any more whose it was.
    let mut root = client(&stage, "root");
    root.call(&delete(life.at("/org/one")))
        .assert_json_head(200);
    assert_seen();
}

#[test]
fn the_page_of_a_transaction_has_what_its_reader_may_see() {
    let stage = stage();
    let q = Queue::of("one", unique("q"));
    let mut root = client(&stage, "root");
    let id = root.push(&q, "p");
    let update = put(
        format!("/org/two/trans/{id}"),
        &json!({"payload": "by another"}),
    );
    root.call(&update).assert_json_head(200);
    eventually_equal(&3, || root.history(&format!("/trans/{id}")).len());
    let page = |name: &str| {
        let request = get(format!("/org/one/trans/{id}")).header("Accept", "text/html");
        client(&stage, name).call(&request).text().to_owned()
    };
    for (name, sees_all) in [("root", true), ("inspector", true), ("one", false)] {
        let page = page(name);
        let timeline = timeline(&page);
        assert!(timeline.contains("Pending"), "{page}");
        assert_eq!(
            timeline.contains("UPDATETRANSACTION"),
            sees_all,
            "{name}: {page}"
        );
    }
}

/// The part of a page that is about its history.
#[track_caller]
fn timeline(page: &str) -> &str {
    let (_, rest) = page
        .split_once("<h2>History</h2>")
        .unwrap_or_else(|| panic!("{page}"));
    rest.split_once("<h2>").unwrap().0
}

#[test]
fn the_page_of_a_transaction_has_its_timeline_and_nothing_of_it_is_markup() {
    let mongo = Mongo::shared();
    let server = Settings::new().with_history(&mongo).start();
    let mut client = server.client();
    let tenant = "<i>org</i>";
    let q = Queue::of(tenant, "<script>\"&'q");
    let id = client.push(&q, "p");
    client.await_states_told(&id, &q, &["Pending"]);
    let wrong = json!({"expirationDate": "<b>soon</b>"});
    let trans = format!("/org/%3Ci%3Eorg%3C%2Fi%3E/trans/{id}");
    client.call(&put(&trans, &wrong)).assert_some_error(400);
    let request = get(&trans).header("Accept", "text/html");
    let mut page = String::new();
    eventually("the timeline is there", || {
        client.call(&request).text().clone_into(&mut page);
        ["Pending", "USERPUSH", "UPDATETRANSACTION"]
            .iter()
            .all(|word| timeline(&page).contains(word))
    });
    assert!(!page.contains("<script>"), "{page}");
    assert!(!page.contains("<i>") && !page.contains("<b>"), "{page}");
    let timeline = timeline(&page);
    assert!(timeline.contains("&lt;script&gt;"), "{page}");
    // In the order in which it happened, with links that lead to the queue.
    let places = ["Pending", "USERPUSH", "UPDATETRANSACTION"].map(|word| timeline.find(word));
    assert!(places.is_sorted(), "{page}");
    let (_, link) = timeline.split_once("href=\"").unwrap();
    client
        .call(&get(link.split_once('"').unwrap().0))
        .assert_json_head(200);

    let shared = shared();
    let mut client = shared.client();
    let id = client.push(&Queue::fresh(), "p");
    let page = client.call(&get(format!("/trans/{id}")).header("Accept", "text/html"));
    assert!(!page.text().contains("History"), "there is none");
}

#[test]
fn whoever_does_not_take_a_history_holds_no_place_and_no_more_memory_than_answers_may() {
    // An event of 3 MiB that takes 6 MiB as JSON, which is more than the buffers on the way hold.
    let id = "7c56b28f-1a34-4c0b-9a0b-4a6cf7f0b9e1";
    let mongo = Mongo::shared();
    mongo.insert(
        "popbox_ev",
        vec![doc! {"_id": "1", "transaction": id,
        "timestamp": DateTime::now(), "postdata": "\"".repeat(3 << 20)}],
    );
    let server = Settings::new()
        .with_history(&mongo)
        .set("limits.max_answer_memory", "64MiB")
        .start();
    let request = get(format!("/trans/{id}/history"));
    let mut deaf = Vec::new();
    // More than may read at once.
    for _ in 0..10 {
        let mut client = Client::connect_narrow(server.addr);
        client.send_raw(&request.bytes("h").repeat(2));
        assert_eq!(client.receive_head().status, 200);
        deaf.push(client);
    }
    let mut client = server.client();
    let refused = client.call(&request);
    refused.assert_errors(503, &["no room: limits.max_answer_memory is reached"]);
    assert!(refused.header("Retry-After").is_some());
    client.assert_alive();
    drop(deaf);
    eventually("there is room", || client.call(&request).status == 200);
}
