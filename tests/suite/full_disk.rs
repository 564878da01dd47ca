//! A disk that is getting full, and one that is: pushes are refused, and nothing that was acknowledged is lost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, Durability, Layout, Queue, Response, Settings, delete, eventually, get, now_s, post,
    put,
};

const MEBIBYTE: usize = 1 << 20;

/// What the store may take of the small disk while the rest is taken by others.
const ROOM_MEBIBYTES: usize = 16;

/// What others take. Once it is free, the journal and all of it in the tables, where it takes more, fit at once.
const TAKEN_MEBIBYTES: usize = 3 * ROOM_MEBIBYTES;

/// A message that fills the small disk soon, but not at once.
const PAYLOAD_BYTES: usize = 50_000;

#[track_caller]
fn assert_full(response: &Response) {
    response.assert_some_error(503);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
}

fn push(queue: &Queue, payload: &str) -> crate::support::Request {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    post("/trans", &body)
}

/// Whether no disk can have as much free space as the configuration may ask for.
fn is_terabyte_free(layout: &Layout) -> bool {
    let disk = rustix::fs::statvfs(layout.store_dir()).unwrap();
    disk.f_bavail * disk.f_frsize > 1 << 40
}

#[test]
fn a_disk_with_little_left_takes_no_pushes_and_gives_everything_back() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let start = |min_free: &str| {
        let settings = Settings::on(&layout).durability(Durability::Sync);
        settings.set("store.min_free", min_free).start()
    };
    let server = start("0");
    let mut client = server.client();
    let q = Queue::fresh();
    let ids = client.push_many(&q, &["a", "b", "c", "d", "e"].map(str::to_owned));
    let group = json!({"name": q.id, "queues": ["x"]});
    client.call(&post("/group", &group)).assert_json_head(200);
    server.stop();
    if is_terabyte_free(&layout) {
        println!("skipped: there is more free space than store.min_free can ask for");
        return;
    }

    let server = start("1TiB");
    let mut client = server.client();
    for _ in 0..3 {
        let refused = client.call(&push(&q, "more"));
        assert_full(&refused);
        refused.assert_errors(503, &["the store is unavailable: the disk is full"]);
    }
    assert_full(&client.call(&put(format!("/trans/{}", ids[0]), &json!({"payload": "A"}))));
    assert_full(&client.call(&post("/group", &group)));
    let waiting = json!({"queuesToAdd": ["y"]});
    assert_full(&client.call(&put(format!("/group/{}", q.id), &waiting)));
    eventually("the log says why, once", || {
        server.stderr().matches("store.min_free").count() == 1
    });
    // What empties the store, and what looks at it, goes on.
    assert_eq!(client.peek(&q).data, ["a", "b", "c", "d", "e"]);
    assert_eq!(client.pop(&q, &json!({"max": 1})).data, ["a"]);
    assert_eq!(
        client.poprel(&q, &json!({"max": 1})).transactions,
        [ids[1].as_str()]
    );
    assert_eq!(client.ack(&q, &[&ids[1], &ids[2]])[1]["err"], Value::Null);
    client
        .call(&delete(format!("/trans/{}", ids[3])))
        .assert_json_head(200);
    client
        .call(&delete(format!("/group/{}", q.id)))
        .assert_json_head(200);
    assert_eq!(client.peek(&q).data, ["e"]);
    server.stop();

    let server = start("0");
    let mut client = server.client();
    client.push(&q, "f");
    assert_eq!(client.pop(&q, &json!({})).data, ["e", "f"]);
    let answer = client.call(&get(format!("/group/{}", q.id)));
    assert_eq!(answer.json()["queues"], json!([]));
}

/// Pushes until the disk is full, and stays so; what was acknowledged, as (id, payload), is added.
fn push_until_full(client: &mut Client, queue: &Queue, acknowledged: &mut Vec<(String, String)>) {
    let filler = "x".repeat(PAYLOAD_BYTES);
    let mut refused_in_a_row = 0;
    let deadline = Instant::now() + Duration::from_mins(1);
    while refused_in_a_row < 20 {
        assert!(Instant::now() < deadline, "the disk does not get full");
        let payload = format!("{}{filler}", acknowledged.len());
        let response = client.call(&push(queue, &payload));
        if response.status == 200 {
            refused_in_a_row = 0;
            acknowledged.push((id_in(&response), payload));
        } else {
            refused_in_a_row += 1;
            assert_full(&response);
        }
    }
}

fn id_in(response: &Response) -> String {
    response.json()["data"].as_str().unwrap().to_owned()
}

