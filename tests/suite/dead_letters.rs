//! `limits.max_deliveries`, and `/queue/:id/dead`: what nobody can deal with is taken out of its line, looked at,
//! and put back or given up.

use serde_json::{Value, json};

use crate::support::{
    Broken, Client, Durability, Layout, Popped, Queue, READ_TIMEOUT, Request, Response, Server,
    Settings, delete, eventually, get, post, put, soon, unique,
};

/// A server on which a message is dead after so many deliveries.
fn server(deliveries_max: u32) -> Server {
    settings(deliveries_max).start()
}

fn settings(deliveries_max: u32) -> Settings {
    Settings::new().set("limits.max_deliveries", deliveries_max)
}

/// Lends what is in a queue so often that all of it is dead: these payloads, in this order.
#[track_caller]
fn let_die(client: &mut Client, queue: &Queue, payloads: &[&str], deliveries_max: u64) {
    for delivery in 1..=deliveries_max {
        client.await_pending(queue, payloads);
        let popped = client.poprel(queue, &json!({"timeoutACK": 0.2}));
        assert_eq!(popped.data, payloads);
        assert_eq!(popped.deliveries, vec![delivery; payloads.len()]);
    }
    await_dead(client, queue, payloads.len());
}

#[track_caller]
fn await_dead(client: &mut Client, queue: &Queue, count: usize) {
    eventually(&format!("{count} dead letters"), || {
        dead(client, queue)["size"] == json!(count)
    });
}

#[track_caller]
fn dead(client: &mut Client, queue: &Queue) -> Value {
    let response = client.call(&get(queue.route("dead")));
    response.assert_json_head(200);
    response.json()
}

/// The ids of the dead letters, in the order in which they are listed.
#[track_caller]
fn dead_ids(client: &mut Client, queue: &Queue) -> Vec<String> {
    let listed = dead(client, queue);
    let letters = listed["dead"].as_array().expect("a list of dead letters");
    let ids = letters.iter().map(|letter| letter["id"].as_str());
    ids.map(|id| id.expect("an id").to_owned()).collect()
}

fn redrive(queue: &Queue, parameters: &Value) -> Request {
    post(queue.route("dead/redrive"), parameters)
}

fn purge(queue: &Queue, parameters: &Value) -> Request {
    delete(queue.route("dead")).json(parameters)
}

