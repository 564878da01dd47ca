//! Who somebody is: logins, what is kept of their passwords, and the checking of one by the other.
//!
//! - [`Login`]: what a client says of itself.
//! - [`Record`]: what is kept of a secured queue's user.
//! - [`Network`]: where a client is.
//! - [`Guard`]: checks logins on threads of its own, since that is slow on purpose, and remembers those that were
//!   right.
//!
//! What somebody may do is not decided here: that is the [`api`](crate::api)'s to say.

mod failures;
mod guard;
mod known;
mod login;
mod network;
mod record;
#[cfg(test)]
mod tests;
mod verification;

pub use guard::{Asker, Check, Grant, Guard, Outcome, Subject, Verdict};
pub use login::Login;
pub use network::Network;
pub use record::{HashError, Record, hash};
