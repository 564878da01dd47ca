//! A thread pool of its own for what may take long and must hold up no worker: history and callbacks.

mod event;

pub use event::{Action, Event, Messages, NewStates};
