//! MongoDB is away, slow or refuses, or the server dies: nobody who pushes or pops notices, and nothing that was
//! spooled is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};

use crate::support::{
    Client, Direction, Layout, Mongo, Proxy, Queue, Server, Settings, eventually, eventually_equal,
    get, post, soon,
};

/// How long MongoDB is waited for in these tests.
const TIMEOUT: &str = "1s";

/// Something that happens to a wire.
type Wound = fn(&Proxy);

fn settings(mongo: &Mongo) -> Settings {
    Settings::new()
        .with_history(mongo)
        .set("history.timeout", TIMEOUT)
}

/// Messages of one queue that are pushed and popped, one after the other.
struct Traffic {
    q: Queue,
    ids: Vec<String>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            q: Queue::fresh(),
            ids: Vec::new(),
        }
    }

    /// Each of these requests is answered, whatever the history is up to.
    #[track_caller]
    fn flow(&mut self, client: &mut Client, messages: usize) {
        for _ in 0..messages {
            let id = client.push(&self.q, "p");
            let popped = client.pop(&self.q, &json!({"timeout": 1}));
            assert_eq!(popped.transactions, std::slice::from_ref(&id));
            self.ids.push(id);
        }
    }

    /// What is to be told of it.
    fn told(&self) -> BTreeMap<String, Vec<String>> {
        let states = ["Pending", "Delivered"].map(str::to_owned).to_vec();
        self.ids
            .iter()
            .map(|id| (id.clone(), states.clone()))
            .collect()
    }

    /// Waits until all of it is in MongoDB, once and in order.
    #[track_caller]
    fn await_told(&self, mongo: &Mongo) {
        eventually_equal(&self.told(), || states_in(mongo, &self.q));
    }
}

/// The states that MongoDB has of the messages of a queue, by transaction and in the order of time.
fn states_in(mongo: &Mongo, q: &Queue) -> BTreeMap<String, Vec<String>> {
    let mut documents = mongo.documents("popbox_ev");
    documents.retain(|it| it.contains_key("state") && text(it, "queue") == q.id);
    // Those of one time are in the order of ids; what two agents did at one time is in no order.
    let agents: BTreeSet<_> = documents.iter().map(|it| text(it, "agent")).collect();
    documents.sort_by_key(|it| {
        let is_later = agents.len() > 1 && text(it, "state") == "Delivered";
        (*it.get_datetime("timestamp").unwrap(), is_later)
    });
    let mut states = BTreeMap::<String, Vec<String>>::new();
    for document in &documents {
        let of_transaction = states.entry(text(document, "transaction")).or_default();
        of_transaction.push(text(document, "state"));
    }
    states
}

fn text(document: &Document, field: &str) -> String {
    document.get_str(field).unwrap().to_owned()
}

/// What `GET /` says of events.
#[track_caller]
fn offload(server: &Server) -> Value {
    // Not to the agent for pushes: a request of its own.
    let response = Client::connect(server.addr).call(&get("/"));
    response.assert_json_head(200);
    response.json()["offload"].clone()
}

#[track_caller]
fn await_offload(server: &Server, what: &str, holds: impl Fn(&Value) -> bool) {
    eventually(what, || holds(&offload(server)));
}

/// A count of `GET /`.
fn count(offload: &Value, path: &str) -> u64 {
    let count = offload.pointer(path).and_then(Value::as_u64);
    count.unwrap_or_else(|| panic!("{path} in {offload}"))
}

/// Waits until everything that was spooled is in MongoDB.
#[track_caller]
fn await_idle(server: &Server) {
    eventually_equal(&[0, 0], || {
        let offload = offload(server);
        ["/history/behind", "/history/oldest"].map(|path| count(&offload, path))
    });
}

#[track_caller]
fn assert_unreadable(client: &mut Client, path: &str) {
    let response = client.call(&get(format!("{path}/history")));
    response.assert_errors(503, &["history is unavailable"]);
    assert!(response.header("retry-after").is_some(), "{response:?}");
}

#[test]
fn a_mongodb_that_is_away_at_the_start_and_later_misses_nothing() {
    let mongo = Mongo::own_that_is_down();
    let server = settings(&mongo).start();
    let mut client = server.client();
    let mut traffic = Traffic::new();
    for _ in 0..2 {
        let sent = count(&offload(&server), "/history/sent");
        let retried = count(&offload(&server), "/history/retried");
        traffic.flow(&mut client, 20);
        await_offload(&server, "it is tried in vain", |offload| {
            count(offload, "/history/retried") > retried && count(offload, "/history/oldest") > 0
        });
        assert_eq!(count(&offload(&server), "/history/sent"), sent);
        assert_unreadable(&mut client, &format!("/trans/{}", traffic.ids[0]));
        assert_unreadable(&mut client, &traffic.q.path());
        let page = get(format!("/trans/{}", client.push(&Queue::fresh(), "p")));
        let page = client.call(&page.header("Accept", "text/html"));
        assert_eq!(page.status, 200);
        assert!(page.text().contains("cannot be read now"), "{page:?}");

        mongo.start();
        traffic.flow(&mut client, 5);
        traffic.await_told(&mongo);
        if !server.layout.has_pushing_agent() {
            await_offload(&server, "each event is a document", |offload| {
                let documents = mongo.documents("popbox_ev").len() as u64;
                let counts = ["/spooled", "/history/sent"].map(|path| count(offload, path));
                counts == [documents; 2]
            });
        }
        await_idle(&server);
        let offload = offload(&server);
        assert_eq!(count(&offload, "/history/failed"), 0);
        assert_eq!(count(&offload, "/dropped"), 0);
        mongo.stop();
    }
}

