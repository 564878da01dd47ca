//! The latencies since somebody last looked.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::latencies::Latencies;

/// One thread adds to it, and the first thread takes them out while the run goes on.
#[derive(Clone, Debug)]
pub(crate) struct Recent(Arc<Mutex<Latencies>>);

impl Recent {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Latencies::new())))
    }

    /// One more.
    pub(crate) fn record(&self, duration: Duration) {
        self.with(|latencies| latencies.record(duration));
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> Latencies {
        let fresh = Latencies::new();
        self.with(|latencies| mem::replace(latencies, fresh))
    }

    fn with<T>(&self, what: impl FnOnce(&mut Latencies) -> T) -> T {
        // Whoever panicked while it held the lock has at most not recorded something.
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_does_not_come_again() {
        let recent = Recent::new();
        recent.clone().record(Duration::from_millis(1));
        assert_eq!(recent.take().count(), 1);
        assert_eq!(recent.take().count(), 0);
    }
}
