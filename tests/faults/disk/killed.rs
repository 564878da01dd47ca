//! `kill -9` and power cuts in every phase of a commit of the embedded store.
//!
//! A shim stands between popbox and the files of its store. It counts the calls that change them, ends the process with
//! SIGKILL before, in the middle of, or after a chosen one, and writes everything down. So a story is: a new store,
//! servers on it one after the other, each killed at a call of its creation, its start, its load, a checkpoint or its
//! end; then what was acknowledged must be there. And from what was written down a disk is made as a power cut could
//! have left it: what was synced, and of the rest some, torn, garbled or cut off. There, too, it must be.
//!
//! `POPBOX_FAULTS_SEED` is the seed of the first story, `POPBOX_FAULTS_SECONDS` how long they go on.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use popbox_test_support::{Durability, Layout, Random, Server, Settings};

use super::load::{Load, Progress};
use super::platter::Platter;
use super::tap::{Call, Kept, Tap, Wound};
use super::{number, plain, tapped};

/// How long the stories go on unless told otherwise, all tests of this file together.
const SECONDS: u64 = 25;

/// The first story unless told otherwise.
const SEED: u64 = 1;

/// Servers of a story that die.
const DEATHS_MAX: usize = 4;

/// Disks that are made of what one story wrote down.
const POWER_CUTS: usize = 3;

/// Messages that the borrower keeps: so few that it borrows as often as it pushes.
const STOCK: usize = 4;

/// Answers after which a server under load is ended, if it has not died.
const ANSWERS_MAX: usize = 400;

/// How long a polite end may take.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// In which phase of its life a server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// On a new store: its creation. On another: what it finds in the journal.
    Start,
    Load,
    /// The journal going into the tables, under load.
    Checkpoint,
    /// A polite end, which takes all into the tables.
    End,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Start, Self::Load, Self::Checkpoint, Self::End];

    /// Where to strike, so that most strikes hit something.
    fn wound(self, random: &mut Random, is_new: bool) -> Wound {
        let (first, calls, files): (usize, &[Call], &[Kept]) = match self {
            Self::Start if is_new => (36, &Call::ALL, &Kept::ALL),
            Self::Start => (10, &Call::ALL, &Kept::ALL),
            Self::Load => (60, &[Call::Write, Call::Sync], &[Kept::Journal]),
            Self::Checkpoint if random.below(2) == 0 => (
                2,
                &[Call::Create, Call::Unlink, Call::Sync],
                &[Kept::Journal, Kept::Folder],
            ),
            Self::Checkpoint => (30, &Call::ALL, &[Kept::Tables, Kept::Folder]),
            Self::End => (24, &Call::ALL, &Kept::ALL),
        };
        Wound::within(random, first, calls, files)
    }
}

/// One store and the servers on it.
struct Story {
    seed: u64,
    random: Random,
    durability: Durability,
    layout: Arc<Layout>,
    tap: Tap,
    load: Load,
    are_pushes_large: bool,
}

/// How often a phase was struck, and missed.
#[derive(Default)]
struct Tally {
    strikes: BTreeMap<Phase, (usize, usize)>,
    stories: usize,
    power_cuts: usize,
    acknowledged: usize,
}

impl Story {
    fn begin(seed: u64, durability: Durability) -> Option<Self> {
        println!("POPBOX_FAULTS_SEED={seed}, {durability:?}");
        let mut random = Random::of(seed);
        let layout = Layout::fresh_embedded()?;
        let are_pushes_large = random.below(2) == 0;
        Some(Self {
            seed,
            durability,
            tap: Tap::on(&layout.store_dir(), layout.scratch()),
            load: Load::new(&mut random, are_pushes_large, STOCK),
            are_pushes_large,
            random,
            layout,
        })
    }

    fn settings(&self) -> Settings {
        tapped(&self.layout, self.durability, &self.tap)
    }