#[test]
fn whatever_its_wire_does_requests_are_answered_and_events_arrive_once() {
    let mongo = Mongo::own();
    let proxy = Proxy::to(mongo.address());
    let server = settings(&mongo)
        .set("history.uri", Mongo::uri_at(proxy.address()))
        .set("history.batch", 7)
        .start();
    let mut client = server.client();
    let mut traffic = Traffic::new();
    traffic.flow(&mut client, 5);
    traffic.await_told(&mongo);
    let wounds: [(&str, Wound); 7] = [
        ("slow", |proxy| proxy.delay(Duration::from_millis(50))),
        ("reset", Proxy::reset),
        ("reset in an answer", |proxy| proxy.reset_after(10)),
        ("deaf", |proxy| proxy.stall(Direction::ToServer)),
        // What is written then is there before anybody knows.
        ("dumb", |proxy| proxy.stall(Direction::ToClient)),
        ("swallowing", |proxy| {
            proxy.swallow_new();
            proxy.reset();
        }),
        ("refusing", Proxy::cut),
    ];
    for (name, wound) in wounds {
        println!("the wire is {name}");
        let retried = count(&offload(&server), "/history/retried");
        wound(&proxy);
        traffic.flow(&mut client, 20);
        if ["deaf", "dumb", "swallowing", "refusing"].contains(&name) {
            await_offload(&server, "it is tried in vain", |offload| {
                count(offload, "/history/retried") > retried
            });
            // Whoever reads waits in vain, and nobody else waits for that.
            let mut reader = server.client();
            reader.send(&get(traffic.q.route("history")));
            traffic.flow(&mut client, 5);
            reader.receive().assert_some_error(503);
        }
        proxy.heal();
        traffic.await_told(&mongo);
    }
    await_idle(&server);
    assert_eq!(count(&offload(&server), "/history/failed"), 0);
}

#[test]
fn what_mongodb_refuses_is_written_again() {
    let mongo = Mongo::own();
    let server = settings(&mongo).start();
    let mut client = server.client();
    let mut traffic = Traffic::new();
    for failure in [
        // Not allowed, and out of time.
        doc! {"failCommands": ["insert"], "errorCode": 13},
        doc! {"failCommands": ["insert"], "errorCode": 50},
        doc! {"failCommands": ["insert"], "closeConnection": true},
        doc! {"failCommands": ["insert"], "writeConcernError": {"code": 64, "errmsg": "waiting"}},
    ] {
        mongo.fail(3, failure);
        traffic.flow(&mut client, 5);
        traffic.await_told(&mongo);
    }
    await_idle(&server);
    let offload = offload(&server);
    assert!(count(&offload, "/history/retried") > 0, "{offload}");
    assert_eq!(count(&offload, "/history/failed"), 0);
    // To read is not tried for ever.
    mongo.fail(1000, doc! {"failCommands": ["find"], "errorCode": 50});
    assert_unreadable(&mut client, &traffic.q.path());
}

/// A store for one server at a time, whose spool stays where it is.
fn layout_of_one() -> Option<Arc<Layout>> {
    let layout = Layout::fresh();
    if layout.has_pushing_agent() {
        println!("skipped: this is about one server and its spool");
        return None;
    }
    Some(layout)
}

fn settings_with_spool(layout: &Arc<Layout>, mongo: &Mongo, proxy: &Proxy) -> Settings {
    Settings::on(layout)
        .with_history(mongo)
        .set("history.uri", Mongo::uri_at(proxy.address()))
        .set("offload.spool", layout.scratch().join("spool").display())
}

