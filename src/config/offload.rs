//! `[offload]`: what history and callbacks run on.

use std::path::PathBuf;

use super::section::Section;
use super::size::Size;
use super::value;

/// `[offload]`: the threads, the memory and the disk of what may take long, which are history and callbacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Offload {
    /// Threads of the pool, 1 to 64.
    pub threads: usize,
    /// Events that may be on their way from the workers to the spool, 64 to 1 048 576.
    pub channel: usize,
    /// Bytes of memory for them, 1 MiB to 64 GiB.
    pub channel_memory: Size,
    /// The folder of the spool, which has events until all that is to be done with them is done; it is made if it does
    /// not exist.
    pub spool: PathBuf,
    /// Bytes that the spool may take of its disk, 16 MiB to 1 TiB.
    pub spool_max: Size,
    /// What this server is called in its events; none: host name and port.
    pub agent: Option<Box<str>>,
}

impl Offload {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        Self {
            threads: section.count("threads", default.threads, 1..=64),
            channel: section.count("channel", default.channel, 64..=1_048_576),
            channel_memory: section.size(
                "channel_memory",
                default.channel_memory,
                Size::from_mebibytes(1)..=Size::from_gibibytes(64),
            ),
            spool: section.path("spool", default.spool),
            spool_max: section.size(
                "spool_max",
                default.spool_max,
                Size::from_mebibytes(16)..=Size::from_gibibytes(1024),
            ),
            agent: section.parsed(
                "agent",
                default.agent,
                "\"\" or a name of at most 255 bytes",
                value::show,
                |value| match value.as_str()? {
                    "" => Some(None),
                    name => (name.len() <= 255).then(|| Some(name.into())),
                },
            ),
        }
    }
}

impl Default for Offload {
    fn default() -> Self {
        Self {
            threads: 2,
            channel: 16_384,
            channel_memory: Size::from_mebibytes(64),
            spool: PathBuf::from("popbox-spool"),
            spool_max: Size::from_gibibytes(1),
            agent: None,
        }
    }
}
