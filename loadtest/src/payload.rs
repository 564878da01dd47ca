//! Payloads that say which push they are from.

use std::io::Write as _;

use crate::random;

/// Makes payloads for one run, and knows them again.
#[derive(Clone, Debug)]
pub(crate) struct Payloads {
    /// What all payloads of the run begin with, so that what an earlier run left behind is not taken for its own.
    mark: String,
    run: u64,
    /// The sizes there are, one of which each payload has by chance.
    sizes: Vec<usize>,
    /// Where deliveries are to be told, as JSON; empty for nowhere.
    callback: String,
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

    /// Of the run with this number, of these sizes in bytes, all equally often.
    pub(crate) fn new(run: u64, sizes: &[usize]) -> Self {
        let within = |bytes: &usize| (*bytes).clamp(Self::BYTES_MIN, Self::BYTES_MAX);
        Self {
            mark: format!("{run:016x}-"),
            run,
            sizes: sizes.iter().map(within).collect(),
            callback: String::new(),
        }
    }

    /// With a callback for each.
    pub(crate) fn with_callback(mut self, url: Option<&str>) -> Self {
        self.callback = url
            .map(|url| serde_json::json!(url).to_string())
            .unwrap_or_default();
        self
    }

    /// The callback, as JSON; empty for none.
    pub(crate) fn callback(&self) -> &str {
        &self.callback
    }

    /// The mean of their sizes.
    pub(crate) fn bytes(&self) -> usize {
        let sum: usize = self.sizes.iter().sum();
        sum.checked_div(self.sizes.len()).unwrap_or(Self::BYTES_MIN)
    }

    /// The size of the payload of the push with this number.
    pub(crate) fn bytes_of(&self, number: u64) -> usize {
        let place = match u32::try_from(self.sizes.len()) {
            Ok(0 | 1) | Err(_) => 0,
            Ok(sizes) => random::below(sizes, self.run, number) as usize,
        };
        self.sizes.get(place).copied().unwrap_or(Self::BYTES_MIN)
    }

    /// Appends the payload of the push with this number.
    pub(crate) fn write(&self, number: u64, to: &mut Vec<u8>) {
        let end = to.len() + self.bytes_of(number);
        to.extend_from_slice(self.mark.as_bytes());
        // A Vec takes everything.
        let _ = write!(to, "{number:0NUMBER_DIGITS$}");
        to.resize(end, b'x');
    }

    /// Which push this is from; none if it is not of this run.
    pub(crate) fn number(&self, payload: &str) -> Option<u64> {
        let rest = payload.strip_prefix(&self.mark)?;
        let number = rest.get(..NUMBER_DIGITS)?.parse().ok()?;
        (payload.len() == self.bytes_of(number)).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_size_and_its_number() {
        for bytes in [1, 33, 34, 200, 10_000] {
            let payloads = Payloads::new(77, &[bytes]);
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
    fn of_several_sizes_each_comes_and_is_known_again() {
        let payloads = Payloads::new(3, &[40, 4_000]);
        assert_eq!(payloads.bytes(), 2_020);
        let mut large = 0;
        for number in 0..1_000 {
            let mut written = Vec::new();
            payloads.write(number, &mut written);
            large += usize::from(written.len() == 4_000);
            let text = String::from_utf8(written).unwrap();
            assert_eq!(payloads.number(&text), Some(number));
            assert_eq!(payloads.number(&text[..39]), None, "cut off");
        }
        assert!((400..600).contains(&large), "{large}");
    }

    #[test]
    fn those_of_another_run_are_foreign() {
        let mut written = Vec::new();
        Payloads::new(1, &[200]).write(5, &mut written);
        let text = String::from_utf8(written).unwrap();
        let payloads = Payloads::new(2, &[200]);
        for foreign in [text.as_str(), "", "é", &text[..30]] {
            assert_eq!(payloads.number(foreign), None);
        }
    }
}
