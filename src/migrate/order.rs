//! One order of all transactions that agrees with every old queue.
//!
//! In the store a queue's order is that of the pushes, and one push goes to all queues of a transaction. So the old
//! lines are merged: a transaction may go once it is the first in every line that it stands in. Where lines
//! contradict each other - the old server pushed to its queues one by one, so two pushes may have crossed - one
//! transaction of the contradiction goes out of turn, and every other order is kept.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Names a transaction here: its place in whatever list the caller keeps.
pub(super) type Index = u32;

/// What stands in one old list, first to be delivered first; nothing twice.
#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    pub(super) entries: Vec<Index>,
    /// So many of the first entries have no order among themselves: they were out with consumers.
    pub(super) unordered: usize,
}

/// In which lines each transaction stands.
#[derive(Debug)]
pub(super) struct Places {
    /// Where the lines of each transaction begin in `lines`, and one more for the end of the last.
    starts: Vec<usize>,
    lines: Vec<u32>,
}

impl Places {
    /// Of transactions numbered below `count`, in lines numbered as they come.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a [Index]> + Clone, count: usize) -> Self {
        let mut starts = vec![0; count + 1];
        for entry in lines.clone().flatten() {
            starts[*entry as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut free = starts.clone();
        let mut all = vec![0; starts[count]];
        for (number, line) in (0..).zip(lines) {
            for entry in line {
                let place = &mut free[*entry as usize];
                all[*place] = number;
                *place += 1;
            }
        }
        Self { starts, lines: all }
    }

    /// The numbers of the lines that a transaction stands in, in ascending order.
    pub(super) fn of_transaction(&self, index: Index) -> &[u32] {
        let at = index as usize;
        &self.lines[self.starts[at]..self.starts[at + 1]]
    }
}

/// Every transaction that stands in a line, in an order that agrees with the lines. What they leave open, and where a
/// contradiction is broken, `age` decides: the smaller first.
pub(super) fn merge<A: Ord + Copy>(
    lines: &[Line],
    places: &Places,
    age: impl Fn(Index) -> A,
) -> Vec<Index> {
    let mut merge = Merge::new(lines, places, age);
    merge.run();
    merge.order
}

struct Merge<'a, A, F> {
    lines: &'a [Line],
    places: &'a Places,
    age: F,
    order: Vec<Index>,
    /// Whether a transaction is in `order`.
    gone: Vec<bool>,
    /// In how many of its lines a transaction is not yet among the first.
    behind: Vec<u32>,
    /// How many entries of each line are passed, all of them gone.
    passed: Vec<usize>,
    ready: BinaryHeap<Reverse<(A, Index)>>,
}

impl<'a, A: Ord + Copy, F: Fn(Index) -> A> Merge<'a, A, F> {
    fn new(lines: &'a [Line], places: &'a Places, age: F) -> Self {
        let count = places.starts.len() - 1;
        let behind = (0..count).map(|at| places.starts[at + 1] - places.starts[at]);
        Self {
            lines,
            places,
            age,
            order: Vec::new(),
            gone: vec![false; count],
            // A transaction stands in fewer lines than there are, and those have numbers of 32 bits.
            behind: behind
                .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
                .collect(),
            passed: vec![0; lines.len()],
            ready: BinaryHeap::new(),
        }
    }

    fn run(&mut self) {
        for line in self.lines {
            for entry in line.entries.iter().take(line.unordered.max(1)) {
                self.comes_first(*entry);
            }
        }
        let mut stuck = Contradiction::default();
        loop {
            while let Some(Reverse((_, index))) = self.ready.pop() {
                // One that went out of turn may have become ready by that.
                if !self.gone[index as usize] {
                    self.take(index);
                }
            }
            let Some(index) = stuck.find(self) else {
                return;
            };
            self.take(index);
        }
    }

    /// A transaction is among the first of one more of its lines.
    fn comes_first(&mut self, index: Index) {
        let behind = &mut self.behind[index as usize];
        *behind -= 1;
        if *behind == 0 {
            self.ready.push(Reverse(((self.age)(index), index)));
        }
    }

    fn take(&mut self, index: Index) {
        self.gone[index as usize] = true;
        self.order.push(index);
        let places = self.places;
        for &number in places.of_transaction(index) {
            self.advance(number as usize);
        }
    }

    /// Passes what is gone at the front of a line.
    fn advance(&mut self, number: usize) {
        let line = &self.lines[number];
        let before = self.passed[number];
        let is_gone = |entry: &&Index| self.gone[**entry as usize];
        let passed = before + line.entries[before..].iter().take_while(is_gone).count();
        self.passed[number] = passed;
        // The unordered ones were first from the beginning.
        if passed > before
            && passed >= line.unordered
            && let Some(&first) = line.entries.get(passed)
        {
            self.comes_first(first);
        }
    }

    /// A transaction that has to go before this one, which is not ready.
    fn before(&self, index: Index) -> Option<Index> {
        let places = self.places.of_transaction(index).iter();
        places.map(|&number| number as usize).find_map(|number| {
            let (line, passed) = (&self.lines[number], self.passed[number]);
            let first = line.entries.get(passed..line.unordered.max(passed + 1))?;
            (!first.contains(&index)).then(|| first.first().copied())?
        })
    }
}

/// A walk from a transaction that cannot go to one that has to go before it, and so on, until it closes.
#[derive(Debug, Default)]
struct Contradiction {
    /// Each has to wait for the next. What is left of it after a contradiction was broken is the beginning of the next
    /// walk, so that none of it is walked twice.
    walk: Vec<Index>,
    /// For each transaction that was ever on the walk: where, if it still is.
    places: std::collections::HashMap<Index, usize>,
    /// Transactions below this number are gone.
    searched: Index,
}

impl Contradiction {
    /// The oldest transaction of a contradiction, if anything is left at all.
    fn find<A: Ord + Copy, F: Fn(Index) -> A>(&mut self, merge: &Merge<'_, A, F>) -> Option<Index> {
        while let Some(last) = self.walk.last().copied()
            && merge.gone[last as usize]
        {
            self.cut(self.walk.len() - 1);
        }
        if self.walk.is_empty() {
            let count = merge.gone.len();
            let is_left = |at: &usize| !merge.gone[*at] && merge.behind[*at] > 0;
            let first = (self.searched as usize..count).find(is_left)?;
            self.searched = Index::try_from(first).ok()?;
            self.step(self.searched);
        }
        loop {
            let last = *self.walk.last()?;
            // Nothing is ready, so each waits for another one.
            let before = merge.before(last)?;
            if let Some(&start) = self.places.get(&before) {
                let circle = self.walk[start..].iter().copied().enumerate();
                let (at, oldest) = circle.min_by_key(|(_, index)| ((merge.age)(*index), *index))?;
                self.cut(start + at);
                return Some(oldest);
            }
            self.step(before);
        }
    }

    fn step(&mut self, index: Index) {
        self.places.insert(index, self.walk.len());
        self.walk.push(index);
    }

    fn cut(&mut self, length: usize) {
        for index in self.walk.drain(length..) {
            self.places.remove(&index);
        }
    }
}

#[cfg(test)]
mod tests;
