//! How a repeat of a push is told from a new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Realm, Tenant};

/// A producer's own name for a push; the same text of two tenants names two pushes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// Where it pushes to.
    pub realm: Realm,
    /// Whose producer it is.
    pub tenant: Tenant,
    /// As the producer spells it.
    pub text: Box<str>,
}

/// A digest of what a push says. Under one key it must not change: else one of two messages would be dropped unseen.
pub type Fingerprint = [u8; 16];

/// By what repeats of a push are known, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Its name.
    pub key: IdempotencyKey,
    /// What it says.
    pub fingerprint: Fingerprint,
    /// How long the key is remembered, from the first push on.
    pub life: Duration,
}
