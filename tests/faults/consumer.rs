//! Clients that take messages and never go away without need.

use std::time::{Duration, Instant};

use popbox_test_support::{Random, Request, Response, post};
use serde_json::{Value, json};

use super::caller::{Away, Caller};
use super::ledger::{Consumer as Name, Event, Moment};
use super::letter::{Letter, Parcel};
use super::outlet::{Outlet, Route};
use super::site::MAX_DELIVERIES;
use super::world::World;

/// How long a pop waits under load, at most, and afterwards, in seconds.
const WAIT_MAX_S: usize = 20;
const WAIT_DRAINING_S: usize = 2;

/// A receipt that is to be given.
struct Debt {
    number: usize,
    id: String,
    due: Instant,
}

/// One consumer of one queue.
pub(crate) struct Consumer<'a> {
    world: &'a World,
    place: usize,
    name: Name,
    random: Random,
    caller: Caller<'a>,
    /// Acks of a stream need a connection of their own.
    acker: Caller<'a>,
    debts: Vec<Debt>,
}

impl<'a> Consumer<'a> {
    pub(crate) fn new(world: &'a World, place: usize, name: Name, mut random: Random) -> Self {
        Self {
            world,
            place,
            name,
            caller: Caller::new(&world.site, &mut random),
            acker: Caller::new(&world.site, &mut random),
            random,
            debts: Vec::new(),
        }
    }

    /// Takes messages until the trial is over.
    pub(crate) fn run(mut self) {
        while !self.world.stage.is_over() {
            match self.outlet().route {
                Route::Pop | Route::Poprel => self.pop(),
                Route::Subscribe | Route::Subscriberel => self.stream(),
            }
        }
    }

    /// The same with pops, whatever is usual for the queue.
    pub(crate) fn run_with_pops(mut self) {
        while !self.world.stage.is_over() {
            self.pop();
        }
    }

    fn outlet(&self) -> &'a Outlet {
        &self.world.outlets[self.place]
    }

    fn pop(&mut self) {
        self.pay();
        let outlet = self.outlet();
        let wait_s = if self.world.stage.is_load() {
            1 + self.random.below(WAIT_MAX_S)
        } else {
            WAIT_DRAINING_S
        };
        let route = if outlet.route.is_reliable() {
            Route::Poprel
        } else {
            Route::Pop
        };
        let request = pop_request(outlet, route, wait_s);
        let asked = self.world.ledger.now();
        let wait = Duration::from_secs(wait_s as u64);
        match self.caller.wait_for(&request, wait, &self.world.stage) {
            Ok(answer) if answer.status == 200 => {
                for parcel in read(self.world, outlet, &answer.body) {
                    self.take(parcel, asked);
                }
            }
            Ok(answer) => self.refused(&answer),
            Err(Away::TimedOut | Away::Malformed) => {
                let text = format!("{} was not answered", outlet.describe());
                self.world.ledger.strange(&text);
                self.world.ledger.departed(self.place);
            }
            Err(Away::Refused | Away::Closed | Away::Over) => {}
        }
        if self.random.below(10) == 0 {
            self.caller.leave();
        }
        self.pay();
    }

    fn stream(&mut self) {
        let request = pop_request(self.outlet(), self.outlet().route, 0);
        let mut asked = self.world.ledger.now();
        match self.caller.open(&request) {
            Ok(200) => {}
            Ok(503) => return Caller::pause(),
            Ok(status) => {
                let text = format!("{} answered {status}", self.outlet().describe());
                self.world.ledger.strange(&text);
                return Caller::pause();
            }
            Err(_) => return,
        }
        while let Ok(Some(chunk)) = self.caller.next_chunk(&self.world.stage) {
            if is_refusal(&chunk) {
                Caller::pause();
                break;
            }
            for parcel in read(self.world, self.outlet(), &chunk) {
                self.take(parcel, asked);
            }
            self.pay();
            asked = self.world.ledger.now();
        }
        self.caller.leave();
    }

    /// Takes down a message, and decides when to ack it.
    fn take(&mut self, parcel: Parcel, asked: Moment) {
        let outlet = self.outlet();
        let ledger = &self.world.ledger;
        let receipts = ledger.received(&parcel, self.place, self.name, asked);
        if !outlet.route.is_reliable() {
            return;
        }
        let now = Instant::now();
        let die = self.random.below(12);
        let is_lazy = outlet.has_lapses && self.world.stage.is_load();
        let is_too_much = Letter::is_unbearable(parcel.number) && receipts <= MAX_DELIVERIES;
        if is_lazy && (die == 0 || is_too_much) {
            // Never.
            return;
        }
        let is_late = is_lazy && die == 1;
        let lease = Duration::from_millis(outlet.lease_ms.into());
        self.debts.push(Debt {
            number: parcel.number,
            id: parcel.id,
            due: if is_late { now + lease * 3 / 2 } else { now },
        });
    }

    /// Gives the receipts that are due, as often as it takes.
    fn pay(&mut self) {
        let now = Instant::now();
        let all = !self.world.stage.is_load();
        let (due, later) = std::mem::take(&mut self.debts)
            .into_iter()
            .partition::<Vec<Debt>, _>(|debt| all || debt.due <= now);
        self.debts = later;
        if due.is_empty() {
            return;
        }
        let ids: Vec<&str> = due.iter().map(|debt| debt.id.as_str()).collect();
        let route = self.outlet().queue.route("ack");
        let request = post(route, &json!({"transactions": ids}));
        for debt in &due {
            self.note(debt, Event::Acking);
        }
        while !self.world.stage.is_over() {
            match self.acker.call(&request) {
                Ok(answer) if answer.status == 200 => {
                    let results: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    for (place, debt) in due.iter().enumerate() {
                        let is_known = match &results[place]["err"] {
                            Value::Null => true,
                            Value::String(text) if text.ends_with("does not exist") => false,
                            other => {
                                self.world.ledger.strange(&format!("an ack: {other}"));
                                false
                            }
                        };
                        self.note(debt, Event::Acked { is_known });
                    }
                    return;
                }
                Ok(answer) => {
                    self.refused(&answer);
                    self.acker.leave();
                }
                Err(_) => {}
            }
        }
    }

    fn note(&self, debt: &Debt, event: Event) {
        self.world.ledger.note(debt.number, self.place, event);
    }

    fn refused(&self, answer: &Response) {
        if answer.status != 503 {
            let text = format!("{}: {answer:?}", self.outlet().describe());
            self.world.ledger.strange(&text);
        }
        Caller::pause();
    }
}

