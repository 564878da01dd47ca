//! Which reply is for whom: every operation under way on a worker, and what becomes of its reply when the client that
//! asked is gone.

use std::{
    cell::{Cell, RefCell},
    mem,
    rc::Rc,
    time::Duration,
};

use slab::Slab;
use tracing::warn;

use super::witness::{Sight, Witness};
use crate::{
    mailbox::{LeaseId, Op, QueueName, Refusal, Reply, Return, Ticket, TransactionId},
    memory::Charge,
    runtime::{self, Bell, Timers},
    store::{Delivery, Store},
};

/// Messages of which something could not be asked and is asked again later.
const OPEN_MAX: usize = 10_000;

/// How much later.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Desk {
    worker: u16,
    store: Box<dyn Store>,
    timers: Rc<Timers>,
    entries: RefCell<Slab<Entry>>,
    next_serial: Cell<u32>,
    /// Who tells of messages; none: nobody wants to know.
    witness: Option<Witness>,
    /// What could not be asked so far.
    open: RefCell<Vec<Sight>>,
    /// How many messages that is about.
    open_messages: Cell<usize>,
}

struct Entry {
    serial: u32,
    stage: Stage,
    /// What is to be told when the reply comes.
    sight: Option<Box<Sight>>,
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
    pub(super) fn new(
        worker: u16,
        store: Box<dyn Store>,
        timers: Rc<Timers>,
        witness: Option<Witness>,
    ) -> Self {
        Self {
            worker,
            store,
            timers,
            entries: RefCell::new(Slab::new()),
            next_serial: Cell::new(0),
            witness,
            open: RefCell::default(),
            open_messages: Cell::new(0),
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
        let sight = self.witness.as_ref().and_then(|witness| witness.see(&op));
        let entry = Entry {
            serial: self.new_serial(),
            stage: Stage::Awaited(Rc::clone(bell)),
            sight: sight.map(Box::new),
            body,
        };
        let ticket = self.submit(entry, op).map_err(|(refusal, _)| refusal)?;
        Ok(Errand {
            desk: Rc::clone(self),
            ticket,
            queue,
            is_waiting,
        })
    }

    /// Never 0, which is nobody's.
    fn new_serial(&self) -> u32 {
        let serial = self.next_serial.get().checked_add(1).unwrap_or(1);
        self.next_serial.set(serial);
        serial
    }

    fn submit(&self, entry: Entry, op: Op) -> Result<Ticket, (Refusal, Entry)> {
        let serial = entry.serial;
        let key = self.entries.borrow_mut().insert(entry);
        // The connections of a worker, times the requests that each may have under way, stay below 2^32.
        let number = u64::from(serial) << 32 | (key as u64 & u64::from(u32::MAX));
        let ticket = Ticket {
            worker: self.worker,
            number,
        };
        match self.store.submit(ticket, op) {
            Ok(()) => Ok(ticket),
            Err(refusal) => Err((refusal, self.entries.borrow_mut().remove(key))),
        }
    }

    /// What could not be asked so far will not be asked any more.
    pub(super) fn give_up(&self) {
        let messages = self.open_messages.take();
        let open = mem::take(&mut *self.open.borrow_mut());
        if let Some(witness) = &self.witness
            && !open.is_empty()
        {
            warn!(
                messages,
                "the store was out of reach: it is not known where their deliveries are to be told"
            );
            for sight in open {
                witness.give_up(sight);
            }
        }
    }

    /// Brings a reply to who waits for it.
    pub(super) fn receive(self: &Rc<Self>, delivery: Delivery) {
        let Some(key) = self.key(delivery.number) else {
            return;
        };
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(key) else {
            return;
        };
        entry.body = None;
        let open = match (entry.sight.take(), &self.witness) {
            (Some(sight), Some(witness)) => witness.tell(*sight, &delivery.reply),
            _ => None,
        };
        let was_refused = matches!(delivery.reply, Reply::Refused(_));
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
        if let Some(sight) = open {
            if was_refused {
                self.look_later(sight);
            } else {
                self.look_into(sight);
            }
        }
    }

    /// Asks what has to be known before something is told.
    fn look_into(self: &Rc<Self>, sight: Sight) {
        let Some(op) = sight.question() else {
            return;
        };
        let entry = Entry {
            serial: self.new_serial(),
            stage: Stage::Abandoned { queue: None },
            sight: Some(Box::new(sight)),
            body: None,
        };
        if let Err((_, entry)) = self.submit(entry, op)
            && let Some(sight) = entry.sight
        {
            self.look_later(*sight);
        }
    }

    /// The store could not say: asks again after a while.
    fn look_later(self: &Rc<Self>, sight: Sight) {
        let messages = self.open_messages.get() + sight.len();
        if let Some(witness) = &self.witness
            && messages > OPEN_MAX
        {
            witness.give_up(sight);
            return;
        }
        self.open_messages.set(messages);
        let mut open = self.open.borrow_mut();
        open.push(sight);
        if open.len() == 1 {
            let desk = Rc::clone(self);
            runtime::spawn(async move {
                desk.timers.sleep(LOOK_AGAIN).await;
                desk.open_messages.set(0);
                let open = mem::take(&mut *desk.open.borrow_mut());
                for sight in open {
                    desk.look_into(sight);
                }
            });
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

    /// Whether something is to be asked again.
    pub(super) fn is_open(&self) -> bool {
        !self.open.borrow().is_empty()
    }

    /// The answer that carried messages is written, and with that they are delivered.
    pub(super) fn settle(
        self: &Rc<Self>,
        queue: QueueName,
        lease: LeaseId,
        transactions: Vec<TransactionId>,
    ) {
        let witness = self.witness.as_ref();
        let delivered = witness.and_then(|it| it.delivered(queue.clone(), transactions.clone()));
        self.follow_up(Op::Settle {
            queue,
            lease,
            transactions,
        });
        if let Some(sight) = delivered {
            self.look_into(sight);
        }
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
