//! What a thread's tasks wait on: readiness of sockets and other descriptors, deadlines, and each other.
//!
//! A thin layer over the asynchronous runtime: the parts that clients' and stores' connections share. A task waits for
//! readiness and then reads or writes without waiting; it never leaves a read or write with the kernel.

mod bell;
mod inbox;
mod socket;
mod timers;
mod watch;

pub use bell::Bell;
pub use inbox::Inbox;
pub use socket::{Socket, is_temporary, take_rest};
pub use timers::{Alarm, Tick, Timers};
pub use watch::Watch;

use std::io;

use monoio::{LegacyDriver, Runtime, RuntimeBuilder};

/// Runs a task on this thread, beside the others.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    monoio::spawn(task);
}

/// A runtime for a thread that has little to wait for.
pub struct Alone(Runtime<LegacyDriver>);

impl Alone {
    /// A runtime on this thread; fails only where the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        RuntimeBuilder::<LegacyDriver>::new().build().map(Self)
    }

    /// Runs until the task ends. What it has spawned goes on with the next.
    pub fn block_on<T>(&mut self, task: impl Future<Output = T>) -> T {
        self.0.block_on(task)
    }
}
