//! Waiting on any file descriptor that can be polled: event counters and timers.

use std::{io, os::fd::OwnedFd, os::unix::net::UnixStream as StdUnixStream};

use monoio::net::UnixStream;

/// Waits until a descriptor is readable; reading it is its owner's business.
pub struct Watch {
    /// The runtime offers readiness for its own socket types only. Readiness is a matter of the descriptor, not of
    /// what it stands for, so one of those types carries ours; nothing else of it is used.
    carrier: UnixStream,
}

impl Watch {
    /// Watches a descriptor of its own, usually a duplicate.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            carrier: UnixStream::from_std(StdUnixStream::from(descriptor))?,
        })
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) -> io::Result<()> {
        self.carrier.readable(false).await
    }
}
