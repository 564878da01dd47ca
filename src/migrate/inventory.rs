//! What the old servers hold, by name: queues, and who waits in them. No contents.
//!
//! It takes some 100 bytes for each transaction and 4 for each message, besides the names of the queues.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    order::{Index, Line, Places},
    report::{Left, Report},
    servers::ServerIndex,
};
use crate::mailbox::{Priority, QueueName, TransactionId};

/// A transaction as far as it is known by its keys.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    /// When it was pushed, in units that only compare, if its id tells.
    time: u64,
    /// Where its fields are.
    pub(super) meta: Option<ServerIndex>,
    /// Where its states are.
    pub(super) state: Option<ServerIndex>,
    /// The priority that its fields say.
    pub(super) given_priority: Option<Priority>,
    /// The priority of the lists that hold it, the higher of two. Lists count more than fields: what was popped first
    /// in the old queue is popped first in the new one.
    pub(super) listed_priority: Option<Priority>,
}

impl Transaction {
    /// The line of each queue that it belongs in.
    pub(super) fn priority(&self) -> Option<Priority> {
        self.listed_priority.or(self.given_priority)
    }

    /// What orders transactions where no queue does: the time in the id, which the old server put there, and the id.
    pub(super) fn age(&self) -> (u64, TransactionId) {
        (self.time, self.id)
    }
}

/// Names a queue of the inventory.
pub(super) type QueueIndex = u32;

#[derive(Debug)]
struct List {
    queue: QueueIndex,
    priority: Priority,
    entries: Vec<Index>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    transactions: Vec<Transaction>,
    by_id: HashMap<TransactionId, Index>,
    queues: Vec<QueueName>,
    by_name: HashMap<QueueName, QueueIndex>,
    lists: Vec<List>,
    /// Messages that were out with consumers.
    blocked: Vec<(QueueIndex, Index)>,
}

/// Which queues hold which transactions.
#[derive(Debug)]
pub(super) struct Holders {
    places: Places,
    /// For each list.
    queues: Vec<QueueIndex>,
}

impl Holders {
    /// Whether the queue holds the transaction.
    pub(super) fn hold(&self, queue: QueueIndex, index: Index) -> bool {
        let lists = self.places.of_transaction(index);
        lists
            .binary_search_by_key(&queue, |&list| self.queues[list as usize])
            .is_ok()
    }

    /// The queues that hold the transaction.
    pub(super) fn of(&self, index: Index) -> impl Iterator<Item = QueueIndex> {
        let lists = self.places.of_transaction(index).iter();
        lists.map(|&list| self.queues[list as usize])
    }
}

/// What is to be pushed: who waits in which line.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) lines: Vec<Line>,
    pub(super) places: Places,
    /// For each line.
    queues: Vec<QueueName>,
}

impl Inventory {
    /// The transaction of that id, which is new if it has not been seen.
    pub(super) fn find_or_add(&mut self, id: TransactionId) -> Index {
        *self.by_id.entry(id).or_insert_with(|| {
            let time = Uuid::try_parse(id.write_to(&mut [0; 36]))
                .ok()
                .and_then(|uuid| uuid.get_timestamp())
                .map_or(0, |time| time.to_gregorian().0);
            self.transactions.push(Transaction {
                id,
                time,
                meta: None,
                state: None,
                given_priority: None,
                listed_priority: None,
            });
            last_index(&self.transactions)
        })
    }

    /// Every transaction; each one's index is its place.
    pub(super) fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    pub(super) fn transaction(&self, index: Index) -> &Transaction {
        // Indexes come from `find_or_add`.
        &self.transactions[index as usize]
    }

    pub(super) fn transaction_mut(&mut self, index: Index) -> &mut Transaction {
        // Indexes come from `find_or_add`.
        &mut self.transactions[index as usize]
    }

    /// The queue of that name, and whether it is new.
    pub(super) fn queue(&mut self, name: QueueName) -> (QueueIndex, bool) {
        if let Some(&known) = self.by_name.get(&name) {
            return (known, false);
        }
        self.queues.push(name.clone());
        let index = last_index(&self.queues);
        self.by_name.insert(name, index);
        (index, true)
    }

    /// Every queue that has been seen; each one's index is its place.
    pub(super) fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// A list of a queue with those who wait in it, the first one first.
    pub(super) fn add_list(&mut self, queue: QueueIndex, priority: Priority, entries: Vec<Index>) {
        for &index in &entries {
            let listed = &mut self.transaction_mut(index).listed_priority;
            *listed = Some(listed.map_or(priority, |known| known.min(priority)));
        }
        self.lists.push(List {
            queue,
            priority,
            entries,
        });
    }

