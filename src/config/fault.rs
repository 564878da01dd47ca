//! What is wrong with a configuration.

use std::fmt;

/// One thing wrong with a configuration; displayed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is at fault: a key such as `limits.max_pop`, an argument, or a file and its line.
    pub subject: String,
    /// The value given, as it would be written in the file; none where there is no value to show.
    pub value: Option<String>,
    /// What is allowed, or why the subject is refused.
    pub reason: String,
    /// Which source gave the value.
    pub origin: Origin,
}

/// Which source gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No source: it is the default.
    Default,
    /// The file.
    File,
    /// The variable of this name.
    Environment(String),
    /// An argument `--set`.
    Set,
}

/// All that is wrong with a configuration, in the order of the sections; displayed as one line a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

impl Fault {
    /// A fault that concerns no single value, such as a file that cannot be read.
    pub(super) fn of(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            value: None,
            reason: reason.into(),
            origin: Origin::File,
        }
    }
}

impl Faults {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.subject.clone();
        if let Some(value) = &self.value {
            line.push_str(" = ");
            line.push_str(value);
        }
        line.push_str(": ");
        line.push_str(&self.reason);
        match &self.origin {
            Origin::File => {}
            Origin::Default => line.push_str(" (its default)"),
            Origin::Environment(name) => {
                line.push_str(" (from ");
                line.push_str(name);
                line.push(')');
            }
            Origin::Set => line.push_str(" (from --set)"),
        }
        // Keys, values and reasons of the TOML parser may hold line breaks; a fault is one line all the same.
        formatter.write_str(&line.replace(|character: char| character.is_control(), " "))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            fault.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl std::error::Error for Faults {}
