//! Which answer of another thread is for whom: verdicts on logins, and what is read back from history.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use tokio::task::AbortHandle;

use crate::runtime::Bell;

/// The questions of a worker that are open, at most one of a kind for each connection.
pub(super) struct Questions<T> {
    entries: RefCell<HashMap<u64, Entry<T>>>,
    next: Cell<u64>,
}

struct Entry<T> {
    bell: Rc<Bell>,
    answer: Option<T>,
}

/// An open question; dropped, nobody waits for its answer any more.
pub(super) struct Question<T> {
    questions: Rc<Questions<T>>,
    number: u64,
    /// What is done for it elsewhere, and can be stopped.
    work: Option<AbortHandle>,
}

impl<T> Questions<T> {
    /// Opens a question, whose bell rings when the answer is here.
    pub(super) fn open(self: &Rc<Self>, bell: &Rc<Bell>) -> Question<T> {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let entry = Entry {
            bell: Rc::clone(bell),
            answer: None,
        };
        self.entries.borrow_mut().insert(number, entry);
        Question {
            questions: Rc::clone(self),
            number,
            work: None,
        }
    }

    /// Brings an answer to who waits for it, if anybody does.
    pub(super) fn receive(&self, number: u64, answer: T) {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get_mut(&number) {
            entry.answer = Some(answer);
            let bell = Rc::clone(&entry.bell);
            drop(entries);
            bell.ring();
        }
    }
}

impl<T> Default for Questions<T> {
    fn default() -> Self {
        Self {
            entries: RefCell::default(),
            next: Cell::default(),
        }
    }
}

impl<T> Question<T> {
    /// By what its answer is known.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Stops that work when nobody waits for the answer any more.
    pub(super) fn answered_by(&mut self, work: Option<AbortHandle>) {
        self.work = work;
    }

    /// The answer, if it has come; it can be taken once.
    pub(super) fn take_answer(&mut self) -> Option<T> {
        let mut entries = self.questions.entries.borrow_mut();
        entries.get_mut(&self.number)?.answer.take()
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.abort();
        }
        self.questions.entries.borrow_mut().remove(&self.number);
    }
}