    /// A message was out with a consumer.
    pub(super) fn add_blocked(&mut self, queue: QueueIndex, index: Index) {
        self.blocked.push((queue, index));
    }

    /// Which queues hold which transactions, as far as lists say.
    pub(super) fn holders(&mut self) -> Holders {
        self.lists.sort_by_key(|list| list.queue);
        let lists = self.lists.iter();
        Holders {
            queues: lists.clone().map(|list| list.queue).collect(),
            places: Places::of(lists.map(|list| &list.entries[..]), self.transactions.len()),
        }
    }

    /// Who waits in which line: those in the lists, and in front of them those that were out. A transaction without
    /// fields waits nowhere, and a message is in one line once.
    pub(super) fn waiting(&mut self, report: &mut Report) -> Waiting {
        let mut by_queue: BTreeMap<QueueIndex, (Vec<List>, Vec<Index>)> = BTreeMap::new();
        for list in std::mem::take(&mut self.lists) {
            by_queue.entry(list.queue).or_default().0.push(list);
        }
        for (queue, index) in std::mem::take(&mut self.blocked) {
            by_queue.entry(queue).or_default().1.push(index);
        }
        let (mut lines, mut queues) = (Vec::new(), Vec::new());
        let mut without_priority = BTreeSet::new();
        // For each transaction the last queue that was seen to hold it.
        let mut held_by = vec![QueueIndex::MAX; self.transactions.len()];
        let mut is_new =
            |queue, index: Index| std::mem::replace(&mut held_by[index as usize], queue) != queue;
        for (queue, (mut lists, mut blocked)) in by_queue {
            // What is in two lists is delivered by that of high priority.
            lists.sort_by_key(|list| list.priority);
            for list in &mut lists {
                list.entries.retain(|&index| {
                    let is_kept = is_new(queue, index);
                    if !is_kept {
                        report.leave_named(Left::RepeatedEntry, self.transaction(index).id);
                    }
                    is_kept && self.has_fields(index)
                });
            }
            blocked.retain(|&index| is_new(queue, index) && self.has_fields(index));
            let nowhere = |it: &Index| self.transaction(*it).priority().is_none();
            without_priority.extend(blocked.iter().copied().filter(nowhere));
            let added = self.lines(&lists, &blocked);
            queues.extend(added.iter().map(|_| self.queues[queue as usize].clone()));
            lines.extend(added);
        }
        let places = Places::of(
            lines.iter().map(|line| &line.entries[..]),
            self.transactions.len(),
        );
        let waiting = Waiting {
            lines,
            places,
            queues,
        };
        self.count_left(&waiting, &without_priority, report);
        waiting
    }

    /// The lines of one queue: its lists, each with those in front that were out.
    fn lines(&self, lists: &[List], blocked: &[Index]) -> Vec<Line> {
        let mut lines = Vec::new();
        for priority in [Priority::High, Priority::Low] {
            let out = blocked.iter().copied();
            let out: Vec<Index> = out
                .filter(|&index| self.transaction(index).priority() == Some(priority))
                .collect();
            // Several of one queue, from several servers, know nothing of each other.
            let of_priority = lists.iter().filter(|list| list.priority == priority);
            let mut entries: Vec<_> = of_priority.map(|list| &list.entries[..]).collect();
            if entries.is_empty() && !out.is_empty() {
                entries.push(&[]);
            }
            lines.extend(entries.into_iter().map(|entries| Line {
                unordered: out.len(),
                entries: out.iter().chain(entries).copied().collect(),
            }));
        }
        lines
    }

    fn has_fields(&self, index: Index) -> bool {
        self.transaction(index).meta.is_some()
    }

    /// Counts the transactions that wait nowhere.
    fn count_left(
        &self,
        waiting: &Waiting,
        without_priority: &BTreeSet<Index>,
        report: &mut Report,
    ) {
        for (index, transaction) in (0..).zip(&self.transactions) {
            let id = transaction.id;
            if transaction.meta.is_none() {
                report.leave_named(Left::Gone, id);
            } else if without_priority.contains(&index) {
                report.leave_named(Left::BrokenFields, format_args!("{id}: priority"));
            } else if waiting.places.of_transaction(index).is_empty() {
                report.leave_named(Left::Done, id);
            }
        }
    }
}

impl Waiting {
    /// Where a transaction is still to be delivered.
    pub(super) fn queues_of(&self, index: Index) -> Vec<QueueName> {
        let places = self.places.of_transaction(index).iter();
        let mut names: Vec<_> = places
            .map(|&line| self.queues[line as usize].clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Redis itself keeps fewer than 2^32 keys in a database.
fn last_index<T>(list: &[T]) -> u32 {
    u32::try_from(list.len().saturating_sub(1)).unwrap_or(u32::MAX)
}
