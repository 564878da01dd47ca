//! The payload of a message: it says which one it is, and every byte of it can be checked.

/// What a payload carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Of the transaction, in the ledger.
    pub(crate) number: usize,
    /// How many bytes follow the head.
    pub(crate) padding_bytes: usize,
}

/// A letter as a server hands it out.
pub(crate) struct Parcel {
    pub(crate) number: usize,
    /// Of its transaction.
    pub(crate) id: String,
    /// How often it was handed out, if the server says so.
    pub(crate) deliveries: Option<u64>,
}

/// One letter in so many is more than a lazy consumer can deal with.
const UNBEARABLE: usize = 40;

impl Letter {
    /// Whether lazy consumers ack it only when they have seen it too often.
    pub(crate) fn is_unbearable(number: usize) -> bool {
        number % UNBEARABLE == 7
    }

    pub(crate) fn text(self) -> String {
        let pattern = format!("{:x}/", self.number.wrapping_mul(0x9E37_79B9));
        let padding = pattern.chars().cycle().take(self.padding_bytes);
        let mut text = format!("{}.{}.", self.number, self.padding_bytes);
        text.extend(padding);
        text
    }

    /// Whose payload this is; none if a byte of it is not as it was pushed.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut fields = text.splitn(3, '.');
        let letter = Self {
            number: fields.next()?.parse().ok()?,
            padding_bytes: fields.next()?.parse().ok()?,
        };
        // Not before its length is known to be right: a damaged one may ask for anything.
        (fields.next()?.len() == letter.padding_bytes && letter.text() == text).then_some(letter)
    }
}
