//! What became of each push.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::tally::Counter;

/// The server says that it has stored it.
const STORED: u8 = 1;
/// A waiter has received it.
const ARRIVED: u8 = 2;

/// The pushes of a run, which any thread may note something about.
pub(crate) struct Ledger {
    pushes: Box<[AtomicU8]>,
    /// Those whose end is known: stored, refused, or their connection is gone.
    settled: Counter,
    stored: Counter,
    stored_and_arrived: Counter,
    duplicated: Counter,
}

impl Ledger {
    /// More pushes need more memory than a load generator should take: a byte each.
    pub(crate) const PUSHES_MAX: u64 = 1 << 30;

    /// Of so many pushes, numbered from 0, of which nothing is known yet.
    pub(crate) fn new(pushes: usize) -> Self {
        Self {
            pushes: (0..pushes).map(|_| AtomicU8::new(0)).collect(),
            settled: Counter::default(),
            stored: Counter::default(),
            stored_and_arrived: Counter::default(),
            duplicated: Counter::default(),
        }
    }

    /// How many pushes there are to be.
    pub(crate) fn pushes(&self) -> u64 {
        self.pushes.len() as u64
    }

    /// The server says that it has stored this one.
    pub(crate) fn stored(&self, number: u64) {
        self.stored.count();
        if self
            .mark(number, STORED)
            .is_some_and(|before| before == ARRIVED)
        {
            self.stored_and_arrived.count();
        }
        self.settled.count();
    }

    /// This one is refused, or nobody knows of it: its message may come, or not.
    pub(crate) fn settled(&self) {
        self.settled.count();
    }

    /// A waiter has received this one, perhaps before the server has said that it is stored. Whether it is the first
    /// time.
    pub(crate) fn arrived(&self, number: u64) -> bool {
        match self.mark(number, ARRIVED) {
            Some(before) if before & ARRIVED != 0 => {
                self.duplicated.count();
                return false;
            }
            Some(STORED) => self.stored_and_arrived.count(),
            _ => {}
        }
        true
    }

    fn mark(&self, number: u64, mark: u8) -> Option<u8> {
        let push = self.pushes.get(usize::try_from(number).ok()?)?;
        Some(push.fetch_or(mark, Ordering::Relaxed))
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_complete(&self) -> bool {
        self.settled.get() >= self.pushes() && self.lost() == 0
    }

    /// Those that are stored and have not arrived.
    pub(crate) fn lost(&self) -> u64 {
        let arrived = self.stored_and_arrived.get();
        self.stored.get().saturating_sub(arrived)
    }

    /// How often one arrived that had arrived before.
    pub(crate) fn duplicated(&self) -> u64 {
        self.duplicated.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_and_arrives_once_is_neither_lost_nor_duplicated() {
        let ledger = Ledger::new(2);
        ledger.stored(0);
        ledger.arrived(0);
        assert!(!ledger.is_complete(), "the second is still to come");
        ledger.arrived(1);
        ledger.stored(1);
        assert!(ledger.is_complete());
        assert_eq!((ledger.lost(), ledger.duplicated()), (0, 0));
    }

    #[test]
    fn what_is_stored_and_does_not_arrive_is_lost() {
        let ledger = Ledger::new(2);
        ledger.stored(0);
        ledger.stored(1);
        ledger.arrived(1);
        assert!(!ledger.is_complete());
        assert_eq!(ledger.lost(), 1);
    }

    #[test]
    fn what_arrives_again_is_duplicated() {
        let ledger = Ledger::new(1);
        ledger.arrived(0);
        ledger.arrived(0);
        ledger.stored(0);
        ledger.arrived(0);
        assert_eq!((ledger.lost(), ledger.duplicated()), (0, 2));
    }

    #[test]
    fn what_nobody_knows_of_may_come_or_not() {
        let ledger = Ledger::new(2);
        ledger.settled();
        ledger.settled();
        ledger.arrived(1);
        assert!(ledger.is_complete());
        assert_eq!((ledger.lost(), ledger.duplicated()), (0, 0));
    }
}
