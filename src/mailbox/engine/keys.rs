//! Pushes that are known by their idempotency keys.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::super::{IdempotencyKey, UnixMillis};
use super::KnownPush;

/// All keys.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    pushes: HashMap<Arc<IdempotencyKey>, KnownPush>,
    by_end: BTreeSet<(UnixMillis, Arc<IdempotencyKey>)>,
}

impl KeyTable {
    pub(super) fn len(&self) -> usize {
        self.pushes.len()
    }

    /// The push of a key, if its life is not over.
    pub(super) fn find(&self, key: &IdempotencyKey, now: UnixMillis) -> Option<&KnownPush> {
        self.pushes.get(key).filter(|push| push.until > now)
    }

    /// Notes a push, instead of one whose life is over if need be.
    pub(super) fn insert(&mut self, key: IdempotencyKey, push: KnownPush) {
        let key = Arc::new(key);
        self.by_end.insert((push.until, Arc::clone(&key)));
        if let Some(before) = self.pushes.insert(Arc::clone(&key), push)
            && before.until != push.until
        {
            self.by_end.remove(&(before.until, key));
        }
    }

    /// When the next key is to be forgotten.
    pub(super) fn next_forgotten(&self) -> Option<UnixMillis> {
        self.by_end.first().map(|&(until, _)| until)
    }

    /// Forgets a key whose life is over.
    pub(super) fn forget_old(&mut self, now: UnixMillis) -> Option<Arc<IdempotencyKey>> {
        if self.next_forgotten()? > now {
            return None;
        }
        let (_, key) = self.by_end.pop_first()?;
        self.pushes.remove(&key);
        Some(key)
    }
}
