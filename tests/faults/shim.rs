//! A few lines of C that are loaded into a child before everything else, to stand between it and the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A shared library for `LD_PRELOAD`.
pub(crate) struct Shim(PathBuf);

impl Shim {
    /// Compiles it into a folder, which must outlive whoever is started with it.
    #[track_caller]
    pub(crate) fn compile(folder: &Path, name: &str, source: &str) -> Self {
        let (file, library) = (
            folder.join(format!("{name}.c")),
            folder.join(format!("{name}.so")),
        );
        fs::write(&file, source).unwrap();
        let compiled = Command::new("cc")
            .args([
                "-std=gnu11",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
            ])
            .args(["-pthread", "-o"])
            .args([&library, &file])
            .output()
            .expect("a C compiler, as cc");
        let complaints = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{name}.c: {complaints}");
        Self(library)
    }

    /// The variable that has it loaded.
    pub(crate) fn environment(&self) -> (&'static str, String) {
        ("LD_PRELOAD", self.0.display().to_string())
    }
}
