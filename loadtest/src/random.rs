//! Numbers that look random and are the same for the same seed.

/// The `index`-th number of the sequence that belongs to `seed` (splitmix64). Any thread can compute any of them.
pub(crate) fn number(seed: u64, index: u64) -> u64 {
    let mut mixed = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// As [`number`], below `bound`.
pub(crate) fn below(bound: u32, seed: u64, index: u64) -> u32 {
    // The upper half of a product is below `bound` and needs no division.
    let scaled = u128::from(number(seed, index)) * u128::from(bound);
    u32::try_from(scaled >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        assert_eq!(number(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(number(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn all_numbers_below_the_bound_come_about_equally_often() {
        let mut times = [0_u32; 10];
        for index in 0..10_000 {
            times[below(10, 7, index) as usize] += 1;
        }
        assert!(
            times.iter().all(|times| (850..1_150).contains(times)),
            "{times:?}"
        );
    }
}
