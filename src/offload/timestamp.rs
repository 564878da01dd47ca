//! Moments as events and callbacks show them: `2026-11-21T16:33:25.157Z`.

use std::fmt;

use mongodb::bson::DateTime;

use crate::mailbox::UnixMillis;

/// Writes a moment in UTC with milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub UnixMillis);

impl Timestamp {
    /// Reads a moment, in any zone and however exact; none where it is another text, or before 1970.
    pub fn parse(text: &str) -> Option<UnixMillis> {
        let time = DateTime::parse_rfc3339_str(text).ok()?;
        u64::try_from(time.timestamp_millis()).ok().map(UnixMillis)
    }
}

const MILLIS_OF_DAY: u64 = 86_400_000;
const DAYS_OF_400_YEARS: u64 = 146_097;

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.0;
        let (year, month, day) = date(millis / MILLIS_OF_DAY);
        let of_day = millis % MILLIS_OF_DAY;
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

/// Year, month and day of a day since 1970. Years are counted from March, so that a leap day is the last of its year.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_603_200_000, "2024-12-31T00:00:00.000Z"),
            (1_795_278_805_157, "2026-11-21T16:33:25.157Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(UnixMillis(millis)).to_string(), expected);
        }
        assert!(!Timestamp(UnixMillis(u64::MAX)).to_string().is_empty());
    }
}
