//! What a machine can see of the style.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Past this, a file holds a second noun. Tests may list more of the same.
const LINES_MAX: usize = 500;
const TEST_LINES_MAX: usize = 800;

/// What fits beside another window.
const COLUMNS_MAX: usize = 120;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn sources_are_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "loadtest", "bench/pieces"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 50, "the sources are where they were");
    let mut faults = Vec::new();
    for file in &files {
        let name = file
            .strip_prefix(root)
            .expect("a file of the project")
            .display();
        let text = fs::read_to_string(file).expect("readable text");
        if !text.starts_with("//!") {
            faults.push(format!("{name}: does not say on top what it is for"));
        }
        let lines = text.lines().count();
        let is_test = file.components().any(|it| it.as_os_str() == "tests");
        if lines > if is_test { TEST_LINES_MAX } else { LINES_MAX } {
            faults.push(format!("{name}: {lines} lines, look for the second noun"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            // A long literal is more readable in one piece.
            if line.chars().count() > COLUMNS_MAX && !line.contains(['"', '\\']) {
                faults.push(format!(
                    "{name}:{number}: longer than {COLUMNS_MAX} columns"
                ));
            }
            if line.ends_with(' ') || line.contains('\t') {
                faults.push(format!("{name}:{number}: a tab, or space at its end"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