#[test]
fn a_server_that_is_killed_loses_nothing_of_its_spool() {
    let Some(layout) = layout_of_one() else {
        return;
    };
    let mongo = Mongo::own();
    let proxy = Proxy::to(mongo.address());
    let settings = settings_with_spool(&layout, &mongo, &proxy)
        .set("history.timeout", TIMEOUT)
        .set("history.batch", 10);
    let mut traffic = Traffic::new();
    let late = Queue::fresh();
    let mut late_ids = Vec::new();
    let mut server = settings.clone().start();
    for _ in 0..3 {
        let spooled = count(&offload(&server), "/spooled");
        let mut client = server.client();
        traffic.flow(&mut client, 5);
        traffic.await_told(&mongo);
        let written = mongo.documents("popbox_ev").len();
        proxy.stall(Direction::ToClient);
        traffic.flow(&mut client, 30);
        // A push and a pop, and a state from each.
        await_offload(&server, "all of it is spooled", |offload| {
            count(offload, "/spooled") == spooled + 35 * 4
        });
        eventually("some of it is written, and not known to be", || {
            mongo.documents("popbox_ev").len() > written
        });
        // These may be anywhere on the way to the spool.
        late_ids.extend(client.push_many(&late, &vec!["late".to_owned(); 25]));
        server.kill();
        proxy.heal();
        server = settings.clone().start();
        traffic.await_told(&mongo);
        await_idle(&server);
    }
    // None is there twice, and nothing is made up.
    let told = states_in(&mongo, &late);
    for (id, states) in &told {
        assert!(late_ids.contains(id), "{id} was never pushed");
        assert_eq!(states, &["Pending"], "{id}");
    }
}

#[test]
fn a_server_ends_in_time_without_mongodb_and_the_next_tells_the_rest() {
    let Some(layout) = layout_of_one() else {
        return;
    };
    let mongo = Mongo::own();
    let proxy = Proxy::to(mongo.address());
    let settings = settings_with_spool(&layout, &mongo, &proxy)
        .set("history.timeout", "60s")
        .set("history.backoff", "60s");
    let mut traffic = Traffic::new();
    let mute: Wound = |proxy| proxy.stall(Direction::ToClient);
    let wounds = [Proxy::cut, Proxy::swallow_new, mute];
    for (number, wound) in wounds.into_iter().enumerate() {
        // The last one is on a connection that works so far.
        if number < 2 {
            wound(&proxy);
        }
        let server = settings.clone().start();
        let mut client = server.client();
        if number == 2 {
            traffic.flow(&mut client, 5);
            traffic.await_told(&mongo);
            wound(&proxy);
        }
        traffic.flow(&mut client, 20);
        let begun = Instant::now();
        server.stop();
        soon(begun);
        proxy.heal();
        let server = settings.clone().start();
        traffic.await_told(&mongo);
        await_idle(&server);
        server.stop();
    }
}

#[test]
fn a_full_spool_costs_events_and_nothing_else() {
    let mongo = Mongo::own_that_is_down();
    let server = Settings::new()
        .with_history(&mongo)
        .set("history.batch", 100)
        .set("history.postdata", true)
        .set("offload.spool_max", "16MiB")
        .start();
    let mut client = server.client();
    // Refused, so that nothing is kept of it but what is told.
    let refused = post(
        Queue::fresh().route("ack"),
        &json!({"note": "x".repeat(10_000)}),
    );
    let batch = client.bytes_of(&refused).repeat(25);
    let mut batches = 0;
    while count(&offload(&server), "/dropped") == 0 {
        assert!(batches < 200, "the spool takes more than it may");
        batches += 1;
        client.send_raw(&batch);
        for _ in 0..25 {
            client
                .receive()
                .assert_errors(400, &["missing transaction"]);
        }
    }
    Traffic::new().flow(&mut client, 50);
    let full = offload(&server);
    assert!(count(&full, "/spoolBytes") <= 16 << 20, "{full}");
    let spooled = count(&full, "/spooled");
    assert!(spooled > 1500, "{full}");
    let told = "events for history and callbacks are lost: the spool is full";
    eventually("it is told", || server.stderr().contains(told));
    assert_eq!(server.stderr().matches(told).count(), 1);

    mongo.start();
    await_idle(&server);
    assert!(count(&offload(&server), "/history/sent") >= spooled);
    let mut traffic = Traffic::new();
    traffic.flow(&mut client, 5);
    traffic.await_told(&mongo);
    let freed = offload(&server);
    assert_eq!(count(&freed, "/history/failed"), 0);
    assert!(count(&freed, "/spoolBytes") < 8 << 20, "{freed}");
}

#[test]
fn each_server_needs_a_spool_of_its_own() {
    let Some(layout) = layout_of_one() else {
        return;
    };
    let mongo = Mongo::own_that_is_down();
    let spool = layout.scratch().join("spool").display().to_string();
    let with_spool =
        |settings: Settings| settings.with_history(&mongo).set("offload.spool", &spool);
    let server = with_spool(Settings::on(&layout)).start();
    let refusal = with_spool(Settings::new()).try_start().err();
    let refusal = refusal.expect("the spool is in use");
    assert_eq!(refusal.status.code(), Some(1), "{refusal:?}");
    for word in ["offload.spool", &spool, "another popbox uses"] {
        assert!(refusal.stderr.contains(word), "{word}: {refusal:?}");
    }
    server.client().assert_alive();
    server.kill();
    // A lock dies with its owner.
    with_spool(Settings::on(&layout))
        .start()
        .client()
        .assert_alive();
}
