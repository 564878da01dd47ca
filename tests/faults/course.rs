//! The course of a trial under load: bouts of faults, and after each of them a look whether everybody is woken again.

use std::thread;
use std::time::Instant;

use popbox_test_support::Random;

use super::fault::Fault;
use super::ledger::Moment;
use super::probe::{Prober, Recovery};
use super::schedule::{Bout, Schedule};
use super::world::World;

/// What happened in a bout.
pub(crate) struct Disturbance {
    /// The faults in it, by name.
    pub(crate) faults: Vec<&'static str>,
    pub(crate) began: Moment,
    /// When all of it was undone.
    pub(crate) healed: Moment,
    pub(crate) recovery: Recovery,
}

impl Disturbance {
    pub(crate) fn name(&self) -> String {
        self.faults.join(" + ")
    }
}

/// Goes on until then.
pub(crate) fn run(
    world: &World,
    repertoire: &[Box<dyn Fault>],
    mut random: Random,
    end: Instant,
) -> Vec<Disturbance> {
    let mut prober = Prober::new(world, random.split());
    let mut schedule = Schedule::new(random, repertoire);
    let mut disturbances = Vec::new();
    while Instant::now() < end {
        let bout = schedule.next(repertoire);
        thread::sleep(bout.pause);
        let faults: Vec<&'static str> = bout
            .strikes
            .iter()
            .map(|strike| repertoire[strike.fault].name())
            .collect();
        let began = world.ledger.now();
        println!("{began}: {}", faults.join(" + "));
        strike(world, repertoire, bout);
        // What a fault has undone itself is undone by now; the start of an agent is part of its recovery.
        let (healed, since) = (world.ledger.now(), Instant::now());
        if let Err(trouble) = world.site.mend() {
            world.ledger.strange(&trouble);
        }
        let recovery = prober.probe(since);
        println!("{}: {recovery}", world.ledger.now());
        disturbances.push(Disturbance {
            faults,
            began,
            healed,
            recovery,
        });
    }
    disturbances
}

/// All of a bout, from the first fault to the last that is healed.
fn strike(world: &World, repertoire: &[Box<dyn Fault>], bout: Bout) {
    thread::scope(|scope| {
        for mut strike in bout.strikes {
            scope.spawn(move || {
                thread::sleep(strike.after);
                let fault = &repertoire[strike.fault];
                let heal = fault.strike(&world.site, &mut strike.random);
                thread::sleep(strike.lasts);
                heal(&world.site);
            });
        }
    });
}
