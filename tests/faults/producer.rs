//! Pushes: to one queue or several, now or later, small and large, with long and short lives.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use popbox_test_support::{Random, Request, now_s, post};
use serde_json::{Value, json};

use super::caller::{Caller, PATIENCE};
use super::ledger::{Event, Opening, Witness};
use super::letter::Letter;
use super::outlet::REALMS;
use super::repeater::Repeater;
use super::world::World;

/// How many producers there are, and how often each pushes.
pub(crate) const PRODUCERS: usize = 4;
const INTERVAL: Duration = Duration::from_millis(20);

/// One push in so many has a key, and after one in so many an older one is repeated that has been answered.
const KEYED: usize = 3;
const REPEATED: usize = 15;

/// What was not pushed while it could not be is made up for, but not all at once.
const ARREARS_MAX: Duration = Duration::from_millis(500);

/// What is to be pushed.
pub(crate) struct Order {
    /// All of one realm.
    pub(crate) outlets: Vec<usize>,
    pub(crate) padding_bytes: usize,
    pub(crate) priority: &'static str,
    pub(crate) delay_ms: usize,
    /// The second of its end, if that is soon.
    pub(crate) ends_s: Option<u64>,
    pub(crate) is_probe: bool,
    /// Whether it has an `Idempotency-Key`.
    pub(crate) is_keyed: bool,
}

/// Pushes until the load is over.
pub(crate) fn produce(world: &World, producer: usize, mut random: Random) {
    let mut caller = Caller::new(&world.site, &mut random);
    let mut repeater = Repeater::new(world, random.split());
    let mut due = Instant::now();
    while world.stage.is_load() {
        let order = if random.below(8) == 0 {
            ordered(world, producer, &mut random)
        } else {
            mixed(world, &mut random)
        };
        if order.is_keyed {
            repeater.push(&mut caller, order);
        } else {
            push(world, &mut caller, &order);
        }
        if random.below(REPEATED) == 0 {
            repeater.repeat(&mut caller);
        }
        // Now and then by way of another agent.
        if random.below(20) == 0 {
            caller.leave();
        }
        due = (due + INTERVAL).max(
            Instant::now()
                .checked_sub(ARREARS_MAX)
                .unwrap_or_else(Instant::now),
        );
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Pushes it once. Its number, if it was acknowledged.
///
/// A push without an answer and without a key is not repeated: nobody could tell the two from each other.
pub(crate) fn push(world: &World, caller: &mut Caller, order: &Order) -> Option<usize> {
    let number = open(world, order);
    let event = send(world, caller, order, number, PATIENCE);
    (event == Event::Acknowledged).then_some(number)
}

/// Takes it down; its number.
pub(crate) fn open(world: &World, order: &Order) -> usize {
    world.ledger.open(&Opening {
        outlets: &order.outlets,
        may_expire: order.ends_s.is_some(),
        is_probe: order.is_probe,
        is_keyed: order.is_keyed,
    })
}

/// Sends the push of that number; what has come of it, which is taken down.
pub(crate) fn send(
    world: &World,
    caller: &mut Caller,
    order: &Order,
    number: usize,
    patience: Duration,
) -> Event {
    let agent = caller.agent();
    world.ledger.note_push(number, Event::Pushed { agent });
    let event = match caller.call_within(patience, &request(world, order, number)) {
        Err(why) => Event::PushUnanswered { why },
        Ok(answer) if answer.status == 200 => {
            let id = serde_json::from_slice::<Value>(&answer.body)
                .ok()
                .and_then(|answer| Some(answer["data"].as_str()?.to_owned()));
            match id {
                Some(id) => world.ledger.identify(number, &id, Witness::Producer),
                None => world.ledger.strange(&format!("a push: {answer:?}")),
            }
            Event::Acknowledged
        }
        Ok(answer) => {
            if answer.status != 503 {
                world.ledger.strange(&format!("a push: {answer:?}"));
            }
            // Another agent may be better off.
            caller.leave();
            Event::PushRefused {
                status: answer.status,
            }
        }
    };
    world.ledger.note_push(number, event);
    event
}

fn request(world: &World, order: &Order, number: usize) -> Request {
    let queues: Vec<Value> = order
        .outlets
        .iter()
        .map(|&outlet| json!({"id": world.outlets[outlet].queue.id}))
        .collect();
    let letter = Letter {
        number,
        padding_bytes: order.padding_bytes,
    };
    let mut body = json!({"payload": letter.text(), "priority": order.priority, "queue": queues});
    match order.ends_s {
        Some(second) => body["expirationDate"] = json!(second),
        None => body["expirationDelay"] = json!(world.life.as_secs()),
    }
    let mut path = world.outlets[order.outlets[0]].queue.push_path();
    if order.delay_ms > 0 {
        let delay = Duration::from_millis(order.delay_ms as u64);
        let _ = write!(path, "?delay={}", delay.as_secs_f64());
    }
    let request = post(path, &body);
    if order.is_keyed {
        request.header("Idempotency-Key", &format!("push {number}"))
    } else {
        request
    }
}

/// One for the queue that only this producer pushes to.
fn ordered(world: &World, producer: usize, random: &mut Random) -> Order {
    let outlet = world
        .outlets
        .iter()
        .position(|outlet| outlet.producer == Some(producer));
    Order {
        outlets: outlet.into_iter().collect(),
        padding_bytes: random.below(60),
        priority: "H",
        delay_ms: 0,
        ends_s: None,
        is_probe: false,
        is_keyed: random.below(KEYED) == 0,
    }
}

/// Any other.
fn mixed(world: &World, random: &mut Random) -> Order {
    let realm = random.below(REALMS.len());
    let mut candidates: Vec<usize> = (0..world.outlets.len())
        .filter(|&place| {
            let outlet = &world.outlets[place];
            outlet.realm == realm && outlet.producer.is_none()
        })
        .collect();
    let count = [1, 1, 1, 2, 5][random.below(5)];
    let outlets = (0..count)
        .map(|_| candidates.swap_remove(random.below(candidates.len())))
        .collect();
    Order {
        outlets,
        padding_bytes: match random.below(200) {
            0 => 20_000 + random.below(180_000),
            1..20 => 1_000 + random.below(3_000),
            _ => random.below(200),
        },
        priority: if random.below(5) == 0 { "L" } else { "H" },
        delay_ms: if random.below(20) == 0 {
            100 + random.below(4_000)
        } else {
            0
        },
        ends_s: (random.below(40) == 0).then(|| now_s() + 2 + random.below(6) as u64),
        is_probe: false,
        is_keyed: random.below(KEYED) == 0,
    }
}
