//! The threads of a run, and the one that looks after them.

use std::{
    panic,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{
    connection::{Blueprint, ConnectionError},
    event_loop::{EventLoop, Load},
    open_files::{self, TooFewOpenFiles},
    phases::Phases,
    process::{Process, Unreadable, Usage},
    report::{Report, float},
    tally::{Counts, Tally},
};

/// A run that could not be begun, or not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    OpenFiles(#[from] TooFewOpenFiles),
    #[error("cannot connect: {0}")]
    Connection(#[from] ConnectionError),
    #[error("cannot wait for connections: {0}")]
    Wait(Errno),
    #[error(transparent)]
    Process(#[from] Unreadable),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// What is to be run.
pub(crate) struct Plan<'a> {
    /// The connections, which are dealt out to the threads in turn.
    pub(crate) connections: Vec<Blueprint>,
    pub(crate) threads: usize,
    /// From when all connections are open to when the warm-up begins.
    pub(crate) settle: Duration,
    pub(crate) warmup: Duration,
    /// None: until there is nothing more to do.
    pub(crate) duration: Option<Duration>,
    pub(crate) patience: Duration,
    pub(crate) processes: &'a [Process],
}

/// A thread's part in a run.
pub(crate) struct Part {
    pub(crate) thread: usize,
    pub(crate) threads: usize,
    /// How many connections it has.
    pub(crate) connections: usize,
    pub(crate) phases: Phases,
    pub(crate) tally: Arc<Tally>,
}

/// What a run came to.
pub(crate) struct Outcome<L> {
    /// What each thread made of it.
    pub(crate) loads: Vec<L>,
    /// Everything that was counted.
    pub(crate) total: Counts,
    /// What was refused, by status.
    pub(crate) refusals: Vec<(String, u64)>,
    /// What was counted while it was measured.
    pub(crate) measured: Counts,
    /// How long that was.
    pub(crate) elapsed: Duration,
    /// What the watched processes used.
    pub(crate) watched: Vec<Watched>,
}

/// A watched process.
pub(crate) struct Watched {
    pub(crate) name: String,
    /// Before the first connection.
    pub(crate) before: Usage,
    /// When what is measured began.
    pub(crate) from: Usage,
    /// When it ended.
    pub(crate) until: Usage,
}

enum News {
    /// A thread has opened all its connections.
    Opened,
    /// A thread has ended, for better or worse.
    Ended,
}

/// Runs a load on every thread.
pub(crate) fn run<L: Load + Send>(
    plan: Plan<'_>,
    load: impl Fn(&Part) -> L + Sync,
) -> Result<Outcome<L>, RunError> {
    open_files::allow_connections(plan.connections.len())?;
    let tally = Arc::new(Tally::default());
    let before = usages(plan.processes)?;
    let hands = deal(plan.connections, plan.threads);
    let threads = hands.len();
    thread::scope(|scope| {
        let (news, heard) = mpsc::channel();
        let mut starts = Vec::new();
        let mut running = Vec::new();
        for (thread, blueprints) in hands.into_iter().enumerate() {
            let (start, started) = mpsc::channel();
            starts.push(start);
            let (news, tally, load) = (news.clone(), Arc::clone(&tally), &load);
            let connections = blueprints.len();
            let work = move || {
                let result = work(blueprints, &news, &started, |phases| {
                    load(&Part {
                        thread,
                        threads,
                        connections,
                        phases,
                        tally,
                    })
                });
                // Nobody listens any more if another thread has failed.
                let _ = news.send(News::Ended);
                result
            };
            let builder = thread::Builder::new().name(format!("load-{thread}"));
            running.push(
                builder
                    .spawn_scoped(scope, work)
                    .map_err(RunError::Thread)?,
            );
        }
        // A thread that panics says nothing; then it matters that only threads hold this.
        drop(news);
        eprintln!("opening connections");
        let all_open = (0..threads).all(|_| matches!(heard.recv(), Ok(News::Opened)));
        let watch = if all_open {
            let phases = phases(plan.settle, plan.warmup, plan.duration, plan.patience);
            for start in &starts {
                let _ = start.send(phases);
            }
            watch(plan.processes, &phases, &tally, &heard, threads)
        } else {
            Ok(Watch::default())
        };
        // Those that wait for the start of a run that does not take place end now.
        drop(starts);
        let mut loads = Vec::new();
        for thread in running {
            match thread.join() {
                Ok(result) => loads.extend(result?),
                Err(panicked) => panic::resume_unwind(panicked),
            }
        }
        let watch = watch?;
        let (from, until) = (watch.from, watch.until);
        Ok(Outcome {
            loads,
            total: tally.counts(),
            refusals: tally.refusals.counts(),
            measured: until.counts - from.counts,
            elapsed: until.at.saturating_duration_since(from.at),
            watched: plan
                .processes
                .iter()
                .zip(before.into_iter().zip(from.usages).zip(until.usages))
                .map(|(process, ((before, from), until))| Watched {
                    name: process.name.clone(),
                    before,
                    from,
                    until,
                })
                .collect(),
        })
    })
}

/// Deals the connections out to so many threads, in turn.
fn deal(connections: Vec<Blueprint>, threads: usize) -> Vec<Vec<Blueprint>> {
    let threads = threads.clamp(1, connections.len().max(1));
    let mut hands: Vec<Vec<Blueprint>> = (0..threads).map(|_| Vec::new()).collect();
    for (place, blueprint) in connections.into_iter().enumerate() {
        if let Some(hand) = hands.get_mut(place % threads) {
            hand.push(blueprint);
        }
    }
    hands
}

/// A thread of the crew: opens its connections, says so, and begins with all others. None if nobody begins.
fn work<L: Load>(
    blueprints: Vec<Blueprint>,
    news: &Sender<News>,
    started: &Receiver<Phases>,
    load: impl FnOnce(Phases) -> L,
) -> Result<Option<L>, RunError> {
    let mut event_loop = EventLoop::new(blueprints).map_err(RunError::Wait)?;
    event_loop.open_all()?;
    let _ = news.send(News::Opened);
    let Ok(phases) = started.recv() else {
        return Ok(None);
    };
    let mut load = load(phases);
    event_loop.run(&mut load).map_err(RunError::Wait)?;
    Ok(Some(load))
}

fn phases(
    settle: Duration,
    warmup: Duration,
    duration: Option<Duration>,
    patience: Duration,
) -> Phases {
    let start = Instant::now() + settle;
    let measured_from = start + warmup;
    Phases {
        start,
        measured_from,
        measured_until: duration.map(|duration| measured_from + duration),
        patience,
    }
}

/// What there was at one time.
struct Sight {
    at: Instant,
    counts: Counts,
    usages: Vec<Usage>,
}

struct Watch {
    from: Sight,
    until: Sight,
}

impl Default for Watch {
    fn default() -> Self {
        let nothing = || Sight {
            at: Instant::now(),
            counts: Counts::default(),
            usages: Vec::new(),
        };
        Self {
            from: nothing(),
            until: nothing(),
        }
    }
}

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Looks at the counters and the processes when the measuring begins and ends, and shows progress until all
/// threads have ended.
fn watch(
    processes: &[Process],
    phases: &Phases,
    tally: &Tally,
    heard: &Receiver<News>,
    threads: usize,
) -> Result<Watch, Unreadable> {
    let sight = || -> Result<Sight, Unreadable> {
        Ok(Sight {
            at: Instant::now(),
            counts: tally.counts(),
            usages: usages(processes)?,
        })
    };
    let (mut from, mut until) = (None, None);
    let mut running = threads;
    let mut shown = tally.counts();
    let mut show_at = phases.start + PROGRESS_INTERVAL;
    while running > 0 {
        let look_at = if from.is_none() {
            Some(phases.measured_from)
        } else {
            phases.measured_until.filter(|_| until.is_none())
        };
        let next = look_at.map_or(show_at, |look_at| look_at.min(show_at));
        match heard.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(_) => running -= 1,
            Err(RecvTimeoutError::Timeout) => {}
            // The threads hold what the news come through: there are none left.
            Err(RecvTimeoutError::Disconnected) => running = 0,
        }
        let now = Instant::now();
        if look_at.is_some_and(|look_at| now >= look_at) {
            let slot = if from.is_none() {
                &mut from
            } else {
                &mut until
            };
            *slot = Some(sight()?);
        }
        if now >= show_at {
            let counts = tally.counts();
            show(phases, now, counts, counts - shown);
            shown = counts;
            show_at += PROGRESS_INTERVAL;
        }
    }
    let last = || until.map_or_else(sight, Ok);
    let until = last()?;
    Ok(Watch {
        from: from.map_or_else(sight, Ok)?,
        until,
    })
}

/// A line on standard error.
fn show(phases: &Phases, now: Instant, total: Counts, in_interval: Counts) {
    let phase = if now < phases.measured_from {
        "warm-up"
    } else if phases.is_over(now) {
        "the rest"
    } else {
        "measured"
    };
    eprintln!(
        "{:4} s  {phase:8}  pushed {}/s  received {}/s  empty {}  refused {}  dropped {}",
        now.saturating_duration_since(phases.start).as_secs(),
        in_interval.pushed,
        in_interval.received,
        total.empty,
        total.refused,
        total.dropped,
    );
}

fn usages(processes: &[Process]) -> Result<Vec<Usage>, Unreadable> {
    processes.iter().map(Process::usage).collect()
}

impl<L> Outcome<L> {
    /// Adds what went wrong, and what the watched processes used for each of `messages`.
    pub(crate) fn finish(&self, report: &mut Report, messages: u64) {
        report.count("refused", self.total.refused);
        for (status, count) in &self.refusals {
            report.count(format!("refused_{status}"), *count);
        }
        report.count("unknown", self.total.unknown);
        report.count("foreign", self.total.foreign);
        report.count("dropped_connections", self.total.dropped);
        if self.total.foreign > 0 {
            eprintln!(
                "There were messages of others in the queues, which distorts what is measured: empty the queues first, \
                 or choose others by --prefix."
            );
        }
        for watched in &self.watched {
            let name = &watched.name;
            let processor = watched
                .until
                .processor
                .saturating_sub(watched.from.processor);
            let cores = processor.as_secs_f64() / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
            report.number(format!("{name}_processor_percent"), 100.0 * cores);
            if messages > 0 {
                let microseconds = processor.as_secs_f64() * 1e6 / float(messages);
                report.number(format!("{name}_processor_us_per_message"), microseconds);
            }
            report.count(
                format!("{name}_resident_kib"),
                watched.until.resident_bytes / 1024,
            );
        }
    }
}
