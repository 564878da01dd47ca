//! Hand-outs as servers tell of them: without contents.

use bytes::Bytes;

use super::reader::{Reader, expand_counts};
use crate::mailbox::{LeaseId, Message, TransactionId};

/// Messages that are handed out together, or looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) lease: LeaseId,
    /// Of the payloads.
    pub(super) bytes: usize,
    pub(super) messages: Vec<Lent>,
    /// The payload of the one message, if it came with it.
    pub(super) payload: Option<Bytes>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) id: TransactionId,
    /// How often it has been handed out, this time included; 0 where it is only looked at.
    pub(super) deliveries: u32,
}

impl Lent {
    /// One that is only looked at.
    pub(super) fn seen(id: TransactionId) -> Self {
        Self { id, deliveries: 0 }
    }

    pub(super) fn with(self, payload: Bytes) -> Message {
        Message {
            id: self.id,
            payload,
            deliveries: self.deliveries,
        }
    }
}

impl Handed {
    /// The one message whose payload came with it.
    pub(super) fn carried(&self) -> Option<Message> {
        let (Some(payload), [lent]) = (&self.payload, &self.messages[..]) else {
            return None;
        };
        // In a buffer of its own: this one is a part of whatever came with it.
        Some(lent.with(Bytes::copy_from_slice(payload)))
    }

    pub(super) fn ids(&self) -> Vec<TransactionId> {
        self.messages.iter().map(|it| it.id).collect()
    }

    /// Reads `<lease> <bytes> <deliveries> <ids>`: so many, or all that follow.
    pub(super) fn read(reader: &mut Reader<'_>, count: Option<usize>) -> Option<Self> {
        let lease = LeaseId(reader.number()?);
        let bytes = usize::try_from(reader.number()?).ok()?;
        let counts = reader.word()?;
        let ids = match count {
            Some(count) => reader.ids(count)?,
            None => reader.all_ids()?,
        };
        let counts = expand_counts(counts, ids.len())?;
        let lent = |(id, deliveries)| Lent { id, deliveries };
        let messages = ids.into_iter().zip(counts).map(lent);
        Some(Self {
            lease,
            bytes,
            messages: messages.collect(),
            payload: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_its_count() {
        let ids: Vec<TransactionId> = (1..=4)
            .map(|number| TransactionId::from_random([number; 16]))
            .collect();
        let joined: String = ids.iter().map(ToString::to_string).collect();
        let answer = Bytes::from(format!("1025 30 3,5,1 {joined}"));
        let handed = Handed::read(&mut Reader::new(&answer), None).unwrap();
        assert_eq!((handed.lease, handed.bytes), (LeaseId(1025), 30));
        let read = handed.messages.iter();
        let read: Vec<_> = read.map(|it| (it.id, it.deliveries)).collect();
        let expected = [3, 5, 1, 1];
        let expected: Vec<_> = ids.iter().zip(expected).map(|(&id, it)| (id, it)).collect();
        assert_eq!(read, expected);
        for nonsense in ["1 2 ", "1 2  ", "1 2 x ", "1 2 1,1,1,1,1 ", "1 2 1, "] {
            let answer = Bytes::from(format!("{nonsense}{joined}"));
            assert_eq!(
                Handed::read(&mut Reader::new(&answer), None),
                None,
                "{nonsense}"
            );
        }
    }
}
