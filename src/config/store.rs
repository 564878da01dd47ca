//! `[store]`: where messages are kept.

use std::path::PathBuf;

use super::section::Section;
use super::size::Size;

/// `[store]`: where messages are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// The folder of the embedded store; it is made if it does not exist.
    pub path: PathBuf,
    /// When the embedded store acknowledges a write.
    pub durability: Durability,
    /// Free space of the store's disk below which pushes are refused, so that what is stored can still be popped
    /// and deleted; at most 1 TiB, 0: never.
    pub min_free: Size,
    /// Memory for cached blocks of the storage library, 1 MiB to 64 GiB.
    pub cache: Size,
    /// Whether the files are read through for damage at each start.
    pub check_on_open: bool,
}

/// Which store keeps the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Files of this machine.
    Embedded,
    /// Redis servers, which many servers of ours may share.
    Redis,
}

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk: a power cut loses nothing that was acknowledged.
    Sync,
    /// Once the system has it, which puts it on the disk a little later: a killed process loses nothing, a power
    /// cut may lose the last moments.
    Interval,
}

impl Store {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let kinds = [
            ("embedded", StoreKind::Embedded),
            ("redis", StoreKind::Redis),
        ];
        let durabilities = [
            ("sync", Durability::Sync),
            ("interval", Durability::Interval),
        ];
        Self {
            kind: section.choice("kind", default.kind, &kinds),
            path: section.path("path", default.path),
            durability: section.choice("durability", default.durability, &durabilities),
            min_free: section.size(
                "min_free",
                default.min_free,
                Size::from_bytes(0)..=Size::from_gibibytes(1024),
            ),
            cache: section.size(
                "cache",
                default.cache,
                Size::from_mebibytes(1)..=Size::from_gibibytes(64),
            ),
            check_on_open: section.switch("check_on_open", default.check_on_open),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::Embedded,
            path: PathBuf::from("popbox-data"),
            durability: Durability::Sync,
            min_free: Size::from_mebibytes(64),
            cache: Size::from_mebibytes(64),
            check_on_open: true,
        }
    }
}
