//! How long everything took.

use crate::{agenda::Lateness, latencies::Latencies};

/// What a thread measured, or all of them.
#[derive(Debug)]
pub(crate) struct Measures {
    /// From when a push was due to when its waiter had it.
    pub(crate) pops: Latencies,
    /// The same for borrowers.
    pub(crate) loans: Latencies,
    /// The same for streams.
    pub(crate) streams: Latencies,
    /// From when a push to several queues was due to when the last of them had been delivered.
    pub(crate) lasts: Latencies,
    /// From a push to its answer.
    pub(crate) pushes: Latencies,
    /// From an ack to its answer.
    pub(crate) acks: Latencies,
    /// From when a look at a queue was due to its answer.
    pub(crate) inspections: Latencies,
    /// How late pushes were begun.
    pub(crate) lateness: Lateness,
}

impl Measures {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            pops: Latencies::new(),
            loans: Latencies::new(),
            streams: Latencies::new(),
            lasts: Latencies::new(),
            pushes: Latencies::new(),
            acks: Latencies::new(),
            inspections: Latencies::new(),
            lateness: Lateness::new(),
        }
    }

    /// Those of another thread, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.pops.add(&other.pops);
        self.loans.add(&other.loans);
        self.streams.add(&other.streams);
        self.lasts.add(&other.lasts);
        self.pushes.add(&other.pushes);
        self.acks.add(&other.acks);
        self.inspections.add(&other.inspections);
        self.lateness.add(&other.lateness);
    }

    /// How many messages were delivered, to whomever.
    pub(crate) fn deliveries(&self) -> u64 {
        self.pops.count() + self.loans.count() + self.streams.count()
    }
}
