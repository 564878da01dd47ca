//! What this run is to be, as the environment says.
//!
//! - `POPBOX_FAULTS_SECONDS`: of load, all layouts together; left out, 30 for each.
//! - `POPBOX_FAULTS_SEED`: which faults come, how long they last, and what clients do. The times at which things happen
//!   to each other are those of the machine: a seed repeats the course of a run, not every step of it.
//! - `POPBOX_FAULTS_REPORT`: a file for the report, as Markdown.
//! - `POPBOX_TEST_LAYOUT`: one layout; left out, all of them.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::arrangement::Arrangement;

const SECONDS_EACH: u32 = 30;
const SEED: u64 = 1;

/// From this much load of a layout on, faults may be long ones.
const LONG_RUN: Duration = Duration::from_mins(2);

/// One run.
pub(crate) struct Plan {
    pub(crate) arrangements: Vec<Arrangement>,
    /// How long each of them is under load.
    pub(crate) load: Duration,
    pub(crate) seed: u64,
    pub(crate) report: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn of_this_run() -> Self {
        let arrangements = match env::var("POPBOX_TEST_LAYOUT") {
            Err(_) => Arrangement::ALL.to_vec(),
            Ok(name) => match Arrangement::named(&name) {
                Some(arrangement) => vec![arrangement],
                None => panic!("POPBOX_TEST_LAYOUT={name} is not known"),
            },
        };
        let count = u32::try_from(arrangements.len()).unwrap();
        let all_s = number("POPBOX_FAULTS_SECONDS").unwrap_or(SECONDS_EACH * count);
        Self {
            load: Duration::from_secs(all_s.into()) / count,
            seed: number("POPBOX_FAULTS_SEED").unwrap_or(SEED),
            report: env::var_os("POPBOX_FAULTS_REPORT").map(PathBuf::from),
            arrangements,
        }
    }

    pub(crate) fn is_long_run(&self) -> bool {
        self.load >= LONG_RUN
    }
}

fn number<N: FromStr>(name: &str) -> Option<N> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    assert!(number.is_some(), "{name}={text} is not a number");
    number
}
