//! Callbacks where something is away: the receiver, the server itself, the store.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Call, Client, Layout, Popped, Queue, Receiver, Reply, Settings, eventually, get, post,
};

const TAKEN: Reply = Reply::Status(204);

/// A store and a spool that servers are started on one after another, and who they call.
struct Stage {
    layout: Arc<Layout>,
    spool: PathBuf,
    receiver: Receiver,
}

impl Stage {
    fn new() -> Self {
        Self::on(Layout::fresh())
    }

    fn on(layout: Arc<Layout>) -> Self {
        Self {
            spool: layout.scratch().join("kept-spool"),
            layout,
            receiver: Receiver::start(),
        }
    }

    /// A server that calls one after another, in the order of the deliveries, and never gives up.
    fn settings(&self) -> Settings {
        Settings::on(&self.layout)
            .set("offload.spool", self.spool.display())
            .set("server.workers", 1)
            .set("callbacks.allow_private", true)
            .set("callbacks.per_host", 1)
            .set("callbacks.backoff", "10ms")
            .set("callbacks.attempts", 100)
            .set("callbacks.timeout", "5m")
    }

    /// Pushes so many messages and takes each; the ids of the transactions.
    #[track_caller]
    fn deliver(&self, client: &mut Client, count: usize) -> Vec<String> {
        let url = self.receiver.url("/");
        (0..count).map(|_| deliver(client, &url)).collect()
    }

    /// Calls once each of these transactions has been taken.
    #[track_caller]
    fn await_taken(&self, ids: &[String]) -> Vec<Call> {
        self.receiver.await_until("each is taken", |calls| {
            let taken = taken(calls);
            ids.iter().all(|id| taken.contains(id))
        })
    }
}

#[track_caller]
fn deliver(client: &mut Client, url: &str) -> String {
    let q = Queue::fresh();
    let id = client.push_with(&q, "p", json!({"callback": url}));
    assert_eq!(client.pop(&q, &json!({})).transactions, [id.as_str()]);
    id
}

fn taken(calls: &[Call]) -> BTreeSet<String> {
    let taken = calls.iter().filter(|call| call.is_taken);
    taken.map(Call::transaction).collect()
}

#[track_caller]
fn await_spooled(client: &mut Client, count: usize) {
    eventually(&format!("{count} deliveries are in the spool"), || {
        client.offload()["spooled"] == json!(count)
    });
}

#[test]
fn what_is_outstanding_at_sigterm_is_called_after_the_next_start() {
    let stage = Stage::new();
    stage.receiver.answer([TAKEN; 4], Reply::Silence);
    let server = stage.settings().start();
    let mut client = server.client();
    let ids = stage.deliver(&mut client, 10);
    stage.receiver.await_calls(5);
    server.stop();

    stage.receiver.answer([], TAKEN);
    let _server = stage.settings().start();
    let calls = stage.await_taken(&ids);
    let calls: Vec<String> = calls.iter().map(Call::transaction).collect();
    // The fifth was under way, and nobody knows whether it was taken.
    assert_eq!(calls, [&ids[..5], &ids[4..]].concat());
}

#[test]
fn whatever_is_spooled_outlives_kill_9() {
    let stage = Stage::new();
    let settings = stage.settings().set("callbacks.max_waiting", 2);
    // Some are over, one is tried again and under way, some are read and most are not.
    let first = [TAKEN, TAKEN, Reply::Status(500), TAKEN, Reply::Status(500)];
    stage.receiver.answer(first, Reply::Silence);
    let server = settings.clone().start();
    let mut client = server.client();
    let url = stage.receiver.url(&format!("/{}", "x".repeat(4000)));
    let ids: Vec<String> = (0..60).map(|_| deliver(&mut client, &url)).collect();
    stage.receiver.await_calls(6);
    await_spooled(&mut client, ids.len());
    server.kill();

    stage.receiver.answer([], TAKEN);
    let server = settings.start();
    stage.await_taken(&ids);
    // Nothing of the one before is in the way of what is new.
    let more = stage.deliver(&mut server.client(), 3);
    stage.await_taken(&more);
}

