//! Where the build of this test lies: its binary, and a folder for files that may be lost.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The popbox that was built with this test. Cargo says so where it starts the test; a test that is started by hand
/// looks beside itself.
pub(crate) fn binary() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_popbox").map_or_else(|| profile().join("popbox"), PathBuf::from)
}

/// A folder below the target directory, on a real disk.
pub(crate) fn scratch_root() -> PathBuf {
    let folder = profile()
        .parent()
        .unwrap_or_else(|| Path::new("."))
        .join("tmp");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// `target/debug`, or that of another profile: this test is in its `deps`.
fn profile() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}
