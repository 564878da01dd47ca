//! What a thread's tasks wait on: readiness of sockets and other descriptors, deadlines, and each other.
//!
//! A thin layer over the asynchronous runtime: the parts that clients' and stores' connections share. A task waits for
//! readiness and then reads or writes without waiting; it never leaves a read or write with the kernel.

mod bell;
mod socket;
mod timers;
mod watch;

pub use bell::Bell;
pub use socket::{Socket, is_temporary};
pub use timers::{Alarm, Tick, Timers};
pub use watch::Watch;

/// Runs a task on this thread, beside the others.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    monoio::spawn(task);
}