/// Every acknowledged message and no other, in order.
#[track_caller]
fn assert_all_there(client: &mut Client, queue: &Queue, acknowledged: &[(String, String)]) {
    client.await_size(queue, acknowledged.len());
    for (place, (id, payload)) in acknowledged.iter().enumerate() {
        let popped = client.pop(queue, &json!({"max": 1}));
        assert_eq!(popped.transactions, [id.as_str()], "at {place}");
        assert!(popped.data == [payload.as_str()], "{id} at {place}");
    }
    assert_eq!(client.queue_info(queue)["size"], json!(0));
}

/// Fills a disk, kills the server on it if asked to, makes room, and looks at what is left.
fn fill_a_disk(durability: Durability, is_killed: bool) {
    let Some(layout) = Layout::on_small_disk(ROOM_MEBIBYTES + TAKEN_MEBIBYTES) else {
        return;
    };
    let disk = layout.disk();
    disk.fill(TAKEN_MEBIBYTES * MEBIBYTE);
    let start = || {
        let settings = Settings::on(&layout).durability(durability);
        settings.set("store.min_free", 0).start()
    };
    let mut server = start();
    let q = Queue::fresh();
    let mut acknowledged = Vec::new();
    push_until_full(&mut server.client(), &q, &mut acknowledged);
    let stored = acknowledged.len() * PAYLOAD_BYTES;
    assert!(
        stored > ROOM_MEBIBYTES * MEBIBYTE / 4,
        "only {stored} bytes"
    );
    disk.fill_up();
    push_until_full(&mut server.client(), &q, &mut acknowledged);
    if is_killed {
        server.kill();
        server = start();
        disk.fill_up();
        push_until_full(&mut server.client(), &q, &mut acknowledged);
    }

    disk.free();
    let mut client = server.client();
    eventually("there is room again", || {
        let response = client.call(&push(&q, "room again"));
        if response.status == 200 {
            acknowledged.push((id_in(&response), "room again".to_owned()));
        }
        response.status == 200
    });
    if is_killed {
        assert_all_there(&mut client, &q, &acknowledged);
        server.kill();
        let server = start();
        let mut client = server.client();
        assert_eq!(client.queue_info(&q)["size"], json!(0));
        client.assert_alive();
    } else {
        server.kill();
        let server = start();
        assert_all_there(&mut server.client(), &q, &acknowledged);
        server.stop();
    }
}

#[test]
fn a_full_disk_loses_nothing_when_every_write_is_synced() {
    fill_a_disk(Durability::Sync, false);
}

#[test]
fn a_full_disk_loses_nothing_when_writes_are_synced_at_intervals() {
    fill_a_disk(Durability::Interval, false);
}

#[test]
fn a_server_killed_on_a_full_disk_loses_nothing_when_every_write_is_synced() {
    fill_a_disk(Durability::Sync, true);
}

#[test]
fn a_server_killed_on_a_full_disk_loses_nothing_when_writes_are_synced_at_intervals() {
    fill_a_disk(Durability::Interval, true);
}

/// What ends while the disk is full cannot be written down; that is tried again, in peace.
#[test]
fn an_end_of_life_on_a_full_disk_is_tried_again_in_peace() {
    let Some(layout) = Layout::on_small_disk(ROOM_MEBIBYTES) else {
        return;
    };
    let settings = Settings::on(&layout).set("store.min_free", 0);
    let server = settings.start();
    let mut client = server.client();
    let q = Queue::fresh();
    // So many at once that their end does not fit into what is left of a block.
    let end = now_s() + 3;
    let short: Vec<String> = (0..300)
        .map(|_| client.push_with(&q, "short", json!({"expirationDate": end})))
        .collect();
    let long = client.push(&q, "long");
    eventually("the log says that a batch is refused", || {
        // The store may have given something back.
        layout.disk().fill_up();
        server.stderr().contains("a batch is refused")
    });
    let lines = server.stderr().lines().count();
    // Not a wait for anything: the time in which nothing is to be said again and again.
    std::thread::sleep(Duration::from_secs(2));
    let more = server.stderr().lines().count() - lines;
    assert!(more < 10, "{more} lines in two seconds");
    layout.disk().free();
    eventually("they are over", || {
        short.iter().all(|id| {
            let response = client.call(&get(format!("/trans/{id}")));
            response.status == 200 && response.json() == json!({})
        })
    });
    assert_eq!(client.pop(&q, &json!({})).transactions, [long]);
    server.stop();
}
