//! Payloads that say which push they are from.

use std::io::Write as _;

/// Makes payloads of one size for one run, and knows them again.
#[derive(Clone, Debug)]
pub(crate) struct Payloads {
    /// What all payloads of the run begin with, so that what an earlier run left behind is not taken for its own.
    mark: String,
    bytes: usize,
}

/// Digits of a push's number.
const NUMBER_DIGITS: usize = 16;

/// Bytes of the run's mark, its dash included.
const MARK_BYTES: usize = 17;

impl Payloads {
    /// The least there is room for.
    pub(crate) const BYTES_MIN: usize = MARK_BYTES + NUMBER_DIGITS;
    /// What popbox takes.
    pub(crate) const BYTES_MAX: usize = 1 << 20;

    /// Of the run with this number, `bytes` each.
    pub(crate) fn new(run: u64, bytes: usize) -> Self {
        Self {
            mark: format!("{run:016x}-"),
            bytes: bytes.clamp(Self::BYTES_MIN, Self::BYTES_MAX),
        }
    }

    /// Their size.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the payload of the push with this number.
    pub(crate) fn write(&self, number: u64, to: &mut Vec<u8>) {
        let end = to.len() + self.bytes;
        to.extend_from_slice(self.mark.as_bytes());
        // A Vec takes everything.
        let _ = write!(to, "{number:0NUMBER_DIGITS$}");
        to.resize(end, b'x');
    }

    /// Which push this is from; none if it is not of this run.
    pub(crate) fn number(&self, payload: &str) -> Option<u64> {
        if payload.len() != self.bytes {
            return None;
        }
        let rest = payload.strip_prefix(&self.mark)?;
        rest.get(..NUMBER_DIGITS)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_size_and_its_number() {
        for bytes in [1, 33, 34, 200, 10_000] {
            let payloads = Payloads::new(77, bytes);
            for number in [0, 1, 9_999_999_999_999_999] {
                let mut written = Vec::new();
                payloads.write(number, &mut written);
                assert_eq!(written.len(), bytes.max(33));
                let text = String::from_utf8(written).unwrap();
                assert_eq!(payloads.number(&text), Some(number));
            }
        }
    }

    #[test]
    fn those_of_another_run_are_foreign() {
        let mut written = Vec::new();
        Payloads::new(1, 200).write(5, &mut written);
        let text = String::from_utf8(written).unwrap();
        let payloads = Payloads::new(2, 200);
        for foreign in [text.as_str(), "", "é", &text[..30]] {
            assert_eq!(payloads.number(foreign), None);
        }
    }
}
