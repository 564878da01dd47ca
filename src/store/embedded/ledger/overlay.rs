//! Writes in memory, over the tables.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Write;
use super::key::Key;
use super::table::Table;

/// What an entry takes beside its key and value, roughly.
const ENTRY_BYTES: usize = 96;

/// Writes in memory, the latest for each key; what is under them is somewhere else.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    tables: [BTreeMap<Key, Option<Bytes>>; Table::COUNT],
    bytes: usize,
}

impl Overlay {
    /// Puts a write over whatever is there for its key.
    pub(super) fn insert(&mut self, write: Write) {
        let Some(entries) = self.tables.get_mut(write.table.index()) else {
            return; // Cannot be: there is a place for every code.
        };
        let length = write.value.as_ref().map_or(0, Bytes::len);
        let key_length = write.key.as_slice().len();
        match entries.insert(write.key, write.value) {
            None => self.bytes += ENTRY_BYTES + key_length + length,
            Some(old) => self.bytes = self.bytes - old.map_or(0, |old| old.len()) + length,
        }
    }

    /// What is written for a key: nothing, a removal or a value.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Bytes>> {
        self.entries(table).get(&Key::from(key))
    }

    /// All writes to a table.
    pub(super) fn entries(&self, table: Table) -> &BTreeMap<Key, Option<Bytes>> {
        static NONE: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        self.tables.get(table.index()).unwrap_or(&NONE)
    }

    /// Memory it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}
