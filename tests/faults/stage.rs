//! How far a trial is: everybody in it looks here.

use std::sync::atomic::{AtomicU8, Ordering};

/// Load, then what is left is taken, then everybody goes.
#[derive(Default)]
pub(crate) struct Stage(AtomicU8);

const LOAD: u8 = 0;
const DRAIN: u8 = 1;
const OVER: u8 = 2;

impl Stage {
    pub(crate) fn is_load(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LOAD
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OVER
    }

    /// Nothing more is pushed.
    pub(crate) fn drain(&self) {
        self.0.store(DRAIN, Ordering::Relaxed);
    }

    /// Nobody waits any longer.
    pub(crate) fn end(&self) {
        self.0.store(OVER, Ordering::Relaxed);
    }
}
