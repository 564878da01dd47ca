//! What functions answer: words with a space behind each, ids without, and numbers of so many bytes.

use std::str;

use bytes::Bytes;

use crate::mailbox::TransactionId;

/// Takes an answer apart, from front to back. Whatever is not as expected is none.
pub(super) struct Reader<'answer> {
    answer: &'answer Bytes,
    at: usize,
}

/// Characters of an id.
const ID_LENGTH: usize = 36;

impl<'answer> Reader<'answer> {
    pub(super) fn new(answer: &'answer Bytes) -> Self {
        Self { answer, at: 0 }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.answer.len()
    }

    /// What stands before the next space.
    pub(super) fn word(&mut self) -> Option<&'answer str> {
        let rest = self.answer.get(self.at..)?;
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        self.at = self.answer.len().min(self.at + end + 1);
        str::from_utf8(rest.get(..end)?).ok()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.word()?.parse().ok()
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.answer.len() - self.at
    }

    pub(super) fn id(&mut self) -> Option<TransactionId> {
        TransactionId::parse(str::from_utf8(&self.array::<ID_LENGTH>()?).ok()?)
    }

    /// So many ids.
    pub(super) fn ids(&mut self, count: usize) -> Option<Vec<TransactionId>> {
        let end = count.checked_mul(ID_LENGTH)?.checked_add(self.at)?;
        let (ids, rest) = self.answer.get(self.at..end)?.as_chunks::<ID_LENGTH>();
        self.at = end;
        let read = |id: &[u8; ID_LENGTH]| TransactionId::parse(str::from_utf8(id).ok()?);
        rest.is_empty()
            .then(|| ids.iter().map(read).collect())
            .flatten()
    }

    /// All that is left, as ids.
    pub(super) fn all_ids(&mut self) -> Option<Vec<TransactionId>> {
        let left = self.left();
        left.is_multiple_of(ID_LENGTH)
            .then(|| self.ids(left / ID_LENGTH))
            .flatten()
    }

    /// So many bytes, to be read as a number.
    pub(super) fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let end = self.at.checked_add(LENGTH)?;
        let bytes = self.answer.get(self.at..end)?.try_into().ok()?;
        self.at = end;
        Some(bytes)
    }

    /// A whole number as functions give it, which know no others than of this kind.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is no whole number is none of theirs"
    )]
    pub(super) fn whole(&mut self) -> Option<u64> {
        Some(f64::from_be_bytes(self.array()?) as u64)
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Option<Bytes> {
        let end = self.at.checked_add(count)?;
        self.answer.get(self.at..end)?;
        let bytes = self.answer.slice(self.at..end);
        self.at = end;
        Some(bytes)
    }
}

/// Numbers with commas between, of which the last stands for all that follow: so many of them.
pub(super) fn expand_counts(word: &str, count: usize) -> Option<Vec<u32>> {
    if count == 0 {
        return word.is_empty().then(Vec::new);
    }
    let read: Result<Vec<u32>, _> = word.split(',').map(str::parse).collect();
    let mut counts = read.ok().filter(|it| it.len() <= count)?;
    let last = *counts.last()?;
    counts.resize(count, last);
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    #[test]
    fn words_ids_and_bytes_come_in_their_order() {
        let answer = Bytes::from(format!("7 - {ID}{ID}a bc{ID}"));
        let mut reader = Reader::new(&answer);
        assert_eq!(reader.number(), Some(7));
        assert_eq!(reader.word(), Some("-"));
        let id = TransactionId::parse(ID).unwrap();
        assert_eq!(reader.ids(2), Some(vec![id; 2]));
        assert_eq!(reader.bytes(4).as_deref(), Some(&b"a bc"[..]));
        assert_eq!(reader.all_ids(), Some(vec![id]));
        assert!(reader.is_empty());
        assert_eq!(reader.all_ids(), Some(vec![]));
    }

    #[test]
    fn what_is_not_there_is_none() {
        let short = ID.trim_end_matches('1');
        for text in ["", "x ", short, &format!("{ID}x")] {
            let answer = Bytes::from(text.to_owned());
            assert_eq!(Reader::new(&answer).number(), None, "{text}");
            assert_eq!(Reader::new(&answer).ids(2), None, "{text}");
            assert_eq!(Reader::new(&answer).bytes(40), None, "{text}");
        }
        let answer = Bytes::from(format!("{ID}x"));
        assert_eq!(Reader::new(&answer).all_ids(), None);
        assert_eq!(Reader::new(&answer).ids(usize::MAX), None);
    }
}
