//! The time of day as one child sees it, which can be set while that runs.
//!
//! Not with libfaketime, which does this for popbox, but not for redis-server: that ends at its start, because its
//! allocator asks for the time while libfaketime looks up how to tell it.

mod tests;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::shim::Shim;

/// What the offset is read from, by the shim.
const OFFSET_VARIABLE: &str = "WALL_CLOCK_OFFSET";

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A clock on the wall of whatever is started in its environment: popbox or redis-server. Monotonic clocks and waits
/// are not touched, as when somebody sets the time of a machine.
pub(crate) struct WallClock {
    shim: Shim,
    path: PathBuf,
    offset: File,
}

impl WallClock {
    /// One that is right. Its files are in a folder that must outlive whoever is started with it;
    /// each clock has a folder of its own.
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("wall-clock-offset");
        fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        Self {
            shim: Shim::compile(folder, "wall_clock", include_str!("clock/wall_clock.c")),
            offset: File::options().write(true).open(&path).unwrap(),
            path,
        }
    }

    /// The variables that make a child look at this clock.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            self.shim.environment(),
            (OFFSET_VARIABLE, self.path.display().to_string()),
        ]
    }

    /// Sets it so many seconds before the true time, or behind it.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        let nanos = seconds.checked_mul(NANOS_PER_SECOND).unwrap();
        // Eight aligned bytes in one write: the child has the old offset or the new one.
        self.offset.write_all_at(&nanos.to_ne_bytes(), 0).unwrap();
    }

    /// Sets it right.
    pub(crate) fn set_right(&self) {
        self.set_ahead(0);
    }
}
