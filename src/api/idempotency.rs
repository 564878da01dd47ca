//! The header `Idempotency-Key` of a push.

use blake2::{Blake2b, Digest, digest::consts::U16};

use super::Asked;
use crate::{
    http::Request,
    mailbox::{Fingerprint, Idempotency, IdempotencyKey, validation::Origin},
};

/// Its name.
const HEADER: &str = "idempotency-key";

/// Characters of a key.
const KEY_CHARACTERS_MAX: usize = 255;

/// A key that names nothing: empty, too long, of other characters than it may have, or one of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid idempotency-key")]
pub(super) struct InvalidKey;

/// The producer's own name for its push, if it gave one. One that cannot be used is no push without a name: its
/// producer relies on it.
pub(super) fn key(request: &Request) -> Result<Option<&str>, InvalidKey> {
    let mut keys = request.raw_headers(HEADER);
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let is_key = (1..=KEY_CHARACTERS_MAX).contains(&key.len())
        && key.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_key || keys.next().is_some() {
        return Err(InvalidKey);
    }
    std::str::from_utf8(key).map(Some).map_err(|_| InvalidKey)
}

/// By what repeats of a push are known that came with this key.
pub(super) fn idempotency(asked: &Asked<'_>, origin: Origin, key: &str) -> Idempotency {
    Idempotency {
        key: IdempotencyKey {
            realm: origin.realm,
            tenant: origin.tenant,
            text: key.into(),
        },
        fingerprint: fingerprint(asked.request),
        life: asked.settings.limits.idempotency_life,
    }
}

/// A digest of all that makes the push what it is: its body, and the delay that may come beside it.
fn fingerprint(request: &Request) -> Fingerprint {
    let mut digest = Blake2b::<U16>::new();
    let delay = request.target.query("delay");
    // With its length, so that no delay can pass for the beginning of a body.
    let length = delay.as_ref().map_or(u64::MAX, |delay| delay.len() as u64);
    digest.update(length.to_le_bytes());
    digest.update(delay.as_deref().unwrap_or_default().as_bytes());
    digest.update(&request.body);
    digest.finalize().into()
}
