//! Entries of a table under the writes over it.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::key::Key;
use super::tables::{Entries, Entry, Failure};

/// Is shown the entries of a table, key and value.
pub(crate) type Visitor<'a, E> = dyn FnMut(&[u8], &[u8]) -> Result<(), E> + 'a;

type Writes = BTreeMap<Key, Option<Bytes>>;

/// Three sorted sequences as one; for a key that is in several, the first of them counts.
pub(super) struct Merge<'a> {
    fresh: Peekable<btree_map::Iter<'a, Key, Option<Bytes>>>,
    frozen: Peekable<btree_map::Iter<'a, Key, Option<Bytes>>>,
    entries: Entries<'a>,
    /// The first of the entries that are left, once `is_ahead`.
    entry: Option<Entry<'a>>,
    is_ahead: bool,
}

/// Why it goes no further.
pub(super) enum Stop<E> {
    /// The tables cannot be read.
    Table(Failure),
    /// The visitor said so.
    Visitor(E),
}

impl<'a> Merge<'a> {
    pub(super) fn new(fresh: &'a Writes, frozen: Option<&'a Writes>, entries: Entries<'a>) -> Self {
        static NONE: Writes = BTreeMap::new();
        Self {
            fresh: fresh.iter().peekable(),
            frozen: frozen.unwrap_or(&NONE).iter().peekable(),
            entries,
            entry: None,
            is_ahead: false,
        }
    }

    /// Goes past the next key and shows its entry, unless it is removed; breaks when there is no key left.
    pub(super) fn advance<E>(
        &mut self,
        visit: &mut Visitor<'_, E>,
    ) -> Result<ControlFlow<()>, Stop<E>> {
        if !self.is_ahead {
            self.entry = self.entries.next().map_err(Stop::Table)?;
            self.is_ahead = true;
        }
        let fresh = self.fresh.peek().copied();
        let frozen = self.frozen.peek().copied();
        let stored = self.entry.as_ref().map(|(key, _)| key.value());
        let keys = [
            fresh.map(|(key, _)| key.as_slice()),
            frozen.map(|(key, _)| key.as_slice()),
            stored,
        ];
        let Some(first) = keys.iter().flatten().min().copied() else {
            return Ok(ControlFlow::Break(()));
        };
        let [is_fresh, is_frozen, is_stored] = keys.map(|key| key == Some(first));
        let written = fresh
            .filter(|_| is_fresh)
            .or_else(|| frozen.filter(|_| is_frozen));
        let value = match (written, &self.entry) {
            (Some((_, value)), _) => value.as_deref(),
            (None, Some((_, value))) => Some(value.value()),
            (None, None) => None,
        };
        value
            .map_or(Ok(()), |value| visit(first, value))
            .map_err(Stop::Visitor)?;
        if is_fresh {
            self.fresh.next();
        }
        if is_frozen {
            self.frozen.next();
        }
        self.is_ahead = !is_stored;
        Ok(ControlFlow::Continue(()))
    }
}
