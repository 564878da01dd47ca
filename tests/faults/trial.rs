//! One layout from its start to the verdict.

use std::thread;
use std::time::{Duration, Instant};

use popbox_test_support::Random;

use super::arrangement::Arrangement;
use super::calm::Calm;
use super::consumer::Consumer;
use super::course;
use super::examination::Examiner;
use super::fault::repertoire;
use super::ledger::Ledger;
use super::outlet::{Users, outlets};
use super::plan::Plan;
use super::producer::{PRODUCERS, produce};
use super::redriver::Redriver;
use super::rude::visit;
use super::site::Site;
use super::stage::Stage;
use super::verdict::{Verdict, judge};
use super::world::World;

/// How long transactions live beyond the load: rude clients leave theirs for the drain.
const AFTER_LOAD: Duration = Duration::from_mins(10);

/// Sees to it that nobody goes on who is waited for, whatever ends the trial.
struct Curtain<'a>(&'a Stage);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs it; what is wrong is in the verdict.
pub(crate) fn run(arrangement: Arrangement, plan: &Plan) -> Verdict {
    println!("{}: POPBOX_FAULTS_SEED={}", arrangement.name(), plan.seed);
    let mut random = Random::of(plan.seed);
    let site = Site::start(arrangement);
    let outlets = outlets(PRODUCERS);
    let world = World {
        ledger: Ledger::new(outlets.len()),
        stage: Stage::default(),
        calm: Calm::watch(&site.scratch().join("calm")),
        site,
        outlets,
        life: plan.load + AFTER_LOAD,
    };
    let repertoire = repertoire(&world.site, plan.is_long_run());
    let (disturbances, examiner) = thread::scope(|scope| {
        let world = &world;
        let _curtain = Curtain(&world.stage);
        let mut early = Vec::new();
        for producer in 0..PRODUCERS {
            let random = random.split();
            early.push(scope.spawn(move || produce(world, producer, random)));
        }
        let redriver = Redriver::new(world, &mut random);
        early.push(scope.spawn(move || redriver.run()));
        let mut name = 0;
        for (place, outlet) in world.outlets.iter().enumerate() {
            match outlet.users {
                Users::Polite(count) => {
                    for _ in 0..count {
                        let consumer = Consumer::new(world, place, name, random.split());
                        scope.spawn(move || consumer.run());
                        name += 1;
                    }
                }
                Users::Rude => {
                    let random = random.split();
                    early.push(scope.spawn(move || visit(world, place, name, random)));
                    name += 1;
                }
            }
        }
        let end = Instant::now() + plan.load;
        let disturbances = course::run(world, &repertoire, random.split(), end);
        world.stage.drain();
        for client in early {
            client.join().expect("a client that ends well");
        }
        for (place, outlet) in world.outlets.iter().enumerate() {
            if outlet.users == Users::Rude {
                let consumer = Consumer::new(world, place, name, random.split());
                scope.spawn(move || consumer.run_with_pops());
                name += 1;
            }
        }
        let mut examiner = Examiner::new(world, random.split());
        examiner.drain();
        println!("{}: drained", world.ledger.now());
        (disturbances, examiner)
    });
    let examination = examiner.look_for_ghosts();
    println!("{}: over", world.ledger.now());
    if let Err(trouble) = world.site.mend() {
        world.ledger.strange(&trouble);
    }
    let verdict = judge(&world, arrangement, disturbances, &examination);
    if !verdict.findings.is_empty() {
        println!("{}", world.site.logs());
    }
    verdict
}
