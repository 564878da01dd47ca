//! Deadlines of a thread: one kernel timer for all of them, so that a waiting connection costs an entry in a tree.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::{Bell, Watch};

/// A time of this thread in milliseconds since it started; unlike the time of day it never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// How long ago `earlier` was.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// A connection's place among the deadlines; at most one for each connection.
#[derive(Default)]
pub struct Alarm(Option<(Tick, u64)>);

/// An alarm of a sleep, which may be dropped before it is over.
struct Set<'timers> {
    timers: &'timers Timers,
    alarm: Alarm,
}

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.timers.clear(&mut self.alarm);
    }
}

/// The deadlines of one thread.
pub struct Timers {
    started: Instant,
    alarms: RefCell<BTreeMap<(Tick, u64), Rc<Bell>>>,
    next_serial: Cell<u64>,
    timer: OwnedFd,
    /// What the kernel timer is set to.
    set_to: Cell<Option<Tick>>,
}

impl Timers {
    /// No deadlines yet; fails only where the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            started: Instant::now(),
            alarms: RefCell::default(),
            next_serial: Cell::new(0),
            timer: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            set_to: Cell::new(None),
        })
    }

    /// The time of this thread.
    pub fn now(&self) -> Tick {
        // A u64 of milliseconds lasts longer than any process.
        Tick(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Makes sure that `bell` rings at `deadline` or before. A deadline that moves back keeps its earlier alarm, so
    /// a busy connection whose deadline moves on with each request touches the tree once in a long while.
    pub fn ring_by(&self, alarm: &mut Alarm, deadline: Tick, bell: &Rc<Bell>) {
        if alarm.0.is_some_and(|(at, _)| at <= deadline) {
            return;
        }
        self.clear(alarm);
        let key = (deadline, self.next_serial.get());
        self.next_serial.set(key.1 + 1);
        self.alarms.borrow_mut().insert(key, Rc::clone(bell));
        alarm.0 = Some(key);
        if self.set_to.get().is_none_or(|at| deadline < at) {
            self.set_kernel_timer(deadline);
        }
    }

    /// To be called when the bell rang: an alarm that went off is no longer set.
    pub fn note_ring(&self, alarm: &mut Alarm) {
        if alarm
            .0
            .is_some_and(|key| !self.alarms.borrow().contains_key(&key))
        {
            alarm.0 = None;
        }
    }

    /// Takes an alarm back.
    pub fn clear(&self, alarm: &mut Alarm) {
        if let Some(key) = alarm.0.take() {
            self.alarms.borrow_mut().remove(&key);
        }
    }

    /// Waits on its own account, for tasks that are no connections.
    pub async fn sleep(&self, duration: Duration) {
        let bell = Rc::new(Bell::default());
        let mut set = Set {
            timers: self,
            alarm: Alarm::default(),
        };
        self.ring_by(&mut set.alarm, self.now().plus(duration), &bell);
        bell.rung().await;
    }

    /// Rings what falls due, for ever. A task of its own.
    pub async fn run(&self) -> io::Result<()> {
        let watch = Watch::new(self.timer.try_clone()?)?;
        loop {
            watch.readable().await?;
            let mut expirations = [0; 8];
            // Nothing to read is fine: the timer was set anew meanwhile.
            let _ = rustix::io::read(&self.timer, &mut expirations);
            self.ring_due();
        }
    }

    fn ring_due(&self) {
        let now = self.now();
        self.set_to.set(None);
        loop {
            let mut alarms = self.alarms.borrow_mut();
            let Some(first) = alarms.first_entry() else {
                return;
            };
            let &(deadline, _) = first.key();
            if deadline > now {
                drop(alarms);
                return self.set_kernel_timer(deadline);
            }
            let bell = first.remove();
            drop(alarms);
            bell.ring();
        }
    }

    fn set_kernel_timer(&self, deadline: Tick) {
        let left = Duration::from_millis(deadline.0.saturating_sub(self.now().0));
        // Zero would switch the timer off; what is due now is due in a moment. A tick is rounded down, so a
        // millisecond more makes sure that the deadline has passed when the timer fires.
        let left = left + Duration::from_millis(1);
        let value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        // It fails only for times out of range, which these are not.
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok() {
            self.set_to.set(Some(deadline));
        }
    }
}
