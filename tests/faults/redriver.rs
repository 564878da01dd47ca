//! Puts dead letters back into their queues, as an operator does who looks after them.

use std::thread;
use std::time::Duration;

use popbox_test_support::{Random, get, post};
use serde_json::{Value, json};

use super::caller::Caller;
use super::world::World;

/// Between one round and the next, in calm and under faults.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Redriver<'a> {
    world: &'a World,
    caller: Caller<'a>,
}

impl<'a> Redriver<'a> {
    pub(crate) fn new(world: &'a World, random: &mut Random) -> Self {
        Self {
            world,
            caller: Caller::new(&world.site, random),
        }
    }

    /// Goes round until the load is over.
    pub(crate) fn run(mut self) {
        while self.world.stage.is_load() {
            self.round();
            thread::sleep(PAUSE);
        }
    }

    /// Looks at every queue once. How many dead letters there were; none if some queue could not be asked.
    pub(crate) fn round(&mut self) -> Option<usize> {
        let places = 0..self.world.outlets.len();
        // Each of them, whatever becomes of the others.
        let found: Vec<Option<usize>> = places.map(|place| self.redrive(place)).collect();
        found.into_iter().sum()
    }

    /// The dead letters of a queue, by their ids.
    pub(crate) fn letters(&mut self, place: usize) -> Option<Vec<String>> {
        let path = self.world.outlets[place].queue.route("dead?max=10000");
        let answer = self.caller.call(&get(path)).ok()?;
        if answer.status != 200 {
            self.refused(answer.status);
            return None;
        }
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        let letters = answer["dead"].as_array()?.iter();
        let ids: Vec<String> = letters
            .filter_map(|letter| Some(letter["id"].as_str()?.to_owned()))
            .collect();
        if answer["size"].as_u64() != Some(ids.len() as u64) {
            let queue = self.world.outlets[place].describe();
            let text = format!("{queue} has dead letters, but not so many: {answer}");
            self.world.ledger.strange(&text);
        }
        Some(ids)
    }

    fn redrive(&mut self, place: usize) -> Option<usize> {
        let ids = self.letters(place)?;
        if ids.is_empty() {
            return Some(0);
        }
        for id in &ids {
            self.world.ledger.died(id, place);
        }
        let path = self.world.outlets[place].queue.route("dead/redrive");
        loop {
            let answer = self.caller.call(&post(path.as_str(), &json!({}))).ok()?;
            if answer.status != 200 {
                self.refused(answer.status);
                return None;
            }
            let answer: Value = serde_json::from_slice(&answer.body).ok()?;
            let redriven = usize::try_from(answer["redriven"].as_u64()?).ok()?;
            self.world.ledger.redriven(redriven);
            // Without the first a queue that cannot be emptied would hold everybody up.
            if redriven == 0 || answer["left"] == json!(0) {
                return Some(ids.len());
            }
        }
    }

    fn refused(&self, status: u16) {
        if status != 503 {
            let text = format!("dead letters: answered {status}");
            self.world.ledger.strange(&text);
        }
    }
}
