//! Waits that are not all of the same length.

use std::time::Duration;

use uuid::Uuid;

/// Between half of a duration and all of it, so that not all who wait come at once.
pub(super) fn jittered(whole: Duration) -> Duration {
    let random = u32::from(Uuid::new_v4().into_bytes()[0]);
    whole / 2 + whole / 2 * random / 255
}
