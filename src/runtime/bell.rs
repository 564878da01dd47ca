//! How the other tasks of a thread wake a connection.

use std::{
    cell::Cell,
    task::{Context, Poll, Waker},
};

/// Rung when a reply has come, a deadline has passed or the server drains. It says only that something is to be
/// looked at; the connection looks at everything.
#[derive(Default)]
pub struct Bell {
    rung: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Bell {
    /// Wakes who waits for it; if nobody does, the next who comes.
    pub fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready once for any number of rings.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        if self.rung.replace(false) {
            return Poll::Ready(());
        }
        let waker = self
            .waker
            .take()
            .filter(|waker| waker.will_wake(context.waker()));
        self.waker
            .set(Some(waker.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }

    /// Waits for a ring.
    pub async fn rung(&self) {
        std::future::poll_fn(|context| self.poll_rung(context)).await;
    }
}