/// A request for messages of a queue, as is usual there.
pub(crate) fn pop_request(outlet: &Outlet, route: Route, wait_s: usize) -> Request {
    let lease_s = f64::from(outlet.lease_ms) / 1000.0;
    let parameters = match route {
        Route::Pop => json!({"max": outlet.max, "timeout": wait_s}),
        Route::Poprel => json!({"max": outlet.max, "timeout": wait_s, "timeoutACK": lease_s}),
        Route::Subscribe => json!({}),
        Route::Subscriberel => json!({"timeoutACK": lease_s}),
    };
    post(outlet.queue.route(route.name()), &parameters)
}

/// Whether a stream ends with this chunk because the store is out of reach: its head has been sent by then.
pub(crate) fn is_refusal(chunk: &[u8]) -> bool {
    chunk.starts_with(b"{\"errors\":[\"the store is unavailable")
}

/// What is in an answer or a chunk.
pub(crate) fn read(world: &World, outlet: &Outlet, body: &[u8]) -> Vec<Parcel> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let (Some(payloads), Some(ids)) =
        (answer["data"].as_array(), answer["transactions"].as_array())
    else {
        let text = String::from_utf8_lossy(body)
            .chars()
            .take(300)
            .collect::<String>();
        world.ledger.strange(&text);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (place, (payload, id)) in payloads.iter().zip(ids).enumerate() {
        let letter = payload.as_str().and_then(Letter::read);
        let deliveries = answer["deliveries"][place].as_u64();
        if deliveries == Some(0) || deliveries.is_some() != outlet.route.is_reliable() {
            let queue = outlet.describe();
            world.ledger.strange(&format!(
                "{id} came from {queue} with deliveries {deliveries:?}"
            ));
        }
        match (letter, id.as_str()) {
            (Some(letter), Some(id)) => found.push(Parcel {
                number: letter.number,
                id: id.to_owned(),
                deliveries,
            }),
            _ => world
                .ledger
                .strange(&format!("{id} came with a payload that nobody pushed")),
        }
    }
    found
}
