//! When a ledger takes a checkpoint, syncs, and is congested.

use std::time::Duration;

/// Writes of this many bytes are taken into the tables together. More makes each change cheaper there, and takes
/// more memory and a longer replay.
const CHECKPOINT_BYTES: usize = 8 << 20;

/// Writes wait no longer than this for others to join them.
const CHECKPOINT_AGE: Duration = Duration::from_secs(10);

/// Past this, the ledger is congested.
const CONGESTED_BYTES: usize = 4 * CHECKPOINT_BYTES;

/// How often the journal is brought to the disk where nobody waits for it.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// When a ledger does what it does by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub checkpoint_bytes: usize,
    pub checkpoint_age: Duration,
    pub congested_bytes: usize,
    pub sync_interval: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            checkpoint_bytes: CHECKPOINT_BYTES,
            checkpoint_age: CHECKPOINT_AGE,
            congested_bytes: CONGESTED_BYTES,
            sync_interval: SYNC_INTERVAL,
        }
    }
}
