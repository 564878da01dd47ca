//! A configuration file: whatever is in it, it is read, or every fault in it is named.
#![no_main]

use std::{fs, path::PathBuf, process};

use libfuzzer_sys::fuzz_target;
use popbox::config::{Config, Sources};

fuzz_target!(|data: &[u8]| {
    // In memory.
    let file = PathBuf::from(format!("/dev/shm/popbox-fuzz-{}", process::id()));
    fs::write(&file, data).expect("room in memory");
    let sources = Sources {
        file: Some(file),
        environment: Vec::new(),
        set: Vec::new(),
    };
    if let Err(faults) = Config::load(&sources) {
        assert!(!faults.to_string().is_empty());
    }
});
