//! After the load: polite consumers take what is left, and then the servers are asked what they still show.

use std::thread;
use std::time::Duration;

use popbox_test_support::{Random, get};
use serde_json::{Value, json};

use super::caller::Caller;
use super::ledger::{Event, Outcome, State};
use super::outlet::{Route, Users};
use super::probe::{state, states};
use super::redriver::Redriver;
use super::world::World;

/// All leases, delays and sweeps are over by then, and then some.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(1);

/// By when a queue has forgotten the waiters of agents and connections that are gone: some 20 s, as
/// docs/architecture.md has it, and time for a busy machine.
const GHOST_TIMEOUT: Duration = Duration::from_secs(35);

const POLL: Duration = Duration::from_secs(1);

/// How long a state may lag behind the pop or the ack that changed it.
const STATE_GRACE: Duration = Duration::from_secs(5);
const STATE_POLL: Duration = Duration::from_millis(50);

/// Of how many messages that were received the state is looked at.
const SAMPLE: usize = 300;

/// What was found.
#[derive(Default)]
pub(crate) struct Examination {
    /// By transaction's number and outlet: acknowledged, or handed out and not acked, and not to be had.
    pub(crate) missing: Vec<(usize, usize)>,
    /// Queues that list messages which pops do not give, and what they say.
    pub(crate) stuck: Vec<(usize, Value)>,
    /// Queues whose `blocked` stays true though nobody waits.
    pub(crate) ghosts: Vec<usize>,
    /// Queues that still have dead letters though all have been put back and taken, and how many; none if that could
    /// not be learnt.
    pub(crate) buried: Vec<(usize, Option<usize>)>,
    /// Of how many messages the state was looked at.
    pub(crate) sampled: usize,
    /// By transaction's number and outlet: done with, and shown as if they were not.
    pub(crate) stale: Vec<(usize, usize)>,
}

pub(crate) struct Examiner<'a> {
    world: &'a World,
    caller: Caller<'a>,
    redriver: Redriver<'a>,
    random: Random,
    found: Examination,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(world: &'a World, mut random: Random) -> Self {
        Self {
            world,
            caller: Caller::new(&world.site, &mut random),
            redriver: Redriver::new(world, &mut random),
            random,
            found: Examination::default(),
        }
    }

    /// While consumers take what is left: waits until nothing is, and looks at what is all the same.
    pub(crate) fn drain(&mut self) {
        let bound = self.world.calm.bound(DRAIN_TIMEOUT);
        loop {
            // Those that lazy consumers let die as the load ended come late.
            let dead = self.redriver.round();
            self.found.missing = missing(self.world);
            if self.found.missing.is_empty() {
                self.found.stuck = self.listed();
            }
            let is_drained =
                dead == Some(0) && self.found.missing.is_empty() && self.found.stuck.is_empty();
            if is_drained || bound.is_over() {
                break;
            }
            let (missing, stuck) = (self.found.missing.len(), self.found.stuck.len());
            println!(
                "{}: {missing} messages and {stuck} queues to go",
                self.world.ledger.now()
            );
            thread::sleep(POLL);
        }
        self.found.stuck = self.listed();
        for (number, place) in self.found.missing.clone() {
            self.look(number, place);
        }
        self.found.buried = self.buried();
        self.sample();
    }

    /// Queues that have dead letters.
    fn buried(&mut self) -> Vec<(usize, Option<usize>)> {
        (0..self.world.outlets.len())
            .map(|place| (place, self.redriver.letters(place).map(|ids| ids.len())))
            .filter(|(_, count)| *count != Some(0))
            .collect()
    }

    /// When nobody waits any more: waits until no queue says that somebody does.
    pub(crate) fn look_for_ghosts(mut self) -> Examination {
        let bound = self.world.calm.bound(GHOST_TIMEOUT);
        loop {
            let places = 0..self.world.outlets.len();
            self.found.ghosts = places
                .filter(|&place| self.describe(place)["blocked"] == json!(true))
                .collect();
            if self.found.ghosts.is_empty() || bound.is_over() {
                return self.found;
            }
            thread::sleep(POLL);
        }
    }

    /// Queues that have messages.
    fn listed(&mut self) -> Vec<(usize, Value)> {
        (0..self.world.outlets.len())
            .map(|place| (place, self.describe(place)))
            .filter(|(_, description)| description["size"] != json!(0))
            .collect()
    }

    fn describe(&mut self, place: usize) -> Value {
        let path = self.world.outlets[place].queue.path();
        loop {
            match self.caller.call(&get(path.as_str())) {
                Ok(answer) if answer.status == 200 => {
                    return serde_json::from_slice(&answer.body).unwrap_or_default();
                }
                _ => Caller::pause(),
            }
        }
    }

    fn sample(&mut self) {
        let count = self.world.ledger.books().transactions.len();
        for _ in 0..SAMPLE {
            let number = self.random.below(count);
            let received: Vec<usize> = {
                let books = self.world.ledger.books();
                let transaction = &books.transactions[number];
                if transaction.outcome != Outcome::Acknowledged || transaction.may_expire {
                    continue;
                }
                let messages = transaction.messages.iter();
                messages
                    .filter(|message| message.is_received())
                    .map(|message| message.outlet)
                    .collect()
            };
            for place in received {
                self.found.sampled += 1;
                if self.is_stale(number, place) {
                    self.found.stale.push((number, place));
                }
            }
        }
    }

    /// Whether a message that is done with is shown as if it were not, for longer than it may be.
    fn is_stale(&mut self, number: usize, place: usize) -> bool {
        let bound = self.world.calm.bound(STATE_GRACE);
        loop {
            let state = self.look(number, place);
            let is_done = !matches!(state, State::Pending | State::Blocked | State::Dead);
            if is_done || bound.is_over() {
                return !is_done;
            }
            thread::sleep(STATE_POLL);
        }
    }

    fn look(&mut self, number: usize, place: usize) -> State {
        let id = self.world.ledger.books().transactions[number].id.clone();
        let state = match id {
            None => State::Unknown,
            Some(id) => {
                let states = states(&mut self.caller, &id);
                state(&states[self.world.outlets[place].queue.id.as_str()])
            }
        };
        self.world.ledger.note(number, place, Event::Seen { state });
        state
    }
}

/// What is still to come: acknowledged and not received, or to be acked.
fn missing(world: &World) -> Vec<(usize, usize)> {
    let books = world.ledger.books();
    let mut missing = Vec::new();
    for (number, transaction) in books.transactions.iter().enumerate() {
        // What was not acknowledged may be undone after it was received: then there is nothing to ack.
        if transaction.may_expire || transaction.outcome != Outcome::Acknowledged {
            continue;
        }
        for message in &transaction.messages {
            let outlet = &world.outlets[message.outlet];
            let is_due = if message.is_received() {
                outlet.route.is_reliable() && !message.is_acked()
            } else {
                // Of a plain queue with rude clients, some are gone with these.
                !(outlet.users == Users::Rude && outlet.route == Route::Pop)
            };
            if is_due {
                missing.push((number, message.outlet));
            }
        }
    }
    missing
}
