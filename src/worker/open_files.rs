//! Whether the process may open as many files as it is to have connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Descriptors beside connections: listeners, rings, timers, logs and the files of the store.
const RESERVED: u64 = 512;

/// Raises the limit of open files as far as `connections` needs and the system allows; how many connections are
/// possible then. What is not possible is said.
pub(super) fn allow_connections(connections: usize) -> usize {
    let wanted = connections as u64 + RESERVED;
    let before = getrlimit(Resource::Nofile);
    if before.current.is_some_and(|current| current < wanted) {
        // Beyond the hard limit only a privileged process gets; then the hard limit itself is what is left.
        let hard = before.maximum.map(|maximum| maximum.max(wanted));
        let raised = Rlimit {
            current: Some(wanted),
            maximum: hard,
        };
        if setrlimit(Resource::Nofile, raised).is_err() {
            let current = before.maximum.map_or(wanted, |maximum| maximum.min(wanted));
            let possible = Rlimit {
                current: Some(current),
                maximum: before.maximum,
            };
            if let Err(error) = setrlimit(Resource::Nofile, possible) {
                warn!(%error, "cannot raise the limit of open files");
            }
        }
    }
    let after = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if after >= wanted {
        if before.current != Some(after) {
            info!(open_files = after, "raised the limit of open files");
        }
        return connections;
    }
    let possible = usize::try_from(after.saturating_sub(RESERVED))
        .unwrap_or(usize::MAX)
        .max(1);
    warn!(
        open_files = after,
        needed = wanted,
        "limits.max_connections = {connections} needs more open files than this process may have; \
         {possible} connections are possible: raise LimitNOFILE in the unit, or ulimit -n"
    );
    possible
}
