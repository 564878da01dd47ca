//! Whole numbers as text.

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

/// Appends a number as it is spelled in decimal. Every answer has some, and formatting by the standard library's means
/// costs several times as much.
pub fn write_decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut rest = number;
    let mut count = 0;
    for place in digits.iter_mut().rev() {
        // The remainder is below ten.
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_MAX - count..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_the_standard_library_does() {
        for number in [0, 7, 10, 99, 100, 404, 65_536, u64::MAX / 3, u64::MAX] {
            let mut out = b"x".to_vec();
            write_decimal(number, &mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
