//! The time of day as a server has it.

use std::{cell::Cell, rc::Rc, time::Duration};

use redis_protocol::resp3::types::BytesFrame;

use super::connection::{into_bytes, into_list};
use crate::{
    mailbox::UnixMillis,
    runtime::{Tick, Timers},
    store::time_of_day,
};

/// What a server's clock shows, as far as can be told from here: every decision about time is the server's, and this
/// is to guess it.
pub(super) struct Clock {
    timers: Rc<Timers>,
    /// A time of the server's, and when it was so.
    seen: Cell<(UnixMillis, Tick)>,
    /// A time that tests have set in the place of the server's.
    #[cfg(test)]
    fixed: Cell<Option<UnixMillis>>,
}

impl Clock {
    pub(super) fn new(timers: Rc<Timers>) -> Self {
        let now = timers.now();
        Self {
            timers,
            // Until the server tells, this machine's: nearer to the truth than the beginning of time.
            seen: Cell::new((time_of_day(), now)),
            #[cfg(test)]
            fixed: Cell::new(None),
        }
    }

    /// The server has said that it is `time`, to a question asked at `asked`.
    pub(super) fn set(&self, time: UnixMillis, asked: Tick) {
        self.seen.set((time, asked));
    }

    pub(super) fn now(&self) -> UnixMillis {
        #[cfg(test)]
        if let Some(fixed) = self.fixed.get() {
            return fixed;
        }
        let (time, asked) = self.seen.get();
        time.plus(self.timers.now().since(asked))
    }

    /// The time of this thread, to be given back to [`Clock::set`].
    pub(super) fn tick(&self) -> Tick {
        self.timers.now()
    }

    /// The time as functions take it: 0 lets the server use its own clock.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests set the time"))]
    pub(super) fn for_functions(&self) -> u64 {
        #[cfg(test)]
        if let Some(fixed) = self.fixed.get() {
            return fixed.0;
        }
        0
    }

    /// Makes it this time for everybody.
    #[cfg(test)]
    pub(super) fn fix(&self, time: UnixMillis) {
        self.fixed.set(Some(time));
    }

    /// How long until the server's clock shows this time.
    pub(super) fn until(&self, time: UnixMillis) -> Duration {
        Duration::from_millis(time.0.saturating_sub(self.now().0))
    }
}

/// The answer to TIME: seconds and microseconds.
pub(super) fn from_time_reply(frame: BytesFrame) -> Option<UnixMillis> {
    let mut parts = into_list(frame).ok()?.into_iter().map(|part| {
        let text = into_bytes(part).ok().flatten()?;
        std::str::from_utf8(&text).ok()?.parse::<u64>().ok()
    });
    let (seconds, micros) = (parts.next()??, parts.next()??);
    Some(UnixMillis(
        seconds.checked_mul(1000)?.checked_add(micros / 1000)?,
    ))
}
