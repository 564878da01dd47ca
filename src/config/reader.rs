//! All sections of a configuration while they are read.

use super::fault::{Fault, Faults};
use super::section::{Key, Section};
use super::settings::Settings;
use super::value;

/// Hands the settings out section by section; what nobody asked for is unknown, and so a fault.
#[derive(Debug)]
pub(super) struct Reader {
    settings: Settings,
    faults: Faults,
    sections: Vec<(&'static str, Vec<Key>)>,
}

impl Reader {
    pub(super) fn new(settings: Settings, faults: Faults) -> Self {
        Self {
            settings,
            faults,
            sections: Vec::new(),
        }
    }

    /// Reads one section with `read`; keys that `read` did not ask for become faults.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section) -> T,
    ) -> T {
        let given = self.settings.sections.remove(name).unwrap_or_default();
        let may_compare = !self.settings.file_missing;
        let mut section = Section::new(name, given, may_compare, &mut self.faults);
        let result = read(&mut section);
        self.sections.push((name, section.finish()));
        result
    }

    /// All faults, once every section has been read.
    pub(super) fn finish(mut self) -> Faults {
        let names: Vec<_> = self.sections.iter().map(|(name, _)| *name).collect();
        let reason = format!("unknown section; expected one of {}", names.join(", "));
        for (section, keys) in self.settings.sections {
            if keys.is_empty() {
                self.faults.push(Fault::of(section, &reason));
                continue;
            }
            for (key, given) in keys {
                self.faults.push(Fault {
                    subject: format!("{section}.{key}"),
                    value: Some(value::show_of(&key, &given.value)),
                    reason: reason.clone(),
                    origin: given.origin,
                });
            }
        }
        self.faults
    }

    /// Every section read so far with its keys, so that a test can hold the documentation against them.
    #[cfg(test)]
    pub(super) fn sections(&self) -> &[(&'static str, Vec<Key>)] {
        &self.sections
    }
}
