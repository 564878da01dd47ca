//! Where settings come from: the file, the environment and the command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where a configuration comes from; what is not given here has its default.
///
/// In order of strength: `set`, `environment`, `file`.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file; none: only the other sources. A file that is named must exist.
    pub file: Option<PathBuf>,
    /// Variables: those named `POPBOX_SECTION__KEY` are taken, all others are left alone.
    pub environment: Vec<(OsString, OsString)>,
    /// `section.key=value`, each from one `--set`; of two for one key the later holds.
    pub set: Vec<String>,
}

impl Sources {
    /// The sources of a command: its own arguments, and the environment of this process.
    pub fn of_process(file: Option<PathBuf>, set: Vec<String>) -> Self {
        Self {
            file,
            environment: std::env::vars_os().collect(),
            set,
        }
    }
}
