//! Which reply is for whom: every operation under way on a worker, and what becomes of its reply when the client that
//! asked is gone.

use std::{cell::RefCell, mem, rc::Rc};

use slab::Slab;

use crate::{
    mailbox::{Op, QueueName, Refusal, Reply, Return, Ticket},
    memory::Charge,
    runtime::Bell,
    store::{Delivery, Store},
};

pub(super) struct Desk {
    worker: u16,
    store: Box<dyn Store>,
    entries: RefCell<Slab<Entry>>,
    next_serial: std::cell::Cell<u32>,
}

struct Entry {
    serial: u32,
    stage: Stage,
    /// The request's body, which the store may hold until it replies, whether or not the client is still there.
    body: Option<Charge>,
}

enum Stage {
    /// Somebody waits for the reply.
    Awaited(Rc<Bell>),
    /// The reply is here. Most entries wait for long, so they had better be small.
    Arrived(Box<Arrival>),
    /// Nobody waits any more; a hand-out goes back to this queue.
    Abandoned { queue: Option<QueueName> },
}

/// A reply, with what its contents take.
pub(super) struct Arrival {
    pub(super) reply: Reply,
    pub(super) contents: Option<Charge>,
}

impl Desk {
    pub(super) fn new(worker: u16, store: Box<dyn Store>) -> Self {
        let entries = RefCell::new(Slab::new());
        Self {
            worker,
            store,
            entries,
            next_serial: std::cell::Cell::new(0),
        }
    }

    /// Submits an operation, with the body it is made of if that is to be accounted for; the bell rings when its reply
    /// is here.
    pub(super) fn ask(
        self: &Rc<Self>,
        op: Op,
        body: Option<Charge>,
        bell: &Rc<Bell>,
    ) -> Result<Errand, Refusal> {
        let (queue, is_waiting) = match &op {
            Op::Pop(pop) => (Some(pop.queue.clone()), pop.wait),
            _ => (None, false),
        };
        // Never 0, which is nobody's.
        let serial = self.next_serial.get().checked_add(1).unwrap_or(1);
        self.next_serial.set(serial);
        let entry = Entry {
            serial,
            stage: Stage::Awaited(Rc::clone(bell)),
            body,
        };
        let key = self.entries.borrow_mut().insert(entry);
        // The connections of a worker, times the requests that each may have under way, stay below 2^32.
        let number = u64::from(serial) << 32 | (key as u64 & u64::from(u32::MAX));
        let ticket = Ticket {
            worker: self.worker,
            number,
        };
        match self.store.submit(ticket, op) {
            Ok(()) => Ok(Errand {
                desk: Rc::clone(self),
                ticket,
                queue,
                is_waiting,
            }),
            Err(refusal) => {
                self.entries.borrow_mut().remove(key);
                Err(refusal)
            }
        }
    }

    /// Brings a reply to who waits for it.
    pub(super) fn receive(&self, delivery: Delivery) {
        let Some(key) = self.key(delivery.number) else {
            return;
        };
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(key) else {
            return;
        };
        entry.body = None;
        let arrival = Arrival {
            reply: delivery.reply,
            contents: delivery.contents,
        };
        match mem::replace(&mut entry.stage, Stage::Arrived(Box::new(arrival))) {
            Stage::Awaited(bell) => {
                drop(entries);
                bell.ring();
            }
            Stage::Abandoned { queue } => {
                let entry = entries.remove(key);
                drop(entries);
                if let (Some(queue), Stage::Arrived(arrival)) = (queue, entry.stage) {
                    self.give_back(queue, arrival.reply);
                }
            }
            // An operation has one reply.
            Stage::Arrived(_) => debug_assert!(false, "a second reply"),
        }
    }

    /// The entry of a ticket that is still the ticket's.
    fn key(&self, number: u64) -> Option<usize> {
        let key = usize::try_from(number & u64::from(u32::MAX)).ok()?;
        let serial = u32::try_from(number >> 32).ok()?;
        self.entries
            .borrow()
            .get(key)
            .filter(|entry| entry.serial == serial)
            .map(|_| key)
    }

    fn give_back(&self, queue: QueueName, reply: Reply) {
        if let Reply::Messages(handout) = reply
            && !handout.messages.is_empty()
        {
            let transactions = handout.messages.iter().map(|message| message.id).collect();
            self.follow_up(Op::Release {
                queue,
                lease: handout.lease,
                transactions,
                reason: Return::Unsent,
            });
        }
    }

    /// Whether the store has finished what this worker asked for, and every reply was seen to: one that nobody waits
    /// for may have messages to be given back.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.borrow().is_empty() && self.store.is_idle()
    }

    /// For operations whose reply nobody needs.
    pub(super) fn follow_up(&self, op: Op) {
        self.store.follow_up(
            Ticket {
                worker: self.worker,
                number: NOBODY,
            },
            op,
        );
    }
}

/// A ticket number that no entry has: serials begin at 1, and begin there again.
const NOBODY: u64 = 0;

/// An operation under way. Dropped before its reply was taken, it sees to it that nothing stays behind: a waiting pop
/// is cancelled, and messages that were handed out meanwhile go back to their places.
pub(super) struct Errand {
    desk: Rc<Desk>,
    ticket: Ticket,
    /// Where messages come from, if the operation hands out any.
    queue: Option<QueueName>,
    /// Whether the store waits on our behalf, as far as we know.
    is_waiting: bool,
}

impl Errand {
    /// The reply, if it has come; it can be taken once.
    pub(super) fn take_reply(&mut self) -> Option<Arrival> {
        let key = self.desk.key(self.ticket.number)?;
        let mut entries = self.desk.entries.borrow_mut();
        if !matches!(entries.get(key)?.stage, Stage::Arrived(_)) {
            return None;
        }
        match entries.remove(key).stage {
            Stage::Arrived(arrival) => Some(*arrival),
            Stage::Awaited(_) | Stage::Abandoned { .. } => None,
        }
    }

    /// Ends a wait; the reply comes all the same, with messages or without.
    pub(super) fn stop_waiting(&mut self) {
        if mem::replace(&mut self.is_waiting, false)
            && let Some(queue) = self.queue.clone()
        {
            self.desk.follow_up(Op::CancelPop {
                queue,
                ticket: self.ticket,
            });
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let Some(key) = self.desk.key(self.ticket.number) else {
            return;
        };
        let mut entries = self.desk.entries.borrow_mut();
        let Some(entry) = entries.get_mut(key) else {
            return;
        };
        let abandoned = Stage::Abandoned {
            queue: self.queue.clone(),
        };
        if let Stage::Arrived(arrival) = mem::replace(&mut entry.stage, abandoned) {
            entries.remove(key);
            drop(entries);
            if let Some(queue) = self.queue.take() {
                self.desk.give_back(queue, arrival.reply);
            }
        } else {
            drop(entries);
            self.stop_waiting();
        }
    }
}
