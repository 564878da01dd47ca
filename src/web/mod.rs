//! The pages a person looks at: HTML without scripts, in light and dark, on large screens and small ones.
//!
//! Whatever comes from outside goes through `Page::text`, which escapes it; markup is only ever written in
//! this room's own source. The pages only look: nothing is changed by them.

mod dead_letters;
mod escaped;
mod home;
mod page;
mod paths;
mod queue;
mod style;
mod transaction;

pub use dead_letters::dead_letters_page;
pub use home::home_page;
pub use paths::Paths;
pub use queue::queue_page;
pub use style::CONTENT_SECURITY_POLICY;
pub use transaction::{EVENTS_SHOWN_MAX, transaction_page, unknown_transaction_page};
