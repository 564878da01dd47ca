//! `[callbacks]`: telling producers of deliveries.

use super::section::Section;

/// `[callbacks]`: what is told to others when a message is delivered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Callbacks {
    /// Whether a callback may go to an address of a private network or of this machine. Whoever pushes names the
    /// callback, so with this on a stranger can make the server call what only the server can reach.
    pub allow_private: bool,
}

impl Callbacks {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        Self {
            allow_private: section.switch("allow_private", default.allow_private),
        }
    }
}
