//! `[log]`: what is logged and how.

use tracing::Level;

use super::section::Section;

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// What is less severe than this is left out.
    pub level: Level,
    /// How a line looks.
    pub format: LogFormat,
    /// Whether every request is logged.
    pub access: bool,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: a JSON object a line.
    Json,
}

impl Log {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self {
            level: section.choice("level", default.level, &levels),
            format: section.choice("format", default.format, &formats),
            access: section.switch("access", default.access),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            format: LogFormat::Text,
            access: false,
        }
    }
}
