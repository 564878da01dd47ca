//! What a key of the old server's database is for, as far as its name tells.

/// Before the list of a queue, and before what is known of the queue.
const QUEUE: &[u8] = b"PB:Q|";

/// Before everything of a transaction, and before its id in a list.
const TRANSACTION: &[u8] = b"PB:T|";

/// A key by its name. What it really holds is for Redis to tell.
#[derive(Debug, PartialEq)]
pub(super) enum Key<'a> {
    /// The fields of the transaction of this id.
    Meta(&'a [u8]),
    /// The states of the transaction of this id.
    State(&'a [u8]),
    /// Something of a queue.
    Queue(&'a [u8]),
    /// A secured queue's user, a group, or nothing of the old server's.
    Other,
}

impl<'a> Key<'a> {
    pub(super) fn of(key: &'a [u8]) -> Self {
        if let Some(rest) = key.strip_prefix(TRANSACTION) {
            if let Some(id) = rest.strip_suffix(b":meta") {
                return Self::Meta(id);
            }
            if let Some(id) = rest.strip_suffix(b":state") {
                return Self::State(id);
            }
        }
        match key.strip_prefix(QUEUE) {
            Some(rest) => Self::Queue(rest),
            None => Self::Other,
        }
    }
}

/// The id that an entry of a queue's list names.
pub(super) fn listed_id(entry: &[u8]) -> Option<&[u8]> {
    entry.strip_prefix(TRANSACTION)
}

/// The key of a transaction's fields.
pub(super) fn meta_key(id: impl std::fmt::Display) -> Vec<u8> {
    format!("PB:T|{id}:meta").into_bytes()
}

/// The key of a transaction's states.
pub(super) fn state_key(id: impl std::fmt::Display) -> Vec<u8> {
    format!("PB:T|{id}:state").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_names() {
        for (key, expected) in [
            (meta_key("7"), Key::Meta(b"7")),
            (state_key("a:meta"), Key::State(b"a:meta")),
            (b"PB:Q|H:UNSEC:q".to_vec(), Key::Queue(b"H:UNSEC:q")),
            (b"PB:T|7:other".to_vec(), Key::Other),
            (b"PB:T|:meta".to_vec(), Key::Meta(b"")),
            (b"SEC:q".to_vec(), Key::Other),
            (b"\xff".to_vec(), Key::Other),
        ] {
            assert_eq!(Key::of(&key), expected);
        }
    }

    #[test]
    fn an_entry_names_an_id() {
        assert_eq!(listed_id(b"PB:T|7"), Some(&b"7"[..]));
        assert_eq!(listed_id(b"7"), None);
    }
}
