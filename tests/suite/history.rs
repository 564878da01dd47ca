//! `[history]`: what is written down of messages and requests, who may read it, and what it never has.

use std::sync::LazyLock;

use mongodb::bson::Document;
use serde_json::{Value, json};

use crate::support::{
    Client, Mongo, Queue, Request, Server, Settings, Shared, delete, eventually, eventually_equal,
    get, head, post, put, shared, unique,
};

/// What the server of most tests writes to.
pub(crate) fn mongo() -> &'static Mongo {
    static MONGO: LazyLock<Mongo> = LazyLock::new(Mongo::shared);
    &MONGO
}

/// The server that most of these tests share: what was delivered twice is dead, and bodies are kept.
pub(crate) fn stage() -> Shared {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        Settings::new()
            .with_history(mongo())
            .with_tls()
            .set("history.postdata", true)
            .set("offload.agent", "the agent")
            .set("server.workers", 3)
            .set("limits.max_deliveries", 2)
            .set("auth.max_failures", 1_000_000)
            .start()
    });
    Shared::of(&SERVER)
}

/// Waits until everything is written that was told before, through whatever agent.
#[track_caller]
pub(crate) fn await_all(client: &mut Client) {
    let q = Queue::fresh();
    let id = client.push(&q, "the last");
    client.await_states_told(&id, &q, &["Pending"]);
    client.pop(&q, &json!({}));
    client.await_states_told(&id, &q, &["Pending", "Delivered"]);
}

/// Lends what is in a queue for a moment, and lets it come back or die.
#[track_caller]
fn let_lapse(client: &mut Client, q: &Queue) {
    let lent = client.poprel(q, &json!({"timeoutACK": 0.05}));
    assert!(!lent.is_empty());
}

fn time(event: &Value) -> &str {
    event["timestamp"].as_str().expect("a timestamp")
}

pub(crate) fn texts<'a>(events: impl IntoIterator<Item = &'a Value>, field: &str) -> Vec<String> {
    let texts = events.into_iter().map(|event| event[field].as_str());
    texts.map(|text| text.unwrap_or("-").to_owned()).collect()
}

#[test]
fn a_pop_and_an_ack_deliver() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let popped = client.push(&q, "popped");
    client.await_states_told(&popped, &q, &["Pending"]);
    client.pop(&q, &json!({}));
    client.await_states_told(&popped, &q, &["Pending", "Delivered"]);

    let borrowed = client.push(&q, "borrowed");
    client.await_states_told(&borrowed, &q, &["Pending"]);
    client.poprel(&q, &json!({}));
    client.await_states_told(&borrowed, &q, &["Pending", "Blocked"]);
    // The second time there is nothing to be acked.
    client.ack(&q, &[&borrowed]);
    client.ack(&q, &[&borrowed]);

    let acked = client.push(&q, "never popped");
    client.await_states_told(&acked, &q, &["Pending"]);
    client.ack(&q, &[&acked, "nonsense"]);
    client.await_states_told(&acked, &q, &["Pending", "Delivered"]);
    client.await_states_told(&borrowed, &q, &["Pending", "Blocked", "Delivered"]);
}

#[test]
fn what_is_not_acked_comes_back_and_dies_in_the_end() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let mut told = vec!["Pending"];
    client.await_states_told(&id, &q, &told);
    for end in ["Pending", "Dead"] {
        let_lapse(&mut client, &q);
        told.extend(["Blocked", end]);
        client.await_states_told(&id, &q, &told);
    }
    client
        .call(&post(q.route("dead/redrive"), &json!({})))
        .assert_json_head(200);
    told.push("Pending");
    client.await_states_told(&id, &q, &told);
    for end in ["Pending", "Dead"] {
        let_lapse(&mut client, &q);
        told.extend(["Blocked", end]);
        client.await_states_told(&id, &q, &told);
    }
    client.call(&delete(q.route("dead"))).assert_json_head(200);
    told.push("Expired");
    client.await_states_told(&id, &q, &told);
}

#[test]
fn the_end_of_its_life_is_told_of_an_open_message_and_not_of_a_delivered_one() {
    let stage = stage();
    let mut client = stage.client();
    let [open, lent, delivered] = [(); 3].map(|()| Queue::fresh());
    let id = client.push_body(&json!({
        "payload": "p", "priority": "H", "expirationDelay": 2,
        "queue": [{"id": open.id}, {"id": lent.id}, {"id": delivered.id}],
    }));
    client.await_states_told(&id, &delivered, &["Pending"]);
    client.poprel(&lent, &json!({"timeoutACK": 60}));
    client.pop(&delivered, &json!({}));
    client.await_states_told(&id, &open, &["Pending", "Expired"]);
    client.await_states_told(&id, &lent, &["Pending", "Blocked", "Expired"]);
    client.await_states_told(&id, &delivered, &["Pending", "Delivered"]);
}

