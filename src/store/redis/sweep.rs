//! Looking after the servers: what fell due is done, whoever began it, and this worker says that it is there.
//!
//! Every worker of every agent does so, each at its own times. One that knows of something that falls due looks then.

use std::{cell::Cell, rc::Rc, time::Duration};

use tracing::warn;

use super::{
    client::Client,
    clock::Clock,
    connection::{Fault, jittered},
};
use crate::{
    mailbox::{TransactionId, UnixMillis},
    runtime::{self, Alarm, Bell, Tick, Timers},
};

/// A worker that has not said for so many sweeps, or so long, that it is there is gone.
const LIFE_SWEEPS: u32 = 5;
const LIFE_MIN: Duration = Duration::from_secs(10);

/// Sweeps of one server are at least so far apart: each does all there is.
const INTERVAL_MIN: Duration = Duration::from_millis(5);

/// A trouble that lasts is told this often.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// When a server is looked at next.
pub(super) struct Rounds {
    timers: Rc<Timers>,
    clock: Rc<Clock>,
    bell: Rc<Bell>,
    next: Cell<Option<Tick>>,
    /// When it was last told that looking fails.
    told: Cell<Option<Tick>>,
}

impl Rounds {
    pub(super) fn new(timers: &Rc<Timers>, clock: &Rc<Clock>) -> Self {
        Self {
            timers: Rc::clone(timers),
            clock: Rc::clone(clock),
            bell: Rc::default(),
            next: Cell::default(),
            told: Cell::default(),
        }
    }

    /// Something falls due then, by the server's clock.
    pub(super) fn look_at(&self, time: UnixMillis) {
        // A millisecond more, so that it has passed.
        let left = self.clock.until(time) + Duration::from_millis(1);
        self.look_by(self.timers.now().plus(left));
    }

    fn look_by(&self, tick: Tick) {
        if self.next.get().is_none_or(|next| tick < next) {
            self.next.set(Some(tick));
            self.bell.ring();
        }
    }

    /// Tells of a look that failed, now and then. What is the matter with a connection is told by the connection.
    fn note(&self, fault: Option<&Fault>) {
        let now = self.timers.now();
        let is_time = |told: Tick| now.since(told) >= TOLD_EVERY;
        if let Some(fault) = fault.filter(|fault| !fault.is_of_connection())
            && self.told.get().is_none_or(is_time)
        {
            self.told.set(Some(now));
            warn!(%fault, "what fell due on a Redis server cannot be done; trying again");
        }
    }

    /// Waits for the next look, which is at most an interval away.
    async fn pass(&self, interval: Duration) {
        self.look_by(self.timers.now().plus(jittered(interval)));
        self.timers.sleep(INTERVAL_MIN).await;
        let mut alarm = Alarm::default();
        while let Some(next) = self.next.get().filter(|&next| self.timers.now() < next) {
            self.timers.ring_by(&mut alarm, next, &self.bell);
            self.bell.rung().await;
            self.timers.note_ring(&mut alarm);
        }
        self.timers.clear(&mut alarm);
        self.next.set(None);
    }
}

impl Client {
    /// Starts to look after every server.
    pub(super) fn look_after(self: &Rc<Self>) {
        for server in 0..self.shards.len() {
            let this = Rc::clone(self);
            runtime::spawn(async move {
                loop {
                    if let Some(shard) = this.shards.get(server) {
                        shard.rounds.pass(this.limits.sweep_interval).await;
                    }
                    this.sweep_shard(server).await;
                }
            });
        }
        for server in 0..self.records.len() {
            let this = Rc::clone(self);
            runtime::spawn(async move {
                loop {
                    if let Some(records) = this.records.get(server) {
                        records.rounds.pass(this.limits.sweep_interval).await;
                    }
                    this.claim_delayed(server).await;
                }
            });
        }
    }

    /// Does what fell due on a server of queues. The request is given to the server at once; to wait for its answer is
    /// the task that comes with it.
    pub(super) fn sweep_shard(self: &Rc<Self>, server: usize) -> impl Future<Output = ()> + use<> {
        let life = (self.limits.sweep_interval * LIFE_SWEEPS).max(LIFE_MIN);
        let asked = self.shards.get(server).map(|shard| {
            let is_first = !shard.has_swept.replace(true);
            (
                Rc::clone(shard),
                is_first,
                shard.sweep(&shard.worker(), life),
            )
        });
        async move {
            let Some((shard, is_first, swept)) = asked else {
                return;
            };
            let swept = swept.await;
            shard.rounds.note(swept.as_ref().err());
            if let Ok(swept) = swept {
                if !is_first && !swept.was_known {
                    // The server was emptied, or this worker was silent for too long: its waiters may be nobody's.
                    shard.connection.condemn("it has forgotten us");
                }
                if let Some(next) = swept.next {
                    shard.rounds.look_at(next);
                }
            }
        }
    }

    /// Puts what is no longer held back on a server of transactions into its queues.
    pub(super) async fn claim_delayed(self: &Rc<Self>, server: usize) {
        let Some(records) = self.records.get(server) else {
            return;
        };
        let claimed = records.claim().await;
        records.rounds.note(claimed.as_ref().err());
        if let Ok(claimed) = claimed {
            let fault = self.deliver_delayed(records, claimed.members).await;
            records.rounds.note(fault.as_ref());
            if let Some(next) = claimed.next {
                records.rounds.look_at(next);
            }
        }
    }

    /// A push of ours is due then.
    pub(super) fn look_for_delayed(&self, id: TransactionId, due: UnixMillis) {
        self.records_of(id).rounds.look_at(due);
    }
}
