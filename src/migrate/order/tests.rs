//! Old lists in any constellation: what they agree on is kept.

use std::collections::HashSet;

use super::*;

/// Numbers that look random and are the same each time (`xorshift64*`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

fn line(entries: &[Index]) -> Line {
    Line {
        entries: entries.to_vec(),
        unordered: 0,
    }
}

fn merged(lines: &[Line], count: usize) -> Vec<Index> {
    let places = Places::of(lines.iter().map(|line| &line.entries[..]), count);
    merge(lines, &places, |index| index)
}

/// Whether the order agrees with the line.
fn agrees(order: &[Index], line: &Line) -> bool {
    let mut place = vec![usize::MAX; order.len() + line.entries.len()];
    for (at, index) in order.iter().enumerate() {
        place[*index as usize] = at;
    }
    let place = |index: &Index| place[*index as usize];
    let (blocked, rest) = line.entries.split_at(line.unordered);
    let last_blocked = blocked.iter().map(place).max();
    rest.is_sorted_by_key(place)
        && rest
            .first()
            .is_none_or(|first| last_blocked.is_none_or(|last| last < place(first)))
}

#[test]
fn random_lists_are_merged_as_they_came() {
    for seed in 1..=500 {
        let mut numbers = Numbers(seed);
        let count = 1 + numbers.below(60);
        let mut arrival: Vec<Index> = (0..Index::try_from(count).unwrap()).collect();
        numbers.shuffle(&mut arrival);
        let mut lines = vec![Line::default(); 1 + numbers.below(8)];
        for index in &arrival {
            let chosen = numbers.below(lines.len());
            for (number, line) in lines.iter_mut().enumerate() {
                if number == chosen || numbers.below(4) == 0 {
                    line.entries.push(*index);
                }
            }
        }
        for line in &mut lines {
            line.unordered = numbers.below(4).min(line.entries.len());
            let unordered = line.unordered;
            numbers.shuffle(&mut line.entries[..unordered]);
        }
        numbers.shuffle(&mut lines);
        let order = merged(&lines, count);
        let distinct: HashSet<_> = order.iter().collect();
        assert_eq!((order.len(), distinct.len()), (count, count), "seed {seed}");
        for line in &lines {
            assert!(agrees(&order, line), "seed {seed}: {line:?} in {order:?}");
        }
    }
}

#[test]
fn contradicting_lists_lose_no_transaction() {
    for seed in 1..=500 {
        let mut numbers = Numbers(seed);
        let count = 1 + numbers.below(30);
        let all: Vec<Index> = (0..Index::try_from(count).unwrap()).collect();
        let mut lines = Vec::new();
        for _ in 0..=numbers.below(6) {
            let mut entries = all.clone();
            numbers.shuffle(&mut entries);
            entries.truncate(1 + numbers.below(count));
            let unordered = numbers.below(entries.len() + 1);
            lines.push(Line { entries, unordered });
        }
        let order = merged(&lines, count);
        let named: HashSet<_> = lines.iter().flat_map(|line| &line.entries).collect();
        let distinct: HashSet<_> = order.iter().collect();
        assert_eq!(order.len(), distinct.len(), "seed {seed}");
        assert_eq!(distinct, named, "seed {seed}");
        assert_eq!(order, merged(&lines, count), "seed {seed}");
    }
}

#[test]
fn only_the_contradiction_is_out_of_order() {
    // 1 and 2 crossed. 0 comes behind them, and 3 behind 0, however old they are.
    let lines = [line(&[1, 2, 0]), line(&[2, 1]), line(&[0, 3])];
    let order = merged(&lines, 4);
    assert_eq!(order, [1, 2, 0, 3]);
}

#[test]
fn many_contradictions_take_no_more_time_than_few() {
    let count: Index = 200_000;
    let pairs = (0..count).step_by(2);
    let crossed = pairs.flat_map(|first| [line(&[first, first + 1]), line(&[first + 1, first])]);
    let mut lines: Vec<_> = crossed.collect();
    lines.push(line(&(0..count).collect::<Vec<_>>()));
    let order = merged(&lines, count as usize);
    assert!(order.is_sorted());
    assert_eq!(order.len(), count as usize);
}

#[test]
fn what_was_out_goes_first() {
    let lines = [Line {
        entries: vec![5, 4, 0, 1],
        unordered: 2,
    }];
    assert_eq!(merged(&lines, 6), [4, 5, 0, 1]);
}

#[test]
fn what_is_open_goes_by_age() {
    let lines = [line(&[2]), line(&[1, 0])];
    assert_eq!(merged(&lines, 3), [1, 0, 2]);
    assert!(merged(&[], 3).is_empty());
}
