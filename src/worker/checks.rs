//! Which verdict on a login is for whom.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
};

use crate::{
    auth::{Asker, Outcome, Verdict},
    runtime::Bell,
};

/// The checks of a worker that are under way, at most one for each connection.
#[derive(Default)]
pub(super) struct Checks {
    entries: RefCell<HashMap<u64, Entry>>,
    next: Cell<u64>,
}

struct Entry {
    bell: Rc<Bell>,
    outcome: Option<Outcome>,
}

/// A check under way; dropped, nobody waits for its verdict any more.
pub(super) struct Check {
    checks: Rc<Checks>,
    number: u64,
}

impl Checks {
    /// Begins a check, whose bell rings when the verdict is here.
    pub(super) fn begin(self: &Rc<Self>, bell: &Rc<Bell>) -> Check {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let entry = Entry {
            bell: Rc::clone(bell),
            outcome: None,
        };
        self.entries.borrow_mut().insert(number, entry);
        Check {
            checks: Rc::clone(self),
            number,
        }
    }

    /// Brings a verdict to who waits for it, if anybody does.
    pub(super) fn receive(&self, verdict: Verdict) {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get_mut(&verdict.number) {
            entry.outcome = Some(verdict.outcome);
            let bell = Rc::clone(&entry.bell);
            drop(entries);
            bell.ring();
        }
    }
}

impl Check {
    /// By whom the verdict is asked for.
    pub(super) fn asker(&self, worker: u16, address: IpAddr) -> Asker {
        Asker {
            worker,
            number: self.number,
            address,
        }
    }

    /// The verdict, if it has come; it can be taken once.
    pub(super) fn take_outcome(&mut self) -> Option<Outcome> {
        let mut entries = self.checks.entries.borrow_mut();
        entries.get_mut(&self.number)?.outcome.take()
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.checks.entries.borrow_mut().remove(&self.number);
    }
}
