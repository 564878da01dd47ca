//! Hashing of ids and tickets, which are looked up several times for each message.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Hashes with a multiplication for each word, under two keys drawn by lot for each table.
///
/// The standard hash is made for keys that somebody may choose so that they collide. Nobody chooses these: tickets are
/// numbered by the workers, and an id comes into a table only when this server has drawn it (or the one whose messages
/// were taken over). Clients can ask for ids of their choice, and one that is not there adds nothing. Names of queues
/// and idempotency keys, which clients do choose, have the standard hash.
#[derive(Clone, Debug)]
pub(super) struct IdHash {
    start: u64,
    factor: u64,
}

impl Default for IdHash {
    fn default() -> Self {
        let lot = RandomState::new();
        Self {
            start: lot.hash_one(0),
            factor: lot.hash_one(1) | 1,
        }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher {
            state: self.start,
            factor: self.factor,
        }
    }
}

/// An id under way.
#[derive(Debug)]
pub(super) struct IdHasher {
    state: u64,
    factor: u64,
}

impl IdHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        // Both are below 2^64.
        self.state = u64::try_from(low ^ high).unwrap_or_default();
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        for &byte in rest {
            self.mix(byte.into());
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, _length: usize) {
        // The length of an id, which is always the same.
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::mailbox::{Ticket, TransactionId};

    #[test]
    fn neighbours_are_spread() {
        let hash = IdHash::default();
        let mut hashes = HashSet::new();
        let mut low = HashSet::new();
        let mut high = HashSet::new();
        for number in 0..1000_u64 {
            let ticket = Ticket { worker: 0, number };
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            for hashed in [
                hash.hash_one(ticket),
                hash.hash_one(TransactionId::from_random(bytes)),
            ] {
                hashes.insert(hashed);
                // What a table goes by: the lower bits choose the place, the upper seven tell neighbours apart.
                low.insert(hashed & 0xff);
                high.insert(hashed >> 57);
            }
        }
        assert_eq!(hashes.len(), 2000);
        assert!(low.len() > 240, "{}", low.len());
        assert!(high.len() > 110, "{}", high.len());
    }
}
