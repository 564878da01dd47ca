//! Sizes as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written as an operator writes it: `512`, `16KiB`, `8MiB`, `10MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(usize);

/// A text that is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of bytes, such as 512, 16KiB, 8MiB or 10MB")]
pub struct NotASize;

/// Units with their bytes. Those that [`Size`] is displayed in come first, the largest before the smaller.
const UNITS: [(&str, usize); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const DISPLAYED_UNITS: usize = 4;

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: usize) -> Self {
        Self(bytes)
    }

    /// So many times 1024 bytes; for constants, it does not look out for overflow.
    pub const fn from_kibibytes(kibibytes: usize) -> Self {
        Self(kibibytes << 10)
    }

    /// So many times 1024² bytes; for constants, it does not look out for overflow.
    pub const fn from_mebibytes(mebibytes: usize) -> Self {
        Self(mebibytes << 20)
    }

    /// So many times 1024³ bytes; for constants, it does not look out for overflow.
    pub const fn from_gibibytes(gibibytes: usize) -> Self {
        Self(gibibytes << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let text = text.trim();
        let end = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let bytes_of_unit = match unit.trim_start() {
            "" => 1,
            unit => {
                let same = |(name, _): &&(&str, usize)| name.eq_ignore_ascii_case(unit);
                UNITS.iter().find(same).ok_or(NotASize)?.1
            }
        };
        let number: usize = number.parse().map_err(|_| NotASize)?;
        number.checked_mul(bytes_of_unit).map(Self).ok_or(NotASize)
    }
}

impl fmt::Display for Size {
    /// Writes the largest binary unit that leaves no fraction, so that it is read back as it was.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, usize)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        match UNITS.iter().take(DISPLAYED_UNITS).find(fits) {
            Some((unit, bytes)) => write!(formatter, "{}{unit}", self.0 / bytes),
            None => write!(formatter, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("16KiB", 16 << 10),
            ("8MiB", 8 << 20),
            ("8mib", 8 << 20),
            ("1 GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("10KB", 10_000),
            ("10MB", 10_000_000),
            ("1GB", 1_000_000_000),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "MiB",
            "x",
            "-1",
            "1.5MiB",
            "8M",
            "8 MiB x",
            "99999999999999999999",
            "99999999TiB",
        ] {
            assert_eq!(text.parse::<Size>(), Err(NotASize), "{text:?}");
        }
    }

    #[test]
    fn what_is_displayed_is_read_back() {
        for bytes in [
            0,
            1,
            1_000,
            1_024,
            1_536,
            8 << 20,
            10_000_000,
            1 << 40,
            usize::MAX,
        ] {
            let size = Size(bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        assert_eq!(Size(8 << 20).to_string(), "8MiB");
        assert_eq!(Size(1_536).to_string(), "1536");
    }
}
