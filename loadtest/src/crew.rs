//! The threads of a run, and the one that looks after them.

use std::{
    panic,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{
    connection::{Blueprint, ConnectionError},
    event_loop::{EventLoop, Load},
    open_files::{self, TooFewOpenFiles},
    options::Options,
    phases::Phases,
    process::{Process, Unreadable, Usage},
    recent::Recent,
    report::{Report, float},
    tally::{Counts, Tally},
    timeline::Timeline,
    watch::{Seen, Watch},
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
    #[error("a thread ended before it had opened its connections")]
    NotBegun,
    #[error("cannot have a secured queue {0}")]
    Unsecured(String),
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
    pub(crate) options: &'a Options,
}

/// A thread's part in a run.
pub(crate) struct Part {
    pub(crate) thread: usize,
    pub(crate) threads: usize,
    /// How many connections it has.
    pub(crate) connections: usize,
    pub(crate) phases: Phases,
    pub(crate) tally: Arc<Tally>,
    /// What it is to be told of latencies, for those who look while the run goes on.
    pub(crate) recent: Recent,
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
    /// Those of them that had ended.
    pub(crate) gone: Vec<String>,
    /// How it went.
    pub(crate) timeline: Timeline,
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
    mut plan: Plan<'_>,
    load: impl Fn(&Part) -> L + Sync,
) -> Result<Outcome<L>, RunError> {
    open_files::allow_connections(plan.connections.len())?;
    let tally = Arc::new(Tally::default());
    let processes = &plan.options.processes;
    let before = usages(processes)?;
    let connections = std::mem::take(&mut plan.connections);
    let hands = deal(connections, plan.threads);
    let threads = hands.len();
    let recents: Vec<Recent> = hands.iter().map(|_| Recent::new()).collect();
    thread::scope(|scope| {
        let (news, heard) = mpsc::channel();
        let mut starts = Vec::new();
        let mut running = Vec::new();
        for (thread, (blueprints, recent)) in hands.into_iter().zip(&recents).enumerate() {
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
                        recent: recent.clone(),
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
        let seen = if all_open {
            let phases = phases(&plan);
            for start in &starts {
                let _ = start.send(phases);
            }
            let watch = Watch {
                processes,
                phases,
                tally: &tally,
                recents: &recents,
                progress: plan.options.progress(),
                usages: before.clone(),
            };
            Some(watch.look(&heard, threads))
        } else {
            None
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
        // Whoever has not begun has said why.
        let Seen {
            from,
            until,
            timeline,
            gone,
        } = seen.ok_or(RunError::NotBegun)?;
        Ok(Outcome {
            loads,
            total: tally.counts(),
            refusals: tally.refusals.counts(),
            measured: until.counts - from.counts,
            elapsed: until.at.saturating_duration_since(from.at),
            watched: processes
                .iter()
                .zip(before.into_iter().zip(from.usages).zip(until.usages))
                .map(|(process, ((before, from), until))| Watched {
                    name: process.name.clone(),
                    before,
                    from,
                    until,
                })
                .collect(),
            gone,
            timeline,
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

fn phases(plan: &Plan<'_>) -> Phases {
    let start = Instant::now() + plan.settle;
    let measured_from = start + plan.warmup;
    Phases {
        start,
        measured_from,
        measured_until: plan.duration.map(|duration| measured_from + duration),
        patience: plan.options.patience,
    }
}

fn usages(processes: &[Process]) -> Result<Vec<Usage>, Unreadable> {
    processes.iter().map(Process::usage).collect()
}

impl<L> Outcome<L> {
    /// Gives away what each thread made of it.
    pub(crate) fn each(self, take: impl FnMut(L)) -> Outcome<()> {
        self.loads.into_iter().for_each(take);
        Outcome {
            loads: Vec::new(),
            total: self.total,
            refusals: self.refusals,
            measured: self.measured,
            elapsed: self.elapsed,
            watched: self.watched,
            gone: self.gone,
            timeline: self.timeline,
        }
    }

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
        if !self.gone.is_empty() {
            report.text("gone_processes", self.gone.join(" "));
        }
        let names: Vec<String> = self.watched.iter().map(|it| it.name.clone()).collect();
        report.detail("timeline", self.timeline.to_json(&names));
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
