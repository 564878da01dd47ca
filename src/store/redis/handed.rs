//! Hand-outs as servers tell of them: without contents.

use bytes::Bytes;

use super::reader::Reader;
use crate::mailbox::{LeaseId, Message, TransactionId};

/// Messages that are handed out together, or looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) lease: LeaseId,
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
    /// Of its payload, as far as the queue knows.
    pub(super) bytes: u32,
}

/// The bytes of one of them in an answer.
const LENT_BYTES: usize = 42;

impl Lent {
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

    /// Of all payloads.
    pub(super) fn bytes(&self) -> usize {
        self.messages.iter().map(|it| it.bytes as usize).sum()
    }

    /// Reads what is the last of an answer: if anything follows, it is a payload.
    pub(super) fn read_last(answer: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(answer);
        let mut handed = Self::read(&mut reader)?;
        if !reader.is_empty() {
            handed.payload = reader.bytes(reader.left());
        }
        Some(handed)
    }

    /// Reads the lease, how many messages there are, and each.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let lease = LeaseId(reader.whole()?);
        let count = usize::try_from(u32::from_be_bytes(reader.array()?)).ok()?;
        let mut messages = Vec::with_capacity(count.min(reader.left() / LENT_BYTES));
        for _ in 0..count {
            let deliveries = u16::from_be_bytes(reader.array()?).into();
            let bytes = u32::from_be_bytes(reader.array()?);
            messages.push(Lent {
                id: reader.id()?,
                deliveries,
                bytes,
            });
        }
        Some(Self {
            lease,
            messages,
            payload: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_read_and_no_part_of_one() {
        let id = |number| TransactionId::from_random([number; 16]);
        let mut answer = Vec::new();
        answer.extend(1025_f64.to_be_bytes());
        answer.extend(3_u32.to_be_bytes());
        for number in 1..=3_u8 {
            answer.extend(u16::from(number).to_be_bytes());
            answer.extend((u32::from(number) * 100).to_be_bytes());
            answer.extend(id(number).to_string().bytes());
        }
        let whole = Bytes::from(answer);
        let mut reader = Reader::new(&whole);
        let handed = Handed::read(&mut reader).unwrap();
        assert_eq!((handed.lease, handed.bytes()), (LeaseId(1025), 600));
        assert!(reader.is_empty());
        for (number, lent) in (1..=3).zip(&handed.messages) {
            assert_eq!((lent.id, lent.deliveries), (id(number), number.into()));
        }
        for end in 0..whole.len() {
            let part = whole.slice(..end);
            assert_eq!(Handed::read(&mut Reader::new(&part)), None, "{end}");
        }
    }
}
