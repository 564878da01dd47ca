//! Pushes with an `Idempotency-Key`: repeated until they are answered 200, and some of them after that.

use std::time::Duration;

use popbox_test_support::Random;

use super::caller::Caller;
use super::ledger::Event;
use super::producer::{Order, open, send};
use super::world::World;

/// How long an answer is waited for, in milliseconds: short, so that a push often comes again while it is under way.
const PATIENCE_MIN_MS: usize = 200;
const PATIENCE_MAX_MS: usize = 3_000;

/// How many pushes that were answered are kept, to be repeated.
const SETTLED_MAX: usize = 100;

/// One push in so many that was answered is repeated at once.
const AT_ONCE: usize = 8;

pub(crate) struct Repeater<'a> {
    world: &'a World,
    random: Random,
    /// What was answered 200, with its numbers.
    settled: Vec<(usize, Order)>,
}

impl<'a> Repeater<'a> {
    pub(crate) fn new(world: &'a World, random: Random) -> Self {
        Self {
            world,
            random,
            settled: Vec::new(),
        }
    }

    /// Pushes it until it is answered 200 or the load is over.
    pub(crate) fn push(&mut self, caller: &mut Caller, order: Order) {
        let number = open(self.world, &order);
        loop {
            match self.send(caller, number, &order) {
                Event::Acknowledged => break,
                Event::PushUnanswered { .. } | Event::PushRefused { status: 503 }
                    if self.world.stage.is_load() =>
                {
                    Caller::pause();
                }
                _ => return,
            }
        }
        if self.random.below(AT_ONCE) == 0 {
            self.send(caller, number, &order);
        }
        if self.settled.len() == SETTLED_MAX {
            self.settled.swap_remove(self.random.below(SETTLED_MAX));
        }
        self.settled.push((number, order));
    }

    /// Pushes one again that was answered, be it long ago.
    pub(crate) fn repeat(&mut self, caller: &mut Caller) {
        if self.settled.is_empty() {
            return;
        }
        let place = self.random.below(self.settled.len());
        let (number, order) = self.settled.swap_remove(place);
        self.send(caller, number, &order);
        self.settled.push((number, order));
    }

    fn send(&mut self, caller: &mut Caller, number: usize, order: &Order) -> Event {
        // Through any agent.
        if self.random.below(2) == 0 {
            caller.leave();
        }
        let patience_ms = PATIENCE_MIN_MS + self.random.below(PATIENCE_MAX_MS - PATIENCE_MIN_MS);
        let patience = Duration::from_millis(patience_ms as u64);
        send(self.world, caller, order, number, patience)
    }
}
