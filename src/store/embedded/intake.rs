//! Where operations wait for the store's thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::mailbox::{Op, Ticket};

/// How often the thread lets others run, and looks again, before it goes to sleep: who has just been answered may be
/// about to bring more, and a wake costs as much as several operations.
const LOOKS_BEFORE_SLEEP: usize = 4;

/// Room for so many operations is kept when they have been taken.
const KEPT_ROOM: usize = 8192;

/// What the store's thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Do(Ticket, Op),
    Stop,
}

/// It has been closed: nobody takes anything any more.
#[derive(Debug)]
pub(super) struct Closed;

/// Operations in the order in which they came, from all workers.
#[derive(Debug, Default)]
pub(super) struct Intake {
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    /// Taken by the thread, and left for its next batch.
    left: usize,
    /// One of the commands is waited for.
    is_pressing: bool,
    sleep: Sleep,
    is_closed: bool,
}

/// How the thread sleeps. Whoever finds it asleep and needs it sets this to awake and wakes it, so that a busy thread
/// costs nobody a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It does not, or has been woken.
    #[default]
    Awake,
    /// Until something comes or falls due.
    Sound,
    /// For a moment, to see what becomes of messages that were just handed out. That they were settled is no reason to
    /// wake it, as nobody waits for that: whoever asks for anything finds it done before.
    Light,
}

impl Intake {
    /// Adds an operation, unless so many wait already: then `None`.
    pub(super) fn submit(
        &self,
        ticket: Ticket,
        op: Op,
        waiting_max: usize,
    ) -> Result<Option<()>, Closed> {
        let waiting = self.lock();
        if waiting.commands.len() + waiting.left >= waiting_max {
            return Ok(None);
        }
        self.add(waiting, Command::Do(ticket, op)).map(Some)
    }

    /// Adds what is never refused.
    pub(super) fn push(&self, command: Command) -> Result<(), Closed> {
        self.add(self.lock(), command)
    }

    fn add(&self, mut waiting: MutexGuard<'_, Waiting>, command: Command) -> Result<(), Closed> {
        if waiting.is_closed {
            return Err(Closed);
        }
        let is_pressing = !matches!(command, Command::Do(_, Op::Settle { .. }));
        let is_needed = match waiting.sleep {
            Sleep::Awake => false,
            Sleep::Sound => true,
            Sleep::Light => is_pressing,
        };
        waiting.is_pressing |= is_pressing;
        waiting.commands.push_back(command);
        if is_needed {
            waiting.sleep = Sleep::Awake;
            drop(waiting);
            self.woken.notify_one();
        }
        Ok(())
    }

