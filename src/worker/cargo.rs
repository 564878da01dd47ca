//! What answers carry until their bytes are with the kernel.

use std::{mem, rc::Rc};

use super::desk::Desk;
use crate::{
    mailbox::{Handout, LeaseId, LeaseKind, Op, QueueName, Return, TransactionId},
    memory::Charge,
};

/// What the answers carry that a connection has encoded and not yet written.
#[derive(Default)]
pub(super) struct Load {
    /// Their messages.
    pub(super) cargo: Vec<Cargo>,
    /// What their contents take.
    pub(super) contents: Vec<Charge>,
}

impl Load {
    /// So many bytes of the answers have been sent. Whose they are is not known: of all it may have been a beginning.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        if bytes > 0 {
            for cargo in &mut self.cargo {
                cargo.is_begun = true;
            }
        }
    }
}

/// Messages on their way to a client. Dropped before they are delivered, they go back to their places.
pub(super) struct Cargo {
    desk: Rc<Desk>,
    queue: QueueName,
    lease: LeaseId,
    kind: LeaseKind,
    transactions: Vec<TransactionId>,
    /// Whether the client may have got some of it.
    is_begun: bool,
}

impl Cargo {
    pub(super) fn new(
        desk: &Rc<Desk>,
        queue: QueueName,
        kind: LeaseKind,
        handout: &Handout,
    ) -> Self {
        let transactions = handout.messages.iter().map(|message| message.id).collect();
        Self {
            desk: Rc::clone(desk),
            queue,
            lease: handout.lease,
            kind,
            transactions,
            is_begun: false,
        }
    }

    /// The answer that carries them is written. What is left to do for a reliable hand-out is the consumer's.
    pub(super) fn delivered(mut self) -> (LeaseId, Vec<TransactionId>) {
        let transactions = mem::take(&mut self.transactions);
        if self.kind == LeaseKind::Delivery {
            let (queue, lease) = (self.queue.clone(), self.lease);
            self.desk.settle(queue, lease, transactions);
            return (self.lease, Vec::new());
        }
        (self.lease, transactions)
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        let transactions = mem::take(&mut self.transactions);
        if !transactions.is_empty() {
            let (queue, lease) = (self.queue.clone(), self.lease);
            let reason = if self.is_begun {
                Return::Unfinished
            } else {
                Return::Unsent
            };
            self.desk.follow_up(Op::Release {
                queue,
                lease,
                transactions,
                reason,
            });
        }
    }
}