    fn tell(&mut self, tally: &mut Tally) {
        let deaths = 1 + self.random.below(DEATHS_MAX);
        for number in 0..deaths {
            let phase = loop {
                let phase = Phase::ALL[self.random.below(Phase::ALL.len())];
                // Only large pushes come to a checkpoint in time.
                if phase != Phase::Checkpoint || self.are_pushes_large {
                    break phase;
                }
            };
            let wound = phase.wound(&mut self.random, number == 0);
            println!("  {phase:?}: {wound:?}");
            let strikes = tally.strikes.entry(phase).or_default();
            strikes.0 += 1;
            if !self.strike(phase, &wound) {
                println!("    missed");
                strikes.1 += 1;
            }
        }
        tally.stories += 1;
        tally.acknowledged += self.load.acknowledged();
        let platter = Platter::after(&self.tap.calls());
        platter.assert_is(&self.layout.store_dir());
        if self.durability == Durability::Sync {
            for _ in 0..POWER_CUTS {
                self.cut_power(&platter);
                tally.power_cuts += 1;
            }
        }
        let server = self.settings().start();
        self.load.assert_kept(&mut server.client());
        server.kill();
    }

    /// A server's life; whether it was killed where it was to be.
    fn strike(&mut self, phase: Phase, wound: &Wound) -> bool {
        if phase == Phase::Start {
            self.tap.arm(wound);
        }
        let server = match self.settings().try_start() {
            Ok(server) => server,
            Err(refusal) => {
                assert_eq!(refusal.status.signal(), Some(libc::SIGKILL), "{refusal:?}");
                assert!(self.tap.has_killed(), "somebody else has: {refusal:?}");
                return true;
            }
        };
        self.tap.disarm();
        if matches!(phase, Phase::Load | Phase::Checkpoint) {
            self.tap.arm(wound);
        }
        let answers = match phase {
            Phase::Load | Phase::Checkpoint => ANSWERS_MAX,
            Phase::Start | Phase::End => 1 + self.random.below(ANSWERS_MAX / 4),
        };
        let progress = Progress::until(answers);
        self.load.run(&server, &mut self.random, &progress);
        assert_eq!(progress.refused(), 0, "{}", server.stderr());
        if phase == Phase::End {
            self.tap.arm(wound);
        }
        self.end(&server)
    }

    /// Ends it politely, if it goes on; whether it was killed.
    fn end(&self, server: &Server) -> bool {
        server.signal(libc::SIGTERM);
        let status = server.exit_within(END_TIMEOUT);
        let is_killed = self.tap.has_killed();
        self.tap.disarm();
        let expected = is_killed.then_some(libc::SIGKILL);
        assert_eq!(status.signal(), expected, "{}", server.stderr());
        assert!(
            is_killed || status.success(),
            "{status}: {}",
            server.stderr()
        );
        is_killed
    }

    /// Starts on what a power cut may have left.
    fn cut_power(&mut self, platter: &Platter) {
        let seed = self.random.word();
        println!("  power cut {seed}");
        let Some(layout) = Layout::fresh_embedded() else {
            return;
        };
        platter.cut_power(&mut Random::of(seed), &layout.store_dir());
        match plain(&layout, self.durability).try_start() {
            Ok(server) => {
                self.load.assert_kept(&mut server.client());
                server.kill();
            }
            Err(refusal) => panic!("story {}: {refusal:?}", self.seed),
        }
    }
}

/// Stories of one durability, for its share of the time.
fn tell_stories(durability: Durability, share: u32) {
    let time = Duration::from_secs(number("POPBOX_FAULTS_SECONDS").unwrap_or(SECONDS)) / share;
    let first = number("POPBOX_FAULTS_SEED").unwrap_or(SEED);
    let begun = Instant::now();
    let mut tally = Tally::default();
    for seed in first.. {
        let Some(mut story) = Story::begin(seed, durability) else {
            return;
        };
        story.tell(&mut tally);
        if begun.elapsed() >= time {
            break;
        }
    }
    println!(
        "{durability:?}: {} stories, {} answers, {} power cuts; strikes and misses: {:?}",
        tally.stories, tally.acknowledged, tally.power_cuts, tally.strikes
    );
}

#[test]
fn nothing_acknowledged_is_lost_where_every_write_is_synced() {
    tell_stories(Durability::Sync, 2);
}

/// Not by a kill, that is; a power cut may cost the last second.
#[test]
fn nothing_acknowledged_is_lost_by_a_kill_where_writes_are_synced_at_intervals() {
    tell_stories(Durability::Interval, 4);
}
