//! One section of the file while it is read: takes its keys, collects faults, and knows what is left over.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use super::duration;
use super::fault::{Fault, Faults, Origin};
use super::settings::Given;
use super::size::Size;
use super::value;

/// One section being read: every call takes a key, reports it if its value is not allowed, and gives a value that
/// is: the one given or, after a fault, the default, so that reading goes on to the next fault.
#[derive(Debug)]
pub(super) struct Section<'faults> {
    name: &'static str,
    given: BTreeMap<String, Given>,
    may_compare: bool,
    keys: Vec<Key>,
    faults: &'faults mut Faults,
}

/// A key that has been read.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What is allowed, in words.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "held against the documentation")
    )]
    pub(super) allowed: String,
    origin: Origin,
    faulty: bool,
}

impl<'faults> Section<'faults> {
    pub(super) fn new(
        name: &'static str,
        given: BTreeMap<String, Given>,
        may_compare: bool,
        faults: &'faults mut Faults,
    ) -> Self {
        Self {
            name,
            given,
            may_compare,
            keys: Vec::new(),
            faults,
        }
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        self.parsed(key, default, "true or false", value::show, value::boolean)
    }

    /// A whole number.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, default, &allowed, value::show, |value| {
            value::count(value).filter(|count| range.contains(count))
        })
    }

    /// A number of bytes.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: Size,
        range: RangeInclusive<Size>,
    ) -> Size {
        let allowed = format!("a size from {} to {}", range.start(), range.end());
        self.parsed(key, default, &allowed, value::show, |value| {
            value::size(value).filter(|size| range.contains(size))
        })
    }

    /// A span of time.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let allowed = format!(
            "a duration from {} to {}",
            duration::text(*range.start()),
            duration::text(*range.end())
        );
        self.parsed(key, default, &allowed, value::show, |value| {
            value::duration(value).filter(|duration| range.contains(duration))
        })
    }

    /// An IP address with a port.
    pub(super) fn address(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        let allowed = "an IP address and a port, such as 127.0.0.1:3001 or [::]:3001";
        self.parsed(key, default, allowed, value::show, |value| {
            value.as_str()?.parse().ok()
        })
    }

    /// The path of a file or a folder.
    pub(super) fn path(&mut self, key: &'static str, default: PathBuf) -> PathBuf {
        self.parsed(key, default, "a path", value::show, |value| {
            // A path with a zero byte reaches no file.
            let text = value.as_str().filter(|text| !text.contains('\0'))?;
            (!text.is_empty()).then(|| PathBuf::from(text))
        })
    }

    /// One of a few words, each with what it stands for.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let words: Vec<_> = choices
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect();
        self.parsed(key, default, &words.join(" or "), value::show, |value| {
            let text = value.as_str()?;
            let (_, chosen) = choices.iter().find(|(word, _)| *word == text)?;
            Some(*chosen)
        })
    }

    /// A value of a kind that only one section has: `parse` gives none where it is not allowed, and `show` writes
    /// the value in a fault, without what must stay secret.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        default: T,
        allowed: &str,
        show: impl FnOnce(&Value) -> String,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        let mut read = Key {
            name: key,
            allowed: allowed.to_owned(),
            origin: Origin::Default,
            faulty: false,
        };
        let mut result = default;
        if let Some(given) = self.given.remove(key) {
            read.origin = given.origin;
            if let Some(value) = parse(&given.value) {
                result = value;
            } else {
                read.faulty = true;
                self.faults.push(Fault {
                    subject: format!("{}.{key}", self.name),
                    value: Some(show(&given.value)),
                    reason: format!("expected {allowed}"),
                    origin: read.origin.clone(),
                });
            }
        }
        self.keys.push(read);
        result
    }

    /// Reports `key`, whose value is `value`, as too small or too large beside `other`, unless `holds`.
    ///
    /// Says nothing when one of the two is at fault already: its default stands in, and proves nothing.
    pub(super) fn compare(
        &mut self,
        key: &'static str,
        value: impl Display,
        other: &'static str,
        holds: bool,
        allowed: &str,
    ) {
        let faulty = |name| self.keys.iter().any(|key| key.name == name && key.faulty);
        if holds || !self.may_compare || faulty(key) || faulty(other) {
            return;
        }
        let read = self.keys.iter().find(|read| read.name == key);
        self.faults.push(Fault {
            subject: format!("{}.{key}", self.name),
            value: Some(value.to_string()),
            reason: format!("expected {allowed}"),
            origin: read.map_or(Origin::Default, |read| read.origin.clone()),
        });
    }

    /// Reports the keys that nothing asked for, and gives those that exist.
    pub(super) fn finish(self) -> Vec<Key> {
        let names: Vec<_> = self.keys.iter().map(|key| key.name).collect();
        for (key, given) in self.given {
            self.faults.push(Fault {
                subject: format!("{}.{key}", self.name),
                value: Some(value::show_of(&key, &given.value)),
                reason: format!("unknown key; expected one of {}", names.join(", ")),
                origin: given.origin,
            });
        }
        self.keys
    }
}
