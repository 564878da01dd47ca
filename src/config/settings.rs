//! Every setting that was given, by section and key, with where it came from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use toml::{Table, Value};

use super::fault::{Fault, Faults, Origin};
use super::sources::Sources;
use super::value;

/// What the sources give, merged but not yet understood: the strongest value of every key, known or not.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) sections: BTreeMap<String, BTreeMap<String, Given>>,
    /// Whether the file could not be read: then keys that it sets seem to have their defaults, and comparing one
    /// key with another would report faults that are none.
    pub(super) file_missing: bool,
}

/// A value, and where it came from. Those from the environment and `--set` are strings.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

const PREFIX: &str = "POPBOX_";

impl Settings {
    /// Reads the sources from the weakest to the strongest, so that a later one replaces an earlier one.
    pub(super) fn gather(sources: &Sources, faults: &mut Faults) -> Self {
        let mut settings = Self::default();
        if let Some(path) = &sources.file {
            match read_file(path) {
                Ok(table) => settings.add_file(table, faults),
                Err(fault) => {
                    settings.file_missing = true;
                    faults.push(fault);
                }
            }
        }
        for (name, value) in &sources.environment {
            settings.add_variable(name, value, faults);
        }
        for argument in &sources.set {
            settings.add_argument(argument, faults);
        }
        settings
    }

    fn add_file(&mut self, table: Table, faults: &mut Faults) {
        for (section, content) in table {
            let Value::Table(keys) = content else {
                faults.push(Fault {
                    value: Some(value::show(&content)),
                    ..Fault::of(
                        section,
                        "expected every key to be in a section, such as [server]",
                    )
                });
                continue;
            };
            // An empty section is kept: its name may be unknown.
            let section = self.sections.entry(section).or_default();
            for (key, value) in keys {
                let origin = Origin::File;
                section.insert(key, Given { value, origin });
            }
        }
    }

    fn add_variable(&mut self, name: &OsStr, value: &OsStr, faults: &mut Faults) {
        let name = name.to_string_lossy();
        let Some((section, key)) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once("__"))
        else {
            return;
        };
        if name.chars().any(char::is_lowercase) {
            faults.push(Fault::of(
                name.as_ref(),
                "expected a variable in capital letters, POPBOX_SECTION__KEY",
            ));
            return;
        }
        let Some(value) = value.to_str() else {
            faults.push(Fault::of(name.as_ref(), "expected UTF-8"));
            return;
        };
        let origin = Origin::Environment(name.to_string());
        self.insert(&section.to_lowercase(), &key.to_lowercase(), value, origin);
    }

    fn add_argument(&mut self, argument: &str, faults: &mut Faults) {
        let parts = argument
            .split_once('=')
            .and_then(|(name, value)| Some((name.trim().split_once('.')?, value.trim())));
        match parts {
            Some(((section, key), value)) => self.insert(section, key, value, Origin::Set),
            None => faults.push(Fault::of(
                format!("--set {}", value::show(&argument.into())),
                "expected section.key=value",
            )),
        }
    }

    fn insert(&mut self, section: &str, key: &str, value: &str, origin: Origin) {
        let value = Value::String(value.to_owned());
        let section = self.sections.entry(section.to_owned()).or_default();
        section.insert(key.to_owned(), Given { value, origin });
    }
}

fn read_file(path: &Path) -> Result<Table, Fault> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::of(&name, format!("expected a readable TOML file: {error}")))?;
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        Fault::of(format!("{name}, line {line}"), error.message())
    })
}
