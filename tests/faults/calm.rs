//! Time that counts: a machine whose disk or cores are taken by others for seconds proves nothing about who is late.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often the machine is looked at, and how long that may take on a calm one: a small synced write, and a sleep.
const LOOK: Duration = Duration::from_millis(50);
const CALM: Duration = Duration::from_millis(400);

/// How much longer than in calm a bound may be, by the clock on the wall.
const STORM_MAX: u32 = 12;

/// A clock that stands still while the machine does.
pub(crate) struct Calm {
    clock: Arc<Clock>,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clock {
    calm_us: AtomicU64,
    storm_us: AtomicU64,
    is_over: AtomicBool,
}

impl Calm {
    /// Starts it; it looks at the disk where this file is.
    pub(crate) fn watch(file: &Path) -> Self {
        let clock = Arc::new(Clock::default());
        let file = File::create(file).unwrap();
        let watched = Arc::clone(&clock);
        Self {
            watcher: Some(thread::spawn(move || watched.run(file))),
            clock,
        }
    }

    /// How long the machine was not calm.
    pub(crate) fn storm(&self) -> Duration {
        Duration::from_micros(self.clock.storm_us.load(Ordering::Relaxed))
    }

    /// A bound of so much calm time, from now.
    pub(crate) fn bound(&self, limit: Duration) -> Bound<'_> {
        let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Bound {
            clock: &self.clock,
            end_us: self.clock.calm_us.load(Ordering::Relaxed) + limit_us,
            latest: Instant::now() + limit * STORM_MAX,
        }
    }
}

impl Clock {
    fn run(&self, mut file: File) {
        while !self.is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            thread::sleep(LOOK);
            file.write_all(b"calm").unwrap();
            file.sync_data().unwrap();
            let taken = began.elapsed();
            let time_us = if taken < CALM {
                &self.calm_us
            } else {
                &self.storm_us
            };
            let taken_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
            time_us.fetch_add(taken_us, Ordering::Relaxed);
        }
    }
}

impl Drop for Calm {
    fn drop(&mut self) {
        self.clock.is_over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // Why it has failed it has said.
            let _ = watcher.join();
        }
    }
}

/// When something counts as late.
pub(crate) struct Bound<'a> {
    clock: &'a Clock,
    end_us: u64,
    latest: Instant,
}

impl Bound<'_> {
    pub(crate) fn is_over(&self) -> bool {
        self.clock.calm_us.load(Ordering::Relaxed) >= self.end_us || Instant::now() >= self.latest
    }
}
