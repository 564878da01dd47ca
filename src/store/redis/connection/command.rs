//! Commands as bytes.

/// Appends a command: an array of bulk strings.
pub(in crate::store::redis) fn encode_command(parts: &[&[u8]], out: &mut Vec<u8>) {
    encode_length(b'*', parts.len(), out);
    for part in parts {
        encode_bulk(part, out);
    }
}

/// Appends one part of a command.
pub(in crate::store::redis) fn encode_bulk(part: &[u8], out: &mut Vec<u8>) {
    encode_length(b'$', part.len(), out);
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// Appends how many parts or bytes follow.
pub(in crate::store::redis) fn encode_length(marker: u8, length: usize, out: &mut Vec<u8>) {
    // Nearly all of them are so short, and arrays of a known length are cheap to append.
    match u8::try_from(length) {
        Ok(length @ 0..10) => out.extend_from_slice(&[marker, b'0' + length, b'\r', b'\n']),
        Ok(length @ 10..100) => {
            let (tens, ones) = (b'0' + length / 10, b'0' + length % 10);
            out.extend_from_slice(&[marker, tens, ones, b'\r', b'\n']);
        }
        _ => {
            out.push(marker);
            out.extend_from_slice(Decimal::of(length as u64).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A number as text, without an allocation.
pub(in crate::store::redis) struct Decimal {
    digits: [u8; 20],
    from: usize,
}

impl Decimal {
    pub(in crate::store::redis) fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        // 20 digits hold every u64.
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            from -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, from }
    }

    pub(in crate::store::redis) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.from..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_they_are_written() {
        for number in [0, 1, 9, 10, 99, 100, 1_800_000_000_250, u64::MAX] {
            let text = number.to_string();
            assert_eq!(Decimal::of(number).as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        encode_command(&[b"GET", b"a\r\nb", b""], &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    }

    #[test]
    fn lengths_of_any_size_are_decimal() {
        for length in [0, 9, 10, 57, 99, 100, 255, 256, 1 << 20] {
            let mut out = Vec::new();
            encode_length(b'$', length, &mut out);
            assert_eq!(out, format!("${length}\r\n").into_bytes());
        }
    }
}
