//! What holds when the time of day is set under a running server: nothing is lost, and nobody waits for ever.
//!
//! Messages that live for a month are used: that a step forward ends the lives that it steps over is what it should.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use popbox_test_support::{
    Client, Durability, Layout, Popped, Process, Queue, RedisConnection, Request, Response, Server,
    Settings, eventually, free_address, get, now_s, post,
};
use serde_json::json;

use super::WallClock;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
const MONTH_S: i64 = 30 * DAY_S;

/// Forth and back, far and by less than a lease.
const STEPS_S: [i64; 6] = [DAY_S, -DAY_S, 0, 2, -2, 0];

/// The same for Redis, where each takes longer.
const STEPS_OF_REDIS_S: [i64; 3] = [2, DAY_S, -DAY_S];

/// For leases and delays that end while a test looks on.
const LATER_S: u64 = 3;

/// How much later they may come: Redis forgets agents when its clock is set ahead, and what an agent was just putting
/// into its queues after a delay is done by another, or by itself, half a minute later.
const LATER_PATIENCE: Duration = Duration::from_mins(1);

/// How long a redis-server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a server says the time is, in the head of an answer.
fn date(client: &mut Client) -> i64 {
    let response = client.call(&get("/"));
    let date = response.header("date").expect("a date").to_owned();
    let parsed = Command::new("date").args(["-d", &date, "+%s"]).output();
    let text = String::from_utf8(parsed.unwrap().stdout).unwrap();
    text.trim().parse().unwrap()
}

/// Waits until a server is seen to have that time: it may keep a date for a moment.
#[track_caller]
fn await_date(client: &mut Client, ahead_s: i64) {
    eventually(&format!("the clock is {ahead_s} s ahead"), || {
        let truth = i64::try_from(now_s()).unwrap();
        (date(client) - truth - ahead_s).abs() <= 1
    });
}

/// Asks until the store is within reach: a step of more than a worker's life makes Redis forget the worker, which then
/// takes a new connection.
#[track_caller]
fn patiently(client: &mut Client, request: &Request) -> Response {
    let mut taken = None;
    eventually("the store is within reach", || {
        let response = client.call(request);
        assert!([200, 503].contains(&response.status), "{response:?}");
        taken = (response.status == 200).then_some(response);
        taken.is_some()
    });
    taken.unwrap()
}

#[track_caller]
fn push(client: &mut Client, queue: &Queue, payload: &str, delay_s: u64) -> String {
    let body = json!({
        "payload": payload, "priority": "H", "queue": [{"id": queue.id}], "delay": delay_s,
        "expirationDelay": MONTH_S,
    });
    let response = patiently(client, &post("/trans", &body));
    response.json()["data"].as_str().unwrap().to_owned()
}

#[track_caller]
fn pop(client: &mut Client, queue: &Queue) -> Popped {
    let request = post(queue.route("pop"), &json!({"timeout": 1}));
    Popped::parse(&patiently(client, &request))
}

/// What a store goes by where something is to happen later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Later {
    /// After so much time, wherever the clock is set meanwhile.
    Length,
    /// When the clock shows that time: where it is set back, once it is there again. An agent goes by the time that
    /// Redis last told it, so right after a step that may be the time from before.
    Date,
}

/// Steps the clock under everything there is at once: what waits in line, what is lent, what is held back, and who
/// waits for a message.
fn step_under_everything(server: &Server, steps_s: &[i64], later: Later, set_ahead: &dyn Fn(i64)) {
    let mut latest_s = 0;
    for &ahead_s in steps_s {
        let mut client = server.client();
        let [line, lent, held, waiting] = std::array::from_fn(|_| Queue::fresh());
        let in_line: Vec<String> = (0..20)
            .map(|number| push(&mut client, &line, &number.to_string(), 0))
            .collect();
        push(&mut client, &lent, "lent", 0);
        let borrow = post(lent.route("poprel"), &json!({"timeoutACK": LATER_S}));
        let borrowed = Popped::parse(&patiently(&mut client, &borrow));
        assert_eq!(borrowed.data, ["lent"]);
        push(&mut client, &held, "held back", LATER_S);
        let mut waiter = server.client();
        waiter.start_pop(&waiting);
        eventually("somebody waits", || {
            let info = patiently(&mut client, &get(waiting.path()));
            info.json()["blocked"] == json!(true)
        });

        set_ahead(ahead_s);

        push(&mut client, &waiting, "wake up", 0);
        let woken = Popped::parse(&waiter.receive());
        assert!(!woken.is_empty(), "{ahead_s} s ahead");
        let mut popped = pop(&mut client, &line).transactions;
        // One whose push was answered 503 may be there as well.
        popped.retain(|id| in_line.contains(id));
        assert_eq!(popped, in_line, "{ahead_s} s ahead");
        latest_s = ahead_s.max(latest_s);
        if later == Later::Date {
            set_ahead(latest_s);
        }
        for (queue, payload) in [(&lent, "lent"), (&held, "held back")] {
            let deadline = Instant::now() + LATER_PATIENCE;
            let found = loop {
                let found = pop(&mut client, queue).data;
                if !found.is_empty() {
                    break found;
                }
                let is_late = Instant::now() >= deadline;
                assert!(!is_late, "{payload} does not come, {ahead_s} s ahead");
            };
            assert!(found.iter().all(|it| it == payload), "{found:?}");
        }
        set_ahead(ahead_s);
    }
    let mut client = server.client();
    let last = Queue::fresh();
    push(&mut client, &last, "still here", 0);
    assert_eq!(pop(&mut client, &last).data, ["still here"]);
}