/// Pops one at a time until the server is gone; the ids that were received.
fn consume(mut client: Client, queue: &Queue) -> Vec<String> {
    let mut received = Vec::new();
    let one = post(queue.route("pop"), &json!({"max": 1, "timeout": 60}));
    let bytes = client.bytes_of(&one);
    while client.try_send_raw(&bytes).is_ok() {
        match client.try_receive(Duration::from_secs(20)) {
            Ok(response) => received.extend(Popped::parse(&response).transactions),
            Err(_) => break,
        }
    }
    received
}

#[test]
fn kill_9_amid_deliveries_loses_no_callback_that_was_spooled() {
    const CONSUMERS: usize = 4;
    let stage = Stage::new();
    let settings = stage.settings().set("server.workers", 2);
    let server = settings.clone().start();
    let mut client = server.client();
    let url = stage.receiver.url("/");
    let q = Queue::fresh();
    let mut pushed = BTreeSet::new();
    for _ in 0..1000 {
        pushed.insert(client.push_with(&q, "p", json!({"callback": url})));
    }
    // Whatever is called before the kill has to be called again.
    stage.receiver.answer([], Reply::Silence);
    let (received, spooled) = thread::scope(|scope| {
        let consumers: Vec<_> = server
            .clients(CONSUMERS)
            .into_iter()
            .map(|client| scope.spawn(|| consume(client, &q)))
            .collect();
        let mut spooled = 0;
        eventually("deliveries are under way", || {
            spooled = client.offload()["spooled"].as_u64().unwrap();
            spooled >= 100
        });
        server.kill();
        let received = consumers.into_iter().flat_map(|it| it.join().unwrap());
        (received.collect::<BTreeSet<String>>(), spooled)
    });

    stage.receiver.answer([], TAKEN);
    let server = settings.start();
    let last = stage.deliver(&mut server.client(), 1);
    let mut called = taken(&stage.await_taken(&last));
    called.remove(&last[0]);
    let missing = received.difference(&called).count();
    println!(
        "{} received, {spooled} known to be spooled, {} called, {missing} lost",
        received.len(),
        called.len()
    );
    assert!(called.len() as u64 >= spooled);
    assert!(called.is_subset(&pushed));
}

#[test]
fn a_receiver_that_hangs_holds_up_neither_clients_nor_other_receivers() {
    let stage = Stage::new();
    stage.receiver.answer([], Reply::Silence);
    let server = stage.settings().start();
    let mut client = server.client();
    stage.deliver(&mut client, 20);
    stage.receiver.await_calls(1);
    let other = Receiver::start();
    let id = deliver(&mut client, &other.url("/"));
    assert_eq!(other.await_calls(1)[0].transaction(), id);
    assert_eq!(stage.receiver.calls().len(), 1);
    client.assert_alive();
    server.stop();
}

#[test]
fn a_full_window_leaves_the_rest_in_the_spool() {
    const COUNT: usize = 200;
    let stage = Stage::new();
    stage.receiver.answer([], Reply::Silence);
    let settings = stage.settings().set("callbacks.max_waiting", 2);
    let server = settings.clone().start();
    let mut client = server.client();
    let url = stage.receiver.url(&format!("/{}", "x".repeat(4000)));
    let ids: Vec<String> = (0..COUNT).map(|_| deliver(&mut client, &url)).collect();
    await_spooled(&mut client, COUNT);
    let offload = client.offload();
    assert_eq!(offload["dropped"], json!(0));
    assert!(
        offload["spoolBytes"].as_u64().unwrap() > 4000 * COUNT as u64,
        "{offload}"
    );
    // It reads 64 KiB at a time.
    let waiting = offload["callbacks"]["waiting"].as_u64().unwrap();
    assert!((1..=20).contains(&waiting), "{offload}");
    server.stop();

    stage.receiver.answer([], TAKEN);
    let _server = settings.start();
    stage.await_taken(&ids);
}

#[test]
fn a_full_spool_drops_what_is_new_and_holds_up_nobody() {
    let stage = Stage::new();
    stage.receiver.answer([], Reply::Silence);
    let settings = stage
        .settings()
        .set("callbacks.max_waiting", 1)
        .set("offload.spool_max", "16MiB");
    let server = settings.start();
    let mut client = server.client();
    let kept = stage.deliver(&mut client, 3);
    stage.receiver.await_calls(1);
    // As much of a callback as is told, and more.
    let long = format!("http://127.0.0.1:1/{}", "x".repeat(10_000));
    // 16 MiB of them.
    for _ in 0..4200 {
        deliver(&mut client, &long);
    }
    eventually("there is no room", || {
        client.offload()["dropped"] != json!(0)
    });
    let offload = client.offload();
    assert!(
        offload["spoolBytes"].as_u64().unwrap() <= 16 << 20,
        "{offload}"
    );
    client.assert_alive();
    server.stop();

    stage.receiver.answer([], TAKEN);
    let server = stage.settings().start();
    stage.await_taken(&kept);
    // What was in its way is given up by then, and there is room again.
    let more = stage.deliver(&mut server.client(), 1);
    stage.await_taken(&more);
}

