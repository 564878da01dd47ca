//! The processes under load: their processor time and their memory, as `/proc` has them.

use std::{fs, io, str::FromStr, time::Duration};

/// A process to be watched: `NAME=PID`, or a bare PID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// What it is called in reports.
    pub(crate) name: String,
    pid: u32,
}

/// A process that cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {reason}")]
pub(crate) struct Unreadable {
    path: String,
    reason: io::Error,
}

/// What a process has used up to some time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of all its threads, in user and in kernel mode; to the clock tick, which is mostly 10 ms.
    pub(crate) processor: Duration,
    /// Its resident memory at that time.
    pub(crate) resident_bytes: u64,
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').unwrap_or((text, text));
        let pid = pid
            .parse()
            .map_err(|_| format!("{pid}: not the number of a process; NAME=PID is expected"))?;
        Ok(Self {
            name: name.to_owned(),
            pid,
        })
    }
}

impl Process {
    /// What it has used up to now.
    pub(crate) fn usage(&self) -> Result<Usage, Unreadable> {
        Ok(Usage {
            processor: self.read("stat", processor)?,
            resident_bytes: self.read("status", resident_bytes)?,
        })
    }

    fn read<T>(&self, file: &str, parse: fn(&str) -> Option<T>) -> Result<T, Unreadable> {
        let path = format!("/proc/{}/{file}", self.pid);
        let unexpected = || io::Error::new(io::ErrorKind::InvalidData, "not what was expected");
        fs::read_to_string(&path)
            .and_then(|text| parse(&text).ok_or_else(unexpected))
            .map_err(|reason| Unreadable { path, reason })
    }
}

/// The fields `utime` and `stime` of `/proc/PID/stat`, which count all threads, those that have ended too.
fn processor(stat: &str) -> Option<Duration> {
    // The name of the program may have spaces and parentheses of its own.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let kernel: u64 = times.next()?.parse().ok()?;
    let ticks = user.checked_add(kernel)?;
    let per_second = rustix::param::clock_ticks_per_second();
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(per_second.max(1));
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

/// The line `VmRSS` of `/proc/PID/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_optional() {
        let process: Process = "popbox=17".parse().unwrap();
        assert_eq!((process.name.as_str(), process.pid), ("popbox", 17));
        let process: Process = "17".parse().unwrap();
        assert_eq!((process.name.as_str(), process.pid), ("17", 17));
        for text in ["", "popbox", "popbox=", "popbox=-1"] {
            assert!(text.parse::<Process>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let process: Process = std::process::id().to_string().parse().unwrap();
        assert!(process.usage().unwrap().resident_bytes > 100_000);
    }

    #[test]
    fn a_strange_name_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 100";
        let ticks = rustix::param::clock_ticks_per_second();
        let expected = Duration::from_mins(5) / u32::try_from(ticks).unwrap();
        assert_eq!(processor(stat), Some(expected));
    }

    #[test]
    fn damaged_files_are_not_read() {
        for stat in ["", "1 (a)", "1 (a) S 1 1 1 0 -1 1 1 2 3 4 x 50"] {
            assert_eq!(processor(stat), None);
        }
        for status in [
            "",
            "VmRSS:",
            "VmRSS: 5 MB",
            "VmRSS: 99999999999999999999 kB",
        ] {
            assert_eq!(resident_bytes(status), None);
        }
    }
}