    /// For the thread: adds up to `count_max` commands to what is left of the last batch. If there is nothing to wake
    /// it from such a sleep, it sleeps first, but no longer than `patience`.
    pub(super) fn take(
        &self,
        taken: &mut VecDeque<Command>,
        count_max: usize,
        sleep: Sleep,
        patience: Duration,
    ) {
        let mut waiting = self.lock();
        let is_quiet = match sleep {
            Sleep::Awake => false,
            Sleep::Sound => waiting.commands.is_empty(),
            Sleep::Light => !waiting.is_pressing,
        };
        if taken.is_empty() && is_quiet {
            waiting.sleep = sleep;
            waiting = self
                .woken
                .wait_timeout_while(waiting, patience, |it| it.sleep != Sleep::Awake)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(waiting, _)| waiting);
            waiting.sleep = Sleep::Awake;
        }
        waiting.left = taken.len();
        waiting.is_pressing = false;
        if taken.is_empty() && waiting.commands.len() <= count_max {
            taken.shrink_to(KEPT_ROOM);
            std::mem::swap(&mut waiting.commands, taken);
        } else {
            let count = waiting.commands.len().min(count_max);
            taken.extend(waiting.commands.drain(..count));
            waiting.is_pressing = !waiting.commands.is_empty();
        }
    }

    /// For the thread, when it has worked: lets others run as long as nothing presses.
    pub(super) fn linger(&self) {
        for _ in 0..LOOKS_BEFORE_SLEEP {
            if self.lock().is_pressing {
                return;
            }
            thread::yield_now();
        }
    }

    /// For the thread: it takes nothing any more.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.commands = VecDeque::new();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A list of commands is whole at every step, so a poisoned lock guards nothing broken.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mailbox::{LeaseId, QueueName, Realm, Tenant};

    const TICKET: Ticket = Ticket {
        worker: 0,
        number: 1,
    };
    const NEVER: Duration = Duration::from_hours(1);

    fn queue() -> QueueName {
        QueueName::new(Realm::Plain, Tenant(None), "q")
    }

    fn settling() -> Command {
        let (queue, lease, transactions) = (queue(), LeaseId(1), Vec::new());
        let op = Op::Settle {
            queue,
            lease,
            transactions,
        };
        Command::Do(TICKET, op)
    }

    /// Runs a thread that sleeps so, and gives it what `ask` asks for once it sleeps; how many commands it woke to.
    fn woken_by(sleep: Sleep, ask: impl Fn(&Intake)) -> usize {
        let intake = Arc::new(Intake::default());
        let sleeper = thread::spawn({
            let intake = Arc::clone(&intake);
            move || {
                let mut taken = VecDeque::new();
                intake.take(&mut taken, 10, sleep, NEVER);
                taken.len()
            }
        });
        while intake.lock().sleep != sleep {
            thread::yield_now();
        }
        ask(&intake);
        sleeper.join().unwrap()
    }

    #[test]
    fn a_sleeping_thread_is_woken() {
        let submit = |intake: &Intake| {
            assert!(matches!(
                intake.submit(TICKET, Op::DescribeQueue(queue()), 1),
                Ok(Some(()))
            ));
        };
        assert_eq!(woken_by(Sleep::Sound, submit), 1);
        assert_eq!(woken_by(Sleep::Light, submit), 1);
        let settle = |intake: &Intake| intake.push(settling()).unwrap();
        assert_eq!(woken_by(Sleep::Sound, settle), 1);
        let stop = |intake: &Intake| intake.push(Command::Stop).unwrap();
        assert_eq!(woken_by(Sleep::Light, stop), 1);
    }

    #[test]
    fn a_light_sleep_is_not_disturbed_by_what_was_settled() {
        let settle_and_ask = |intake: &Intake| {
            intake.push(settling()).unwrap();
            assert_eq!(intake.lock().sleep, Sleep::Light);
            let asked = intake.submit(TICKET, Op::DescribeQueue(queue()), 10);
            assert!(matches!(asked, Ok(Some(()))));
        };
        // It comes first.
        assert_eq!(woken_by(Sleep::Light, settle_and_ask), 2);
        // And by itself when the sleep is over, or none is had.
        for sleep in [Sleep::Light, Sleep::Sound, Sleep::Awake] {
            let intake = Intake::default();
            intake.push(settling()).unwrap();
            let mut taken = VecDeque::new();
            intake.take(&mut taken, 10, sleep, Duration::from_millis(1));
            assert_eq!(taken.len(), 1, "{sleep:?}");
        }
    }

    #[test]
    fn only_so_many_may_wait() {
        let intake = Intake::default();
        let submit = || intake.submit(TICKET, Op::DescribeQueue(queue()), 2);
        assert!(matches!(submit(), Ok(Some(()))));
        assert!(matches!(submit(), Ok(Some(()))));
        assert!(matches!(submit(), Ok(None)));
        intake.push(settling()).unwrap();
        let mut taken = VecDeque::new();
        intake.take(&mut taken, 2, Sleep::Sound, NEVER);
        assert_eq!(taken.len(), 2);
        // What is left of a batch counts until it is taken.
        intake.take(&mut taken, 0, Sleep::Sound, NEVER);
        assert!(matches!(submit(), Ok(None)));
        intake.close();
        assert!(matches!(submit(), Err(Closed)) || matches!(submit(), Ok(None)));
        assert!(intake.push(Command::Stop).is_err());
    }
}
