//! Keys of entries, short and many.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;

/// The longest key that needs no memory of its own; with it a [`Key`] is three words.
const SHORT_BYTES: usize = 22;

/// The key of an entry. Short ones, which are nearly all, are held in place.
#[derive(Clone)]
pub(crate) struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Short {
        length: u8,
        bytes: [u8; SHORT_BYTES],
    },
    Long(Box<[u8]>),
}

impl Key {
    /// Its bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Repr::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Key {
    fn from(slice: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        match (u8::try_from(slice.len()), bytes.get_mut(..slice.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(slice);
                Self(Repr::Short { length, bytes })
            }
            _ => Self(Repr::Long(slice.into())),
        }
    }
}

impl<const LENGTH: usize> From<[u8; LENGTH]> for Key {
    fn from(bytes: [u8; LENGTH]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.as_slice().escape_ascii())
    }
}