#[test]
fn streams_deliver_as_pops_do() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let mut stream = stage.client();
    stream.subscribe(&q, "subscribe", &json!({}));
    client.await_blocked(&q, true);
    let id = client.push(&q, "p");
    assert_eq!(stream.next_message().1, id);
    client.await_states_told(&id, &q, &["Pending", "Delivered"]);
    drop(stream);

    let q = Queue::fresh();
    let id = client.push(&q, "p");
    client.await_states_told(&id, &q, &["Pending"]);
    let mut stream = stage.client();
    stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 0.1}));
    assert_eq!(stream.next_message().1, id);
    // Its own stream, which is about to end, may have it again for a moment.
    let lapsed = ["Pending", "Blocked", "Pending"];
    eventually("it is pending again", || {
        let told = client.states_told(&id, &q);
        told.starts_with(&lapsed.map(str::to_owned)) && told.last().unwrap() == "Pending"
    });
}

#[test]
fn every_queue_of_a_push_is_told_of_once() {
    let stage = stage();
    let mut client = stage.client();
    let queues = [(); 3].map(|()| Queue::fresh());
    let [a, b, c] = &queues;
    let group = unique("g");
    let stored = post("/group", &json!({"name": group, "queues": [b.id, c.id]}));
    client.call(&stored).assert_json_head(200);
    let pushes = [
        json!({"payload": "p", "priority": "H", "queue": [{"id": a.id}, {"id": b.id}, {"id": c.id}, {"id": a.id}]}),
        json!({"payload": "p", "priority": "H", "queue": [{"id": a.id}, {"id": b.id}], "groups": [group]}),
    ];
    for push in pushes {
        let id = client.push_body(&push);
        for q in &queues {
            client.await_states_told(&id, q, &["Pending"]);
        }
    }
    let id = client.push_body(&json!({"payload": "p", "priority": "H", "groups": [group]}));
    client.await_states_told(&id, b, &["Pending"]);
    client.await_states_told(&id, c, &["Pending"]);
    client.await_states_told(&id, a, &[]);
    // In no queue there is no message.
    let id = client.push_body(&json!({"payload": "p", "priority": "H", "queue": []}));
    await_all(&mut client);
    let events = client.history(&format!("/trans/{id}"));
    assert_eq!(texts(&events, "action"), ["USERPUSH"]);
}

#[test]
fn a_push_that_waits_is_told_of_when_it_is_taken() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let response = client.call(&post("/trans?delay=2", &body));
    let id = response.json()["data"].as_str().unwrap().to_owned();
    client.await_states_told(&id, &q, &["Pending"]);
    assert!(client.peek(&q).is_empty(), "it waits");
    client.pop(&q, &json!({"timeout": 20}));
    client.await_states_told(&id, &q, &["Pending", "Delivered"]);
}