#[test]
fn what_is_delivered_too_often_without_an_ack_is_out_of_its_line() {
    let server = server(2);
    let mut client = server.client();
    let q = Queue::fresh();
    let mut ids = Vec::new();
    for (priority, payload) in [("L", "l1"), ("H", "h1"), ("H", "h2")] {
        ids.push(client.push_with(&q, payload, json!({"priority": priority})));
    }
    let_die(&mut client, &q, &["h1", "h2", "l1"], 2);
    for id in &ids {
        assert_eq!(client.state(id), json!({&q.id: "Dead"}));
    }
    let host = client.host().to_owned();
    let letter = |id: &String, priority: &str| {
        let href = format!("http://{host}/trans/{id}?queues=All");
        format!(r#"{{"id":"{id}","priority":"{priority}","deliveries":2,"href":"{href}"}}"#)
    };
    let all = [
        letter(&ids[1], "H"),
        letter(&ids[2], "H"),
        letter(&ids[0], "L"),
    ]
    .join(",");
    client
        .call(&get(q.route("dead")))
        .assert_is(200, &format!(r#"{{"ok":true,"size":3,"dead":[{all}]}}"#));
    client
        .call(&get(format!("{}?max=1", q.route("dead"))))
        .assert_is(
            200,
            &format!(
                r#"{{"ok":true,"size":3,"dead":[{}]}}"#,
                letter(&ids[1], "H")
            ),
        );
    assert!(client.peek(&q).is_empty());
    assert!(client.poprel(&q, &json!({"timeout": 1})).is_empty());
    let info = client.queue_info(&q);
    assert_eq!((&info["size"], &info["dead"]), (&json!(0), &json!(3)));
}

#[test]
fn its_state_can_be_asked_for() {
    let server = server(1);
    let mut client = server.client();
    let (dying, other) = (Queue::fresh(), Queue::fresh());
    let id = client.push_to_all(&[&dying, &other], "p");
    let_die(&mut client, &dying, &["p"], 1);
    for (filter, expected) in [
        ("All", json!({&dying.id: "Dead", &other.id: "Pending"})),
        ("Dead", json!({&dying.id: "Dead"})),
        (
            "summary",
            json!({"totalNotifications": 2, "Pending": 1, "Dead": 1}),
        ),
    ] {
        let path = format!("/trans/{id}/state/{filter}");
        let states = client.call(&get(path)).json();
        assert_eq!(states["data"], expected, "{filter}");
    }
    let shown = client.call(&get(format!("/trans/{id}?queues=Dead"))).json();
    assert_eq!(shown["queues"][&dying.id]["state"], json!("Dead"));
    assert_eq!(
        shown["queues"].as_object().map(serde_json::Map::len),
        Some(1)
    );
}

#[test]
fn a_queue_without_dead_letters_does_not_speak_of_them() {
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    client
        .call(&get(q.route("dead")))
        .assert_is(200, r#"{"ok":true,"size":0,"dead":[]}"#);
    client.push(&q, "p");
    client
        .call(&get(q.route("dead")))
        .assert_is(200, r#"{"ok":true,"size":0,"dead":[]}"#);
    assert_eq!(client.queue_info(&q).get("dead"), None);
}

#[test]
fn a_late_ack_of_a_dead_letter_counts() {
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    let (late, dead) = (client.push(&q, "late"), client.push(&q, "dead"));
    let_die(&mut client, &q, &["late", "dead"], 1);
    assert_eq!(
        client.ack(&q, &[&late]),
        json!([{"err": null, "data": late}])
    );
    assert_eq!(client.state(&late), json!({&q.id: "Delivered"}));
    assert_eq!(dead_ids(&mut client, &q), [dead]);
    // The first ack was all that there is to be done.
    let listed = json!({"transactions": [late]});
    client
        .call(&redrive(&q, &listed))
        .assert_is(200, r#"{"ok":true,"redriven":0,"left":1}"#);
    assert!(client.peek(&q).is_empty());
}

#[test]
fn what_is_put_back_is_in_its_old_place_as_if_never_delivered() {
    let server = server(2);
    let mut client = server.client();
    let q = Queue::fresh();
    let mut ids = Vec::new();
    for (priority, payload) in [("L", "l1"), ("H", "h1"), ("H", "h2"), ("H", "h3")] {
        ids.push(client.push_with(&q, payload, json!({"priority": priority})));
    }
    let_die(&mut client, &q, &["h1", "h2", "h3", "l1"], 2);
    client.push(&q, "h4");
    // One of them, named twice, among ids that are none of its dead letters.
    let elsewhere = client.push(&Queue::fresh(), "elsewhere");
    let list = json!({"transactions": [ids[2], "no id", 5, elsewhere, ids[2]]});
    client
        .call(&redrive(&q, &list))
        .assert_is(200, r#"{"ok":true,"redriven":1,"left":3}"#);
    assert_eq!(client.peek(&q).data, ["h2", "h4"]);
    assert_eq!(client.state(&ids[2]), json!({&q.id: "Pending"}));
    client
        .call(&redrive(&q, &json!({"max": 1})))
        .assert_is(200, r#"{"ok":true,"redriven":1,"left":2}"#);
    assert_eq!(client.peek(&q).data, ["h1", "h2", "h4"]);
    client
        .call(&redrive(&q, &json!({})))
        .assert_is(200, r#"{"ok":true,"redriven":2,"left":0}"#);
    assert_eq!(client.queue_info(&q).get("dead"), None);
    let popped = client.poprel(&q, &json!({"timeoutACK": 100}));
    assert_eq!(popped.data, ["h1", "h2", "h3", "h4", "l1"]);
    assert_eq!(popped.deliveries, [1; 5]);
}

#[test]
fn whoever_waits_is_woken_by_what_is_put_back() {
    let server = server(1);
    let (mut waiting, mut client) = (server.client(), server.client());
    let q = Queue::fresh();
    for payload in ["a", "b", "c"] {
        client.push(&q, payload);
    }
    let_die(&mut client, &q, &["a", "b", "c"], 1);
    waiting.start_pop(&q);
    client.await_blocked(&q, true);
    let started = std::time::Instant::now();
    client
        .call(&redrive(&q, &json!({})))
        .assert_is(200, r#"{"ok":true,"redriven":3,"left":0}"#);
    // All are back before anybody is served.
    assert_eq!(Popped::parse(&waiting.receive()).data, ["a", "b", "c"]);
    soon(started);
}

#[test]
fn what_was_put_back_can_die_again() {
    let server = server(2);
    let mut client = server.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    for _ in 0..2 {
        let_die(&mut client, &q, &["p"], 2);
        let list = json!({"transactions": [id]});
        client
            .call(&redrive(&q, &list))
            .assert_is(200, r#"{"ok":true,"redriven":1,"left":0}"#);
    }
    assert_eq!(client.pop(&q, &json!({})).transactions, [id]);
}

#[test]
fn what_is_given_up_is_gone_from_its_queue() {
    let server = server(1);
    let mut client = server.client();
    let (q, other) = (Queue::fresh(), Queue::fresh());
    let shared = client.push_to_all(&[&q, &other], "a");
    let rest: Vec<String> = ["b", "c", "d"]
        .iter()
        .map(|payload| client.push(&q, payload))
        .collect();
    let_die(&mut client, &q, &["a", "b", "c", "d"], 1);
    client
        .call(&purge(&q, &json!({"transactions": [shared, "x"]})))
        .assert_is(200, r#"{"ok":true,"purged":1,"left":3}"#);
    assert_eq!(
        client.state(&shared),
        json!({&q.id: "Expired", &other.id: "Pending"})
    );
    client
        .call(&delete(format!("{}?max=2", q.route("dead"))))
        .assert_is(200, r#"{"ok":true,"purged":2,"left":1}"#);
    assert_eq!(dead_ids(&mut client, &q), [rest[2].clone()]);
    client
        .call(&delete(q.route("dead")))
        .assert_is(200, r#"{"ok":true,"purged":1,"left":0}"#);
    client
        .call(&redrive(&q, &json!({})))
        .assert_is(200, r#"{"ok":true,"redriven":0,"left":0}"#);
    // The payload is there until the transaction ends, and the other queue has its message.
    assert_eq!(client.transaction(&rest[0])["payload"], json!("b"));
    assert!(client.peek(&q).is_empty());
    assert_eq!(client.pop(&other, &json!({})).data, ["a"]);
}

#[test]
fn a_reliable_stream_makes_dead_letters_too() {
    let server = server(2);
    let mut client = server.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    for delivery in [1, 2] {
        let mut stream = server.client();
        stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 1}));
        let chunk = stream.receive_chunk().expect("a message");
        let expected = format!(
            r#"{{"ok":true,"data":["p"],"transactions":["{id}"],"deliveries":[{delivery}]}}"#
        );
        assert_eq!(String::from_utf8(chunk).unwrap(), expected);
        match stream.try_receive_chunk(READ_TIMEOUT) {
            Ok(None) | Err(Broken::Closed { .. }) => {}
            other => panic!("expected the end of the stream, got {other:?}"),
        }
    }
    client.await_state(&id, &q, "Dead");
    assert_eq!(dead_ids(&mut client, &q), [id]);
}

#[test]
fn an_answer_that_its_client_did_not_take_kills_no_message() {
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    let payload = "x".repeat(500_000);
    let payloads = vec![payload; 20];
    client.push_many(&q, &payloads);
    for _ in 0..2 {
        let mut leaving = Client::connect_narrow(server.addr);
        leaving.send(&post(q.route("poprel"), &json!({"timeoutACK": 100})));
        // It has got the beginning.
        leaving.receive_head();
        leaving.reset();
        client.await_size(&q, payloads.len());
    }
    assert_eq!(dead(&mut client, &q)["size"], json!(0));
    // Each time some of it may have been seen.
    let popped = client.poprel(&q, &json!({"max": 1, "timeoutACK": 100}));
    assert_eq!(popped.deliveries, [3]);
}

#[test]
fn dead_letters_survive_restarts() {
    for &durability in Durability::all() {
        let layout = Layout::fresh();
        let settings = || {
            Settings::on(&layout)
                .durability(durability)
                .set("limits.max_deliveries", 1)
        };
        let q = Queue::fresh();
        let server = settings().start();
        let mut client = server.client();
        let ids = ["a", "b", "c"].map(|payload| client.push(&q, payload));
        let_die(&mut client, &q, &["a", "b", "c"], 1);
        client
            .call(&purge(&q, &json!({"transactions": [ids[0]]})))
            .assert_json_head(200);
        server.kill();
        let server = settings().start();
        let mut client = server.client();
        assert_eq!(dead_ids(&mut client, &q), ids[1..]);
        assert_eq!(client.state(&ids[0]), json!({&q.id: "Expired"}));
        client
            .call(&redrive(&q, &json!({"max": 1})))
            .assert_is(200, r#"{"ok":true,"redriven":1,"left":1}"#);
        server.stop();
        let server = settings().start();
        let mut client = server.client();
        assert_eq!(dead_ids(&mut client, &q), ids[2..]);
        let popped = client.poprel(&q, &json!({"timeoutACK": 100}));
        assert_eq!(
            (popped.data, popped.deliveries),
            (vec!["b".into()], vec![1])
        );
    }
}

#[test]
fn a_dead_letter_can_be_changed_and_deleted_and_ends_with_its_transaction() {
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    let (changed, deleted) = (client.push(&q, "old"), client.push(&q, "deleted"));
    let ending = client.push_with(&q, "ending", json!({"expirationDelay": 3}));
    let_die(&mut client, &q, &["old", "deleted", "ending"], 1);
    client
        .call(&put(
            format!("/trans/{changed}"),
            &json!({"payload": "new"}),
        ))
        .assert_json_head(200);
    assert_eq!(client.state(&changed), json!({&q.id: "Dead"}));
    client
        .call(&delete(format!("/trans/{deleted}")))
        .assert_json_head(200);
    await_dead(&mut client, &q, 1);
    assert_eq!(client.transaction(&ending), json!({}));
    client
        .call(&redrive(&q, &json!({})))
        .assert_is(200, r#"{"ok":true,"redriven":1,"left":0}"#);
    assert_eq!(client.pop(&q, &json!({})).data, ["new"]);
}

#[test]
fn tenants_have_their_own() {
    let server = server(1);
    let mut client = server.client();
    let (name, tenant) = (unique("q"), unique("org"));
    let (plain, own) = (Queue::named(&name), Queue::of(&tenant, &name));
    let (first, second) = (client.push(&plain, "p"), client.push(&own, "o"));
    let_die(&mut client, &plain, &["p"], 1);
    let_die(&mut client, &own, &["o"], 1);
    assert_eq!(dead_ids(&mut client, &plain), [first.as_str()]);
    assert_eq!(dead_ids(&mut client, &own), [second]);
    client
        .call(&redrive(&own, &json!({"transactions": [first]})))
        .assert_is(200, r#"{"ok":true,"redriven":0,"left":1}"#);
    client
        .call(&purge(&own, &json!({})))
        .assert_is(200, r#"{"ok":true,"purged":1,"left":0}"#);
    assert_eq!(dead_ids(&mut client, &plain), [first]);
}

#[test]
fn other_methods_and_lists_that_are_none_are_refused() {
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    client.push(&q, "p");
    let_die(&mut client, &q, &["p"], 1);
    let assert_allowed = |response: &Response, allowed: &str| {
        response.assert_errors(405, &["method not allowed"]);
        assert_eq!(response.header("allow"), Some(allowed));
    };
    for method in ["POST", "PUT", "PATCH", "OPTIONS"] {
        let request = Request::new(method, q.route("dead"));
        assert_allowed(&client.call(&request), "GET, HEAD, DELETE");
    }
    for method in ["GET", "PUT", "DELETE"] {
        let request = Request::new(method, q.route("dead/redrive"));
        assert_allowed(&client.call(&request), "POST");
    }
    for list in [json!(null), json!("x"), json!({"0": "x"}), json!(5)] {
        let parameters = json!({"transactions": list});
        for request in [redrive(&q, &parameters), purge(&q, &parameters)] {
            client
                .call(&request)
                .assert_errors(400, &["invalid transactions"]);
        }
    }
    client
        .call(&delete(format!("{}?transactions=x", q.route("dead"))))
        .assert_errors(400, &["invalid transactions"]);
    let long = json!({"transactions": vec![0; 10_001]});
    for request in [redrive(&q, &long), purge(&q, &long)] {
        client
            .call(&request)
            .assert_errors(400, &["too many transactions: maximum 10000"]);
    }
    assert_eq!(dead(&mut client, &q)["size"], json!(1));
}

#[test]
fn pages_show_them() {
    const BROWSER: &str = "text/html,*/*;q=0.8";
    let server = server(1);
    let mut client = server.client();
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    let_die(&mut client, &q, &["p"], 1);
    let mut page = |path: String| {
        let response = client.call(&get(path).header("Accept", BROWSER));
        assert_eq!(response.status, 200, "{response:?}");
        response.text().to_owned()
    };
    let link = format!("<a href=\"{}\">1</a>", q.route("dead"));
    assert!(page(q.path()).contains(&link));
    assert!(page(q.route("dead")).contains(&id));
    assert!(page(format!("/trans/{id}")).contains("Dead"));
}

#[test]
fn the_server_tells_how_many_it_has_seen_die() {
    let server = server(1);
    if server.layout.has_pushing_agent() {
        println!("skipped: which of two agents finds a lapse is open");
        return;
    }
    let mut client = server.client();
    let count = |client: &mut Client| client.call(&get("/")).json()["deadLetters"].clone();
    assert_eq!(count(&mut client), json!(0));
    let q = Queue::fresh();
    let id = client.push(&q, "a");
    client.push(&q, "b");
    let_die(&mut client, &q, &["a", "b"], 1);
    eventually("two dead letters are counted", || {
        count(&mut client) == json!(2)
    });
    client.call(&purge(&q, &json!({}))).assert_json_head(200);
    assert_eq!(count(&mut client), json!(2));
    eventually("the log names a dead letter", || {
        server.stderr().contains(&id)
    });
}