/// Puts into the place of each segment something that can be opened by nobody until somebody writes to it.
fn block_segments(spool: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    for entry in fs::read_dir(spool).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "log") {
            fs::remove_file(&path).unwrap();
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
    }
}

#[test]
fn a_disk_that_hangs_does_not_hold_up_the_end() {
    let stage = Stage::new();
    stage.receiver.answer([], Reply::Silence);
    let server = stage.settings().start();
    stage.deliver(&mut server.client(), 1);
    stage.receiver.await_calls(1);
    server.stop();

    let server = stage.settings().start();
    stage.receiver.await_calls(2);
    // The one of before is opened again to be synced.
    block_segments(&stage.spool);
    let mut client = server.client();
    stage.deliver(&mut client, 1);
    await_spooled(&mut client, 1);
    server.signal(libc::SIGTERM);
    let status = server.exit_within(Duration::from_secs(20));
    assert!(status.success(), "{status}");
    let told = "the last events could not be spooled";
    assert!(server.stderr().contains(told));
}

#[test]
fn a_second_signal_does_not_wait_for_a_disk_that_hangs() {
    let stage = Stage::new();
    let server = stage.settings().set("server.drain", "60s").start();
    block_segments(&stage.spool);
    let mut client = server.client();
    stage.deliver(&mut client, 1);
    await_spooled(&mut client, 1);
    client.send_raw(b"POST /trans HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{");
    crate::support::pause();
    server.signal(libc::SIGTERM);
    eventually("it drains", || server.stderr().contains("draining"));
    server.signal(libc::SIGTERM);
    let status = server.exit_within(Duration::from_secs(20));
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(server.stderr().contains("a second signal"));
}

/// A delivery whose callback cannot be looked up: the answer is written when the store is already away.
fn delivered_without_the_store(ends: bool) {
    const COUNT: usize = 8;
    let Some(layout) = Layout::fresh_redis() else {
        return;
    };
    let stage = Stage::on(layout);
    let settings = stage.settings().set("redis.reply_timeout", "1s");
    let server = settings.clone().start();
    let mut client = server.client();
    let q = Queue::fresh();
    // More than the wires hold.
    let payload = "x".repeat(1_000_000);
    let url = stage.receiver.url("/");
    let ids: Vec<String> = (0..COUNT)
        .map(|_| client.push_with(&q, &payload, json!({"callback": url})))
        .collect();
    let mut slow = Client::connect_narrow(server.addr);
    slow.send(&post(q.route("pop"), &json!({})));
    let mut answer = slow.receive_head();
    let servers = stage.layout.redis_servers();
    let transactions = servers.last().unwrap();
    transactions.freeze();
    slow.receive_body(&mut answer);
    assert_eq!(Popped::parse(&answer).transactions, ids);
    eventually("the store is missed", || {
        client.call(&get("/")).status == 503
    });
    assert_eq!(stage.receiver.calls().len(), 0);

    if ends {
        server.signal(libc::SIGTERM);
        eventually("it is about to end", || {
            server.stderr().contains("draining")
        });
        transactions.thaw();
        let status = server.exit_within(Duration::from_secs(20));
        assert!(status.success(), "{status}");
        let _server = settings.start();
        stage.await_taken(&ids);
    } else {
        transactions.thaw();
        stage.await_taken(&ids);
        eventually("the store is back", || client.call(&get("/")).status == 200);
        assert_eq!(client.offload()["dropped"], json!(0));
    }
}

#[test]
fn a_callback_comes_when_the_store_is_back_that_knows_it() {
    delivered_without_the_store(false);
}

#[test]
fn a_server_that_ends_still_asks_the_store_for_callbacks() {
    delivered_without_the_store(true);
}