#[test]
fn what_is_no_new_state_is_not_told() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let body = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
    let push = post("/trans", &body).header("Idempotency-Key", &unique("key"));
    let ids: Vec<_> = (0..3)
        .map(|_| client.call(&push).json()["data"].clone())
        .collect();
    let id = ids[0].as_str().unwrap();
    client.peek(&q);
    client
        .call(&put(format!("/trans/{id}"), &json!({"payload": "changed"})))
        .assert_json_head(200);
    client
        .call(&delete(format!("/trans/{id}")))
        .assert_json_head(200);
    await_all(&mut client);
    assert_eq!(client.states_told(id, &q), ["Pending"]);
    let events = client.history(&format!("/trans/{id}"));
    let mut names = texts(
        events.iter().filter(|event| event["event"] == "ACTION"),
        "action",
    );
    // With two agents, two clocks say in which order.
    names.sort();
    let expected = [
        "DELETETRANSACTION",
        "UPDATETRANSACTION",
        "USERPUSH",
        "USERPUSH",
        "USERPUSH",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_event_says_what_when_where_and_by_whom() {
    let stage = stage();
    let mut client = stage.client();
    let tenant = unique("org");
    let q = Queue::of(&tenant, unique("q"));
    // Nobody is told there: it is an address of this machine.
    let callback = "http://127.0.0.1:9/told";
    let id = client.push_with(&q, "p", json!({"callback": callback}));
    client.await_states_told(&id, &q, &["Pending"]);
    client.poprel(&q, &json!({}));
    client.ack(&q, &[&id]);
    client.await_states_told(&id, &q, &["Pending", "Blocked", "Delivered"]);

    let events = client.history(&q.path());
    let of_transaction = client.history(&format!("/trans/{id}"));
    for (state, callback) in [
        ("Pending", json!(callback)),
        ("Blocked", Value::Null),
        ("Delivered", json!(callback)),
    ] {
        let event = events.iter().find(|event| event["state"] == state);
        let event = event.unwrap_or_else(|| panic!("{state} in {events:?}"));
        assert!(of_transaction.contains(event), "{of_transaction:?}");
        let mut expected = json!({
            "event": "NEWSTATE", "agent": "the agent", "transaction": id, "queue": q.id,
            "tenant": tenant, "state": state, "timestamp": event["timestamp"],
        });
        if !callback.is_null() {
            expected["callback"] = callback;
        }
        assert_eq!(event, &expected);
        let timestamp = event["timestamp"].as_str().unwrap();
        assert!(
            timestamp.len() == 24 && timestamp.starts_with("20") && timestamp.ends_with('Z'),
            "{timestamp}"
        );
    }
}

#[test]
fn a_part_of_it_can_be_asked_for() {
    let stage = stage();
    let mut client = stage.client();
    let q = Queue::fresh();
    let mut ids = Vec::new();
    for count in 1..=5 {
        ids.push(client.push(&q, "p"));
        // Each at a time of its own.
        eventually_equal(&count, || client.history(&q.path()).len());
    }
    let all = client.history(&q.path());
    assert_eq!(texts(&all, "transaction"), ids);
    let mut part = |query: &str| {
        let answer = client
            .call(&get(format!("{}/history{query}", q.path())))
            .json();
        let events = answer["data"].as_array().expect("a list").clone();
        (events, answer["next"].as_str().map(str::to_owned))
    };
    for (query, expected, has_more) in [
        ("?limit=5", &all[..], false),
        ("?limit=100000&since=0", &all, false),
        ("?limit=0", &all[..1], true),
        ("?limit=2", &all[..2], true),
        ("?since=4102444800", &[], false),
    ] {
        let (events, next) = part(query);
        assert_eq!(
            (&events[..], next.is_some()),
            (expected, has_more),
            "{query}"
        );
    }

    let third = time(&all[2]);
    let millis = mongodb::bson::DateTime::parse_rfc3339_str(third)
        .unwrap()
        .timestamp_millis();
    let seconds = format!("{}.{:03}", millis / 1000, millis % 1000);
    for since in [third, &seconds] {
        assert_eq!(part(&format!("?since={since}")), (all[2..].to_vec(), None));
        let (events, next) = part(&format!("?since={since}&limit=2"));
        assert_eq!((&events[..], next.is_some()), (&all[2..4], true), "{since}");
    }
    // Page by page, each from where the one before ended.
    let (mut found, mut next) = part("?limit=2");
    while let Some(since) = next {
        let (events, after) = part(&format!("?limit=2&since={since}"));
        found.extend(events);
        next = after;
    }
    assert_eq!(found, all);

    let trans = format!("/trans/{}", ids[0]);
    for path in [&q.path(), &trans] {
        for since in [
            "yesterday",
            "%2D",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "0/",
        ] {
            let response = client.call(&get(format!("{path}/history?since={since}")));
            response.assert_errors(400, &["invalid since"]);
        }
    }
    let part = client.call(&get(format!(
        "{trans}/history?limit=1&since={}",
        time(&all[0])
    )));
    let part = part.json();
    assert_eq!(part["data"], json!([all[0]]));
    assert!(part["next"].is_string(), "{part}");
}

#[test]
fn queues_of_one_name_have_histories_of_their_own() {
    let stage = stage();
    let mut client = stage.secured_client();
    let name = unique("q");
    let plain = Queue::named(&name);
    let owned = Queue::of(&unique("org"), &name);
    let other = Queue::of(&unique("org"), &name);
    client.secure(&plain, "ali", "open-sesame");
    let secured_id = client.push(&plain, "secured");
    let mut plain_client = stage.client();
    let ids = [&plain, &owned, &other].map(|q| (q, plain_client.push(q, "p")));
    for (q, id) in &ids {
        let expected = vec![id.clone()];
        eventually_equal(&expected, || {
            texts(&plain_client.history(&q.path()), "transaction")
        });
    }
    let history = get(plain.route("history"));
    client.call(&history).assert_unauthorized();
    let mut client = client.login("ali", "open-sesame");
    let of_secured = |client: &mut Client| {
        let events = client.history(&plain.path());
        let states = events.iter().filter(|event| event["event"] == "NEWSTATE");
        states.cloned().collect::<Vec<_>>()
    };
    eventually_equal(&vec![secured_id], || {
        texts(&of_secured(&mut client), "transaction")
    });
    assert_eq!(texts(&of_secured(&mut client), "realm"), ["secured"]);
    let never_made = client.call(&get(other.route("history")));
    never_made.assert_asks_for_login(500, "ERROR: Secure Queue does not exist");
}

#[test]
fn both_routes_are_for_reading_and_know_nothing_of_what_never_was() {
    let stage = stage();
    let mut client = stage.client();
    let paths = [
        "/trans/4cf2ae1b-5a4c-4a3c-b5d4-3d2f6f6d9a2f/history".to_owned(),
        "/trans/nonsense/history".to_owned(),
        format!("/org/{}/trans/nonsense/history", unique("org")),
        Queue::fresh().route("history"),
        Queue::of(&unique("org"), "q").route("HISTORY/"),
    ];
    for path in &paths {
        client
            .call(&get(path))
            .assert_is(200, r#"{"ok":true,"data":[]}"#);
        let answer = client.call(&head(path));
        answer.assert_json_head(200);
        assert_eq!(answer.header("content-length"), Some("21"));
        for method in ["POST", "PUT", "DELETE"] {
            let response = client.call(&Request::new(method, path));
            response.assert_errors(405, &["method not allowed"]);
            assert_eq!(response.header("allow"), Some("GET, HEAD"));
        }
    }
    let shared = shared();
    let mut client = shared.client();
    for path in &paths {
        client
            .call(&get(path))
            .assert_errors(404, &["history is off"]);
    }
}

#[test]
fn sinks_say_what_goes_where() {
    let mongo = Mongo::shared();
    let sinks = r#"[
        { event = "NEWSTATE", collection = "PopBoxState", filter = { state = ["Delivered", "Dead"] },
          take = ["transaction", "queue", "state"] },
        { event = "ACTION", collection = "PopBoxAction", filter = { action = "USERPOP", error = "" } },
    ]"#
    .replace('\n', " ");
    for collection in ["PopBoxState", "PopBoxAction"] {
        mongo.make_collection(collection);
    }
    let server = Settings::new()
        .with_history(&mongo)
        .set("history.sinks", sinks)
        .set("offload.agent", "a")
        .start();
    let mut client = server.client();
    let q = Queue::of("org", unique("q"));
    let id = client.push(&q, "p");
    let refused = post(q.route("pop"), &json!({"timeout": -1}));
    client.call(&refused).assert_some_error(400);
    client.pop(&q, &json!({"max": 7}));
    client.peek(&q);
    eventually_equal(&2, || client.history(&q.path()).len());
    // What comes after it is there: so would be what was told before.
    client.push(&q, "another");
    client.pop(&q, &json!({"max": 7}));
    eventually_equal(&4, || client.history(&q.path()).len());
    assert_eq!(client.states_told(&id, &q), ["Delivered"]);

    assert_eq!(mongo.documents("popbox_ev"), []);
    let keys = |document: &Document| document.keys().map(String::clone).collect::<Vec<_>>();
    let states = mongo.documents("PopBoxState");
    assert_eq!(states.len(), 2, "{states:?}");
    for document in &states {
        // Whose it is stays, whatever is taken.
        let expected = [
            "_id",
            "event",
            "transaction",
            "queue",
            "tenant",
            "state",
            "timestamp",
        ];
        assert_eq!(keys(document), expected);
    }
    let actions = mongo.documents("PopBoxAction");
    assert_eq!(actions.len(), 2, "{actions:?}");
    for document in &actions {
        let expected = [
            "_id",
            "event",
            "agent",
            "action",
            "tenant",
            "queue",
            "max_msg",
            "total_msg",
            "timestamp",
        ];
        assert_eq!(keys(document), expected);
        assert_eq!(document.get_str("action").ok(), Some("USERPOP"));
    }
}
