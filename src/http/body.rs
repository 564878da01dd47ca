//! The bytes of a body that comes in pieces.

use bytes::{Buf, Bytes, BytesMut};

/// A body that grows with what arrives, never with what was promised: whoever declares 8 MiB and sends nothing costs
/// nothing.
#[derive(Debug)]
pub(super) struct BodyBuffer {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl BodyBuffer {
    /// An empty one that may come to hold `bytes_max`: the declared length, or the limit.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max,
        }
    }

    /// Moves what there is of the next `left` bytes from the front of `input`, and counts it off `left`. The caller
    /// sees to it that no more than `bytes_max` come in all.
    pub(super) fn take_from(&mut self, input: &mut BytesMut, left: &mut usize) {
        let count = input.len().min(*left);
        let piece = input.get(..count).unwrap_or_default();
        let needed = self.bytes.len().saturating_add(count);
        if needed > self.bytes.capacity() {
            // By doubling, so that many small pieces cost linear time, but not past what can come.
            let doubled = self.bytes.capacity().saturating_mul(2);
            let capacity = needed.max(doubled.min(self.bytes_max));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        input.advance(count); // never more than its length
        *left -= count; // never more than `left`
    }

    /// Bytes received.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory held.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The body; without a copy.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_what_arrived_and_stops_at_the_limit() {
        let mut body = BodyBuffer::new(1000);
        assert_eq!(body.capacity(), 0);
        let mut growths = 0;
        for received in 1..=1000 {
            let (mut left, before) = (5, body.capacity());
            body.take_from(&mut BytesMut::from("x"), &mut left);
            assert_eq!(left, 4);
            growths += usize::from(body.capacity() != before);
            assert!(body.capacity() <= (received * 2).min(1000));
        }
        assert!(growths <= 11, "{growths}");
        assert_eq!(body.into_bytes().len(), 1000);
    }
}
