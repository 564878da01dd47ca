//! What has happened so far, counted by all threads.

use std::{
    ops::{Add, Sub},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{exchange::Answer, refusals::Refusals};

macro_rules! tally {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Counters that every thread adds to, and the first thread reads.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $($(#[$doc])+ pub(crate) $name: Counter,)+
            /// The requests that the server refused, by status.
            pub(crate) refusals: Refusals,
        }

        /// What the counters were at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counts {
            $($(#[$doc])+ pub(crate) $name: u64,)+
        }

        impl Tally {
            /// The server did not do what was asked.
            pub(crate) fn refuse(&self, answer: &Answer<'_>) {
                self.refused.count();
                let status = match answer {
                    Answer::Refused(refusal) => refusal.status,
                    _ => None,
                };
                self.refusals.count(status);
            }

            /// What the counters are now.
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.get(),)+ }
            }
        }

        impl Add for Counts {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($name: self.$name.saturating_add(other.$name),)+ }
            }
        }

        impl Sub for Counts {
            type Output = Self;

            fn sub(self, earlier: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)+ }
            }
        }
    };
}

tally! {
    /// Pushes that the server says it has stored.
    pushed,
    /// Pushes of which nobody knows: their connection is gone.
    unknown,
    /// Messages of this run that have arrived; of `pop`, all messages.
    received,
    /// Messages that are not of this run, or not of the queue they came from.
    foreign,
    /// Answers without a message.
    empty,
    /// Messages whose ack was answered by an error.
    unacked,
    /// Requests that the server refused.
    refused,
    /// Connections that were closed or broke, or could not be opened anew; each is tried again.
    dropped,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
