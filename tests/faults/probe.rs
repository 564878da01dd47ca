//! Is everybody woken again? One message to each queue that has a waiter, and how long it takes until all have come.

use std::fmt;
use std::time::{Duration, Instant};

use popbox_test_support::{Random, get};
use serde_json::Value;

use super::caller::Caller;
use super::calm::Bound;
use super::ledger::{Event, State};
use super::outlet::Users;
use super::producer::{Order, push};
use super::world::World;

/// How long after the last fault a message may be in a queue whose waiter does not get it. Far more than it takes, so
/// that a busy machine fails nothing; the report has the times.
pub(crate) const WOKEN_BOUND: Duration = Duration::from_secs(15);

/// What the probes found.
pub(crate) struct Recovery {
    /// From the end of the faults until the last probe had come, or until they were given up.
    pub(crate) took: Duration,
    /// Those that did not come in time, by their numbers, and what their states were then.
    pub(crate) missing: Vec<(usize, State)>,
    /// Queues that nothing could be pushed to in time.
    pub(crate) closed: Vec<usize>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "all woken {:.3} s later", self.took.as_secs_f64())?;
        if !self.missing.is_empty() || !self.closed.is_empty() {
            let (missing, closed) = (self.missing.len(), self.closed.len());
            write!(out, "; but not {missing}, and {closed} took no push")?;
        }
        Ok(())
    }
}

pub(crate) struct Prober<'a> {
    world: &'a World,
    random: Random,
    caller: Caller<'a>,
}

impl<'a> Prober<'a> {
    pub(crate) fn new(world: &'a World, mut random: Random) -> Self {
        Self {
            world,
            caller: Caller::new(&world.site, &mut random),
            random,
        }
    }

    /// Pushes to each queue and waits. Every such queue has a consumer that waits, or is on its way to.
    pub(crate) fn probe(&mut self, healed: Instant) -> Recovery {
        let bound = self.world.calm.bound(WOKEN_BOUND);
        let (mut probes, mut closed) = (Vec::new(), Vec::new());
        for (place, outlet) in self.world.outlets.iter().enumerate() {
            if outlet.users == Users::Rude {
                continue;
            }
            match self.push(place, &bound) {
                Some(number) => probes.push(number),
                None => closed.push(place),
            }
        }
        // From the push on, if the server took its time with that.
        let bound = self.world.calm.bound(WOKEN_BOUND);
        let missing = self.world.ledger.await_probes(&probes, &bound);
        Recovery {
            took: healed.elapsed(),
            missing: missing
                .into_iter()
                .map(|number| (number, self.look(number)))
                .collect(),
            closed,
        }
    }

    fn push(&mut self, place: usize, bound: &Bound) -> Option<usize> {
        let order = Order {
            outlets: vec![place],
            padding_bytes: self.random.below(100),
            priority: "H",
            delay_ms: 0,
            ends_s: None,
            is_probe: true,
            is_keyed: false,
        };
        loop {
            let number = push(self.world, &mut self.caller, &order);
            if number.is_some() || bound.is_over() {
                return number;
            }
            Caller::pause();
        }
    }

    /// What the state of a message is now; it is taken down.
    pub(crate) fn look(&mut self, number: usize) -> State {
        let (id, place) = {
            let books = self.world.ledger.books();
            let transaction = &books.transactions[number];
            (transaction.id.clone(), transaction.messages[0].outlet)
        };
        let Some(id) = id else {
            return State::Unknown;
        };
        let states = states(&mut self.caller, &id);
        let queue = &self.world.outlets[place].queue.id;
        let state = state(&states[queue.as_str()]);
        self.world.ledger.note(number, place, Event::Seen { state });
        state
    }
}

/// What `/trans/:id/state` says, by queue.
pub(crate) fn states(caller: &mut Caller, id: &str) -> Value {
    for _ in 0..50 {
        match caller.call(&get(format!("/trans/{id}/state"))) {
            Ok(answer) if answer.status == 200 => {
                let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                return answer["data"].clone();
            }
            _ => Caller::pause(),
        }
    }
    Value::Null
}

pub(crate) fn state(word: &Value) -> State {
    match word.as_str() {
        Some("Pending") => State::Pending,
        Some("Blocked") => State::Blocked,
        Some("Delivered") => State::Delivered,
        Some("Dead") => State::Dead,
        Some("Expired") => State::Expired,
        _ => State::Unknown,
    }
}