#[test]
fn the_embedded_store_takes_every_step_of_its_clock() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let clock = WallClock::new(layout.scratch());
    let server = under(&clock, Settings::on(&layout).durability(Durability::Sync)).start();
    let mut client = server.client();
    step_under_everything(&server, &STEPS_S, Later::Length, &|ahead_s| {
        clock.set_ahead(ahead_s);
        await_date(&mut server.client(), ahead_s);
    });
    clock.set_right();
    await_date(&mut client, 0);
}

/// A start reads dates that were written by another clock. Leases that were written an hour ahead must not hold for
/// that hour.
#[test]
fn a_start_after_a_step_keeps_what_there_is() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let clock = WallClock::new(layout.scratch());
    let settings = || under(&clock, Settings::on(&layout).durability(Durability::Sync));
    let (line, lent) = (Queue::fresh(), Queue::fresh());
    let mut all = Vec::new();
    for (number, ahead_s) in [0, DAY_S, -DAY_S].into_iter().enumerate() {
        clock.set_ahead(ahead_s);
        let server = settings().start();
        all.push(push(&mut server.client(), &line, &number.to_string(), 0));
        server.kill();
    }
    clock.set_right();
    let server = settings().start();
    let mut client = server.client();
    push(&mut client, &lent, "lent", 0);
    let popped = client.poprel(&lent, &json!({"timeoutACK": LATER_S}));
    assert_eq!(popped.data, ["lent"]);
    server.kill();
    clock.set_ahead(DAY_S);
    let server = settings().start();
    let mut client = server.client();
    client.await_pending(&lent, &["lent"]);
    assert_eq!(client.pop(&line, &json!({})).transactions, all);
    server.stop();
}

/// A redis-server under a clock.
struct SteppedRedis {
    _process: Process,
    address: SocketAddr,
}

impl SteppedRedis {
    fn start(folder: &std::path::Path, clock: &WallClock) -> Self {
        let address = free_address();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder)
            .envs(clock.environment())
            .stdin(Stdio::null());
        let process = Process::start(command, None);
        let deadline = Instant::now() + START_TIMEOUT;
        while RedisConnection::open(address).is_err() {
            let log = || process.stdout() + &process.stderr();
            assert!(process.status().is_none(), "it ended: {}", log());
            assert!(Instant::now() < deadline, "no answer: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            _process: process,
            address,
        }
    }

    /// Seconds since 1970, as it knows them.
    fn time(&self) -> i64 {
        let mut connection = RedisConnection::open(self.address).unwrap();
        let time = connection.call(&["TIME"]).unwrap().list();
        time[0].text().parse().unwrap()
    }
}

fn under(clock: &WallClock, settings: Settings) -> Settings {
    clock
        .environment()
        .into_iter()
        .fold(settings, |settings, (name, value)| {
            settings.env(name, &value)
        })
}

/// Both kinds of clocks in turn: that of Redis, which decides, and that of the server.
#[test]
fn the_redis_store_takes_every_step_of_either_clock() {
    let Some(layout) = Layout::fresh_embedded() else {
        return;
    };
    let folder = |name: &str| {
        let folder = layout.scratch().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let (of_redis, of_server) = (folder("clock-redis"), folder("clock-server"));
    let (redis_clock, clock) = (WallClock::new(&of_redis), WallClock::new(&of_server));
    let redis = SteppedRedis::start(&of_redis, &redis_clock);
    let server = on_redis(&layout, &redis, &clock);
    step_under_everything(&server, &STEPS_OF_REDIS_S, Later::Date, &|ahead_s| {
        redis_clock.set_ahead(ahead_s);
        eventually("redis-server has the new time", || {
            let truth = i64::try_from(now_s()).unwrap();
            (redis.time() - truth - ahead_s).abs() <= 1
        });
    });
    server.stop();
    // Another one, which has never been told another time.
    let server = on_redis(&layout, &redis, &clock);
    step_under_everything(&server, &STEPS_OF_REDIS_S, Later::Length, &|ahead_s| {
        clock.set_ahead(ahead_s);
        await_date(&mut server.client(), ahead_s);
    });
}

fn on_redis(layout: &Arc<Layout>, redis: &SteppedRedis, clock: &WallClock) -> Server {
    let url = format!("[\"redis://{}/0\"]", redis.address);
    under(clock, Settings::on(layout))
        .set("store.kind", "redis")
        .set("redis.queues", &url)
        .set("redis.transactions", "[]")
        .set("redis.sweep", "200ms")
        .start()
}
