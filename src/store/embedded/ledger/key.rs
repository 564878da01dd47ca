//! Keys of entries, short and many.

use std::cmp::Ordering;
use std::fmt;

/// The longest key that needs no memory of its own; with it a [`Key`] is three words.
const SHORT_BYTES: usize = 22;

/// Of a short key, as many bytes as are compared at once. Those of most keys are no more: records and marks.
const FRONT_BYTES: usize = 16;

/// The key of an entry. Short ones, which are nearly all, are held in place.
#[derive(Clone)]
pub(crate) struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Short {
        length: u8,
        /// The key, and zeros behind it.
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

/// The beginning of a short key as a number that is ordered as the bytes are.
fn front(bytes: &[u8; SHORT_BYTES]) -> u128 {
    let front = bytes.first_chunk::<FRONT_BYTES>();
    front.map_or(0, |front| u128::from_be_bytes(*front))
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// As the bytes are ordered. Trees of keys do little else, so short ones are compared as numbers: zeros behind a
    /// key put it before all that begin with it, and where those end in zeros themselves the length decides.
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Repr::Short { length, bytes },
                Repr::Short {
                    length: other_length,
                    bytes: other_bytes,
                },
            ) => front(bytes)
                .cmp(&front(other_bytes))
                .then_with(|| bytes.cmp(other_bytes))
                .then_with(|| length.cmp(other_length)),
            _ => self.as_slice().cmp(other.as_slice()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_their_bytes_are() {
        let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
        for length in 1..=SHORT_BYTES + 2 {
            for (at, byte) in [(0, 0), (length - 1, 0), (length - 1, 1), (length - 1, 255)] {
                for filling in [0, 7] {
                    let mut text = vec![filling; length];
                    text[at] = byte;
                    texts.push(text);
                }
            }
        }
        for one in &texts {
            for other in &texts {
                let (left, right) = (Key::from(&one[..]), Key::from(&other[..]));
                assert_eq!(left.cmp(&right), one.cmp(other), "{left:?} and {right:?}");
                assert_eq!(left == right, one == other);
            }
        }
    }
}
