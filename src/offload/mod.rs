//! A thread pool of its own for what may take long and must hold up no worker: history and callbacks.

// Until the pool is here.
#[cfg_attr(not(test), allow(dead_code, unused_imports))]
pub mod callbacks;
mod event;
// Until it is started with the pool.
#[cfg_attr(not(test), allow(dead_code))]
pub mod history;
// Until the intake is here.
#[allow(dead_code, unused_imports)]
mod spool;

pub use event::{Action, Event, Messages, NewStates};
