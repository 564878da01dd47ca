//! The callbacks in memory: whose turn it is, and how far the spool is dealt with.
//!
//! Pure: it neither posts nor waits, and is told what time it is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::callback::Callback;
use crate::config;
use crate::mailbox::{TransactionId, UnixMillis};
use crate::offload::spool::Position;

/// A callback in the window.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) callback: Callback,
    /// Attempts that failed.
    pub(super) failures: usize,
    /// The number of the entry that it is from.
    entry: u64,
}

/// An entry of the spool with callbacks that are neither through nor given up.
#[derive(Debug)]
struct Unfinished {
    at: UnixMillis,
    /// Where the next entry that is not dealt with begins, or one before it.
    end: Position,
    callbacks: usize,
}

/// A host and port.
#[derive(Debug, Default)]
struct Host {
    posting: usize,
    /// Callbacks that may begin as far as their transactions are concerned.
    ready: VecDeque<Waiting>,
    has_turn: bool,
}

/// Everything that was read from the spool and is not over.
///
/// Of a transaction's callbacks only the first is ready, posted or about to be tried again; those behind it wait in
/// `lines`.
#[derive(Debug)]
pub(super) struct Window {
    waiting_max: usize,
    posting_max: usize,
    posting_per_host_max: usize,
    waiting: usize,
    posting: usize,
    lines: HashMap<TransactionId, VecDeque<Waiting>>,
    hosts: HashMap<Arc<str>, Host>,
    /// The hosts that have something ready and room for it, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// What is to be tried again, by when; with a number, for those of the same moment.
    retries: BTreeMap<(Instant, u64), Waiting>,
    retry_number: u64,
    /// In the order of the spool. As long as the callbacks in memory at most: entries without any are not in it.
    entries: VecDeque<Unfinished>,
    /// The number of the first of them.
    first_entry: u64,
    cursor: Position,
}

impl Window {
    /// An empty one; all of the spool before `cursor` is dealt with.
    pub(super) fn new(settings: &config::Callbacks, cursor: Position) -> Self {
        Self {
            waiting_max: settings.max_waiting,
            posting_max: settings.concurrency,
            posting_per_host_max: settings.per_host,
            waiting: 0,
            posting: 0,
            lines: HashMap::new(),
            hosts: HashMap::new(),
            turns: VecDeque::new(),
            retries: BTreeMap::new(),
            retry_number: 0,
            entries: VecDeque::new(),
            first_entry: 0,
            cursor,
        }
    }

    /// Whether more of the spool should be read.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < self.waiting_max
    }

    /// Takes in an entry of the spool, the one behind the last, which happened `at` a time and ends at `end`.
    pub(super) fn take_in(&mut self, at: UnixMillis, end: Position, callbacks: Vec<Callback>) {
        if callbacks.is_empty() {
            match self.entries.back_mut() {
                Some(last) => last.end = end,
                None => self.cursor = end,
            }
            return;
        }
        let entry = self.first_entry + self.entries.len() as u64;
        self.waiting += callbacks.len();
        self.entries.push_back(Unfinished {
            at,
            end,
            callbacks: callbacks.len(),
        });
        for callback in callbacks {
            let id = callback.transaction;
            let waiting = Waiting {
                callback,
                failures: 0,
                entry,
            };
            if let Some(line) = self.lines.get_mut(&id) {
                line.push_back(waiting);
            } else {
                self.lines.insert(id, VecDeque::new());
                self.make_ready(waiting);
            }
        }
    }

    /// What is to be posted next, if anything is. Then [`finish`](Self::finish) or [`postpone`](Self::postpone) it.
    pub(super) fn next(&mut self, now: Instant) -> Option<Waiting> {
        while let Some(first) = self.retries.first_entry()
            && first.key().0 <= now
        {
            let waiting = first.remove();
            self.make_ready(waiting);
        }
        if self.posting >= self.posting_max {
            return None;
        }
        let name = self.turns.pop_front()?;
        let host = self.hosts.get_mut(&name)?;
        host.has_turn = false;
        let waiting = host.ready.pop_front()?;
        host.posting += 1;
        self.posting += 1;
        self.give_turn(&name);
        Some(waiting)
    }

    /// When something is to be tried again, unless that is now.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.first_key_value().map(|((at, _), _)| *at)
    }

    /// A callback that was posted is over, for better or worse.
    pub(super) fn finish(&mut self, waiting: &Waiting) {
        self.has_posted(waiting);
        self.waiting -= 1;
        let id = waiting.callback.transaction;
        match self.lines.get_mut(&id).and_then(VecDeque::pop_front) {
            Some(next) => self.make_ready(next),
            None => {
                self.lines.remove(&id);
            }
        }
        let index = usize::try_from(waiting.entry - self.first_entry).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.callbacks -= 1;
        }
        while let Some(first) = self.entries.front()
            && first.callbacks == 0
        {
            self.cursor = first.end;
            self.first_entry += 1;
            self.entries.pop_front();
        }
    }

    /// A callback that was posted is to be tried again.
    pub(super) fn postpone(&mut self, waiting: Waiting, until: Instant) {
        self.has_posted(&waiting);
        self.retry_number += 1;
        self.retries.insert((until, self.retry_number), waiting);
    }

    /// All of the spool before this is dealt with.
    pub(super) fn cursor(&self) -> Position {
        self.cursor
    }

    /// Callbacks that are not over.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// When the first event happened that is not dealt with.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.entries.front().map(|entry| entry.at)
    }

    fn make_ready(&mut self, waiting: Waiting) {
        let name = Arc::clone(waiting.callback.target.host());
        let host = self.hosts.entry(Arc::clone(&name)).or_default();
        // What is tried again is older than the others, and holds up the cursor.
        if waiting.failures > 0 {
            host.ready.push_front(waiting);
        } else {
            host.ready.push_back(waiting);
        }
        self.give_turn(&name);
    }

    fn has_posted(&mut self, waiting: &Waiting) {
        self.posting -= 1;
        let name = waiting.callback.target.host();
        if let Some(host) = self.hosts.get_mut(name) {
            host.posting -= 1;
        }
        self.give_turn(name);
    }

    /// Gives a host its turn if it has something to post and none yet; forgets it if it has nothing.
    fn give_turn(&mut self, name: &Arc<str>) {
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        if host.ready.is_empty() {
            if host.posting == 0 {
                self.hosts.remove(name);
            }
        } else if !host.has_turn && host.posting < self.posting_per_host_max {
            host.has_turn = true;
            self.turns.push_back(Arc::clone(name));
        }
    }
}
