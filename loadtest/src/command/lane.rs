//! A queue that one connection pushes to and pops from: what must be in it, in order.

use std::collections::VecDeque;

/// What is to come out of a queue.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What was stored and has not come, the oldest first.
    line: VecDeque<u64>,
    /// What did not come when it was its turn.
    missing: Vec<Missing>,
}

#[derive(Debug)]
struct Missing {
    number: u64,
    /// Whether the message must be somewhere; otherwise it may have gone with its connection.
    is_stored: bool,
}

/// What a message is that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// One of those that are in the queue.
    Expected,
    /// One that was missed before.
    Late,
    /// One that had come, or was never pushed.
    Repeated,
}

impl Lane {
    /// With these messages in it.
    pub(super) fn holding(numbers: impl Iterator<Item = u64>) -> Self {
        Self {
            line: numbers.collect(),
            missing: Vec::new(),
        }
    }

    /// The server says that it has stored this one.
    pub(super) fn stored(&mut self, number: u64) {
        self.line.push_back(number);
    }

    /// This one was pushed, and nobody knows whether it is stored.
    pub(super) fn unknown(&mut self, number: u64) {
        self.missing.push(Missing {
            number,
            is_stored: false,
        });
    }

    /// A pop was under way when its connection ended: the message may have gone with it.
    pub(super) fn cut_off(&mut self) {
        if let Some(number) = self.line.pop_front() {
            self.unknown(number);
        }
    }

    /// This one has come.
    pub(super) fn arrived(&mut self, number: u64) -> Arrival {
        if let Some(place) = self.line.iter().position(|it| *it == number) {
            let passed_over = self.line.drain(..=place).take(place);
            self.missing.extend(passed_over.map(Missing::stored));
            return Arrival::Expected;
        }
        match self.missing.iter().position(|it| it.number == number) {
            Some(place) => {
                self.missing.swap_remove(place);
                Arrival::Late
            }
            None => Arrival::Repeated,
        }
    }

    /// The server says that the queue is empty.
    pub(super) fn is_empty_now(&mut self) {
        self.missing
            .extend(self.line.drain(..).map(Missing::stored));
    }

    /// How many were stored and did not come when it was their turn.
    pub(super) fn lost(&self) -> u64 {
        let lost = self.missing.iter().filter(|missing| missing.is_stored);
        lost.count() as u64
    }
}

impl Missing {
    fn stored(number: u64) -> Self {
        Self {
            number,
            is_stored: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_in_order_and_is_not_lost() {
        let mut lane = Lane::holding(0..2);
        lane.stored(2);
        for number in 0..3 {
            assert_eq!(lane.arrived(number), Arrival::Expected);
        }
        assert_eq!(lane.arrived(2), Arrival::Repeated);
        assert_eq!(lane.lost(), 0);
    }

    #[test]
    fn what_is_passed_over_is_lost_until_it_comes() {
        let mut lane = Lane::holding(0..3);
        assert_eq!(lane.arrived(2), Arrival::Expected);
        assert_eq!(lane.lost(), 2);
        assert_eq!(lane.arrived(0), Arrival::Late);
        assert_eq!(lane.lost(), 1);
    }

    #[test]
    fn a_queue_that_is_empty_too_early_has_lost_everything() {
        let mut lane = Lane::holding(0..3);
        lane.is_empty_now();
        assert_eq!(lane.lost(), 3);
    }

    #[test]
    fn what_nobody_knows_of_is_not_lost() {
        let mut lane = Lane::default();
        lane.unknown(0);
        lane.stored(1);
        lane.cut_off();
        lane.cut_off();
        assert_eq!(lane.lost(), 0);
        assert_eq!(lane.arrived(1), Arrival::Late);
        assert_eq!(lane.arrived(1), Arrival::Repeated);
    }
}
