//! `[server]`: where and how it serves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::section::Section;

/// `[server]`: where it listens, with how many threads, and how it stops.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// The address of plain HTTP; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Worker threads, at most 256; 0: one per core.
    pub workers: usize,
    /// How long requests under way may take to finish once the server is told to stop; at most 1 h.
    pub drain: Duration,
}

impl Server {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        Self {
            listen: section.address("listen", default.listen),
            workers: section.count("workers", default.workers, 0..=256),
            drain: section.duration(
                "drain",
                default.drain,
                Duration::ZERO..=Duration::from_hours(1),
            ),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3001)),
            workers: 0,
            drain: Duration::from_secs(10),
        }
    }
}
