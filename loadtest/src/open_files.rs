//! Whether this process may open as many connections as it is to.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside connections.
const RESERVED: u64 = 64;

/// More connections than this process may open.
#[derive(Debug, thiserror::Error)]
#[error(
    "{connections} connections need more open files than the {limit} this process may have: raise ulimit -n, or share \
     them among several processes"
)]
pub(crate) struct TooFewOpenFiles {
    connections: usize,
    limit: u64,
}

/// Raises the limit of open files as far as the system allows; says if that is not enough for `connections`.
pub(crate) fn allow_connections(connections: usize) -> Result<(), TooFewOpenFiles> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    // Where it cannot be raised, what there is may still be enough.
    let _ = setrlimit(Resource::Nofile, raised);
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < connections as u64 + RESERVED {
        return Err(TooFewOpenFiles { connections, limit });
    }
    Ok(())
}
