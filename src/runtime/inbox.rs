//! Where what other threads have to say reaches a thread.

use std::{
    io, mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

/// A worker's inbox: replies in a list, and an event counter that the worker can wait on.
///
/// It holds at most one reply for each thing that the worker has asked for, which is what bounds it.
#[derive(Debug)]
pub struct Inbox<T> {
    replies: Mutex<Vec<T>>,
    /// Set by the worker before it goes to wait; whoever takes it has to wake the worker. So a busy worker costs
    /// nobody a system call.
    armed: AtomicBool,
    event: OwnedFd,
}

impl<T> Inbox<T> {
    /// An empty inbox; fails only where the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            replies: Mutex::new(Vec::new()),
            armed: AtomicBool::new(true),
            event,
        })
    }

    /// Takes over all of `replies` and wakes the worker if it waits.
    pub fn deliver(&self, replies: &mut Vec<T>) {
        if !replies.is_empty() {
            // A list of replies is whole at every step, so a poisoned lock guards nothing broken.
            self.replies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(replies);
            self.wake();
        }
    }

    /// Wakes the worker if it waits.
    pub fn wake(&self) {
        if self.armed.swap(false, Ordering::SeqCst) {
            // The counter cannot overflow: it is read before it is armed again.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// For the worker, once it was woken and before it looks: from here on it is woken again. A reply that comes
    /// between this and the look is seen and wakes once in vain.
    pub fn arm(&self) {
        let mut count = [0; 8];
        // Nothing to read is fine: then nobody had woken us.
        let _ = rustix::io::read(&self.event, &mut count);
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Swaps the replies that came with `empty`.
    pub fn take(&self, empty: &mut Vec<T>) {
        mem::swap(
            &mut *self.replies.lock().unwrap_or_else(PoisonError::into_inner),
            empty,
        );
    }
}

impl<T> AsFd for Inbox<T> {
    /// Readable when the worker is to look into the inbox.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
