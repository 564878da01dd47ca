//! What the window allows at any time, whatever happens.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::*;
use crate::offload::callbacks::callback::Callback;
use crate::offload::callbacks::target::Target;
use crate::offload::callbacks::window::{Waiting, Window};
use crate::offload::spool::Position;

fn callback(transaction: u8, host: u64, queue_id: u64) -> Callback {
    Callback {
        transaction: id(transaction),
        queue: queue(&queue_id.to_string()),
        at: AT,
        target: Arc::new(Target::read(&format!("http://host{host}/")).unwrap()),
    }
}

/// The same numbers each time; good enough to mix things up.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

#[test]
fn limits_order_and_cursor_hold_whatever_happens() {
    for seed in 0..50 {
        let mut dice = Dice(seed);
        let settings = config::Callbacks {
            concurrency: 6,
            per_host: 2,
            max_waiting: 20,
            ..config::Callbacks::default()
        };
        let mut now = Instant::now();
        let mut window = Window::new(&settings, Position(0));
        let mut posted: Vec<Waiting> = Vec::new();
        let mut next_of_transaction: HashMap<TransactionId, Vec<u64>> = HashMap::new();
        // Numbers of callbacks that are not over, by the end of their entry.
        let mut unfinished: Vec<(u64, HashSet<u64>)> = Vec::new();
        let (mut end, mut number) = (0, 0);
        for step in 0..2000 {
            match dice.below(4) {
                0 if window.has_room() && step < 1500 => {
                    end += 10;
                    let mut callbacks = Vec::new();
                    for _ in 0..dice.below(4) {
                        number += 1;
                        let transaction = u8::try_from(dice.below(9)).unwrap();
                        callbacks.push(callback(transaction, dice.below(4), number));
                        next_of_transaction
                            .entry(id(transaction))
                            .or_default()
                            .push(number);
                    }
                    let numbers = callbacks.iter().map(number_of).collect();
                    unfinished.push((end, numbers));
                    window.take_in(AT, Position(end), callbacks);
                }
                1 => posted.extend(window.next(now)),
                2 if !posted.is_empty() => {
                    let index = usize::try_from(dice.below(posted.len() as u64)).unwrap();
                    let mut waiting = posted.swap_remove(index);
                    if dice.below(3) == 0 {
                        waiting.failures += 1;
                        window.postpone(waiting, now + Duration::from_secs(dice.below(5)));
                    } else {
                        let done = number_of(&waiting.callback);
                        let line = next_of_transaction.get_mut(&waiting.callback.transaction);
                        assert_eq!(line.unwrap().remove(0), done, "seed {seed}");
                        for (_, numbers) in &mut unfinished {
                            numbers.remove(&done);
                        }
                        window.finish(&waiting);
                    }
                }
                _ => now += Duration::from_secs(1),
            }
            let transactions: HashSet<_> = posted
                .iter()
                .map(|waiting| waiting.callback.transaction)
                .collect();
            assert_eq!(transactions.len(), posted.len(), "seed {seed}: one of each");
            assert!(posted.len() <= settings.concurrency, "seed {seed}");
            for host in &posted {
                let of_host =
                    |other: &&Waiting| other.callback.target.host() == host.callback.target.host();
                assert!(
                    posted.iter().filter(of_host).count() <= settings.per_host,
                    "seed {seed}"
                );
            }
            let waiting: usize = unfinished.iter().map(|(_, numbers)| numbers.len()).sum();
            assert_eq!(window.waiting(), waiting, "seed {seed}");
            let done = unfinished
                .iter()
                .take_while(|(_, numbers)| numbers.is_empty());
            let cursor = done.last().map_or(0, |(end, _)| *end);
            assert_eq!(window.cursor(), Position(cursor), "seed {seed}");
            assert_eq!(window.oldest().is_some(), waiting > 0, "seed {seed}");
        }
        // Nothing is forgotten.
        while let Some(waiting) = posted.pop().or_else(|| window.next(now + PATIENCE)) {
            window.finish(&waiting);
        }
        assert_eq!(
            (window.waiting(), window.cursor()),
            (0, Position(end)),
            "seed {seed}"
        );
    }
}

fn number_of(callback: &Callback) -> u64 {
    callback.queue.id().parse().unwrap()
}

#[test]
fn hosts_take_turns() {
    let settings = config::Callbacks {
        concurrency: 3,
        ..config::Callbacks::default()
    };
    let mut window = Window::new(&settings, Position(0));
    let many = (0..100)
        .map(|transaction| callback(transaction, 0, 0))
        .collect();
    window.take_in(AT, Position(1), many);
    let few = vec![callback(100, 1, 0), callback(101, 2, 0)];
    window.take_in(AT, Position(2), few);
    let now = Instant::now();
    let hosts: Vec<_> = std::iter::from_fn(|| window.next(now))
        .map(|waiting| waiting.callback.target.host().to_string())
        .collect();
    assert_eq!(hosts, ["host0:80", "host1:80", "host2:80"]);
}
