//! Random numbers from a seed that is printed, so that a failing run can be repeated.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// `SplitMix64`: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    /// Seeded by `POPBOX_TEST_SEED`, else by the clock; the seed is printed (shown when the test fails).
    pub fn seeded(test: &str) -> Self {
        let seed = env::var("POPBOX_TEST_SEED").ok().map_or_else(
            || {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                u64::from(since_epoch.subsec_nanos()) ^ (since_epoch.as_secs() << 20)
            },
            |text| text.parse().expect("POPBOX_TEST_SEED is a number"),
        );
        println!("{test}: POPBOX_TEST_SEED={seed}");
        Self(seed)
    }

    /// The generator of a seed that somebody else prints.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one thread of a test.
    pub fn split(&mut self) -> Self {
        Self(self.word())
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.word() % bound as u64).unwrap()
    }

    /// A text of up to `length_max` characters, with the kinds that JSON has to escape among them.
    pub fn text(&mut self, length_max: usize) -> String {
        const ALPHABET: &[char] = &[
            'a', 'b', 'Z', '0', ' ', '"', '\\', '\n', '\u{1}', 'é', '漢', '😀', '/', '<',
        ];
        let length = self.below(length_max + 1);
        (0..length)
            .map(|_| ALPHABET[self.below(ALPHABET.len())])
            .collect()
    }
}
