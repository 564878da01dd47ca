//! Takes operations and gives replies.
//!
//! A worker submits an [`Op`] under a [`Ticket`] and goes on; the [`Reply`] comes into the worker's [`Inbox`] when the
//! store is ready to stand by it. What the operations mean is the [engine](crate::mailbox::engine)'s to say.

pub mod embedded;
mod inbox;

pub use inbox::Inbox;

use crate::{
    mailbox::{Op, Refusal, Reply, Ticket},
    memory::Charge,
};

/// A worker's way to a store.
pub trait Store {
    /// Asks for an operation. The reply comes through the inbox; a store with more work than it may hold refuses
    /// here and now, and then nothing happens and no reply comes.
    fn submit(&self, ticket: Ticket, op: Op) -> Result<(), Refusal>;

    /// Asks for something that ends what an earlier operation began ([`Op::Settle`], [`Op::Release`],
    /// [`Op::CancelPop`]). It is never refused: there are no more of these than there were submissions.
    fn follow_up(&self, ticket: Ticket, op: Op);
}

/// A reply on its way to who asked.
#[derive(Debug)]
pub struct Delivery {
    /// The number of the ticket that it is for.
    pub number: u64,
    /// The reply.
    pub reply: Reply,
    /// What its contents take; to be kept as long as they are.
    pub contents: Option<Charge>,
}
