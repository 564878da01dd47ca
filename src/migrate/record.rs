//! The old fields of a transaction, as they are kept here.

use bytes::Bytes;

use super::report::Left;
use crate::mailbox::Record;

/// Fields that have a place of their own, or that say where it went.
const KNOWN_FIELDS: [&str; 6] = [
    "payload",
    "priority",
    "queue",
    "groups",
    "callback",
    "expirationDate",
];

/// The last second that the old server could name.
const DATE_MAX: f64 = 2_147_483_647.0;

/// What the fields say.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    pub(super) record: Record,
    /// In seconds since 1970.
    pub(super) expires_at: u32,
}

/// Why the fields cannot be kept here, and the field that is to blame.
#[derive(Debug, PartialEq)]
pub(super) struct Unfit {
    pub(super) why: Left,
    pub(super) field: &'static str,
}

impl Content {
    /// Reads the fields of a transaction that is alive at `now`, in seconds since 1970.
    pub(super) fn read(pairs: &[[Bytes; 2]], payload_max: usize, now: u64) -> Result<Self, Unfit> {
        let broken = |field| Unfit {
            why: Left::BrokenFields,
            field,
        };
        let mut record = Record::default();
        let (mut payload, mut expires_at) = (None, None);
        for [name, value] in pairs {
            let name = std::str::from_utf8(name).map_err(|_| broken("a name"))?;
            let known = KNOWN_FIELDS.into_iter().find(|it| *it == name);
            let text = std::str::from_utf8(value)
                .map_err(|_| broken(known.unwrap_or("a producer's own field")))?;
            match name {
                "payload" => payload = Some((value, text)),
                "callback" => record.callback = (!text.is_empty()).then(|| text.into()),
                "expirationDate" => expires_at = second(text),
                _ if known.is_some() => {}
                _ => record.fields.push((name.into(), text.into())),
            }
        }
        // A hash has no order, and what is shown is to be the same each time.
        record.fields.sort_unstable();
        let (value, text) = payload.ok_or(broken("payload"))?;
        let expires_at = expires_at.ok_or(broken("expirationDate"))?;
        if u64::from(expires_at) <= now {
            return Err(Unfit {
                why: Left::Expired,
                field: "expirationDate",
            });
        }
        if text.len() > payload_max && text.encode_utf16().count() > payload_max {
            return Err(Unfit {
                why: Left::PayloadTooLong,
                field: "payload",
            });
        }
        // Of its own, so that it does not hold what was read along with it.
        record.payload = Bytes::copy_from_slice(value);
        Ok(Self { record, expires_at })
    }
}

/// A date in seconds since 1970, as the old server's programs wrote it: a number, perhaps with a fraction.
fn second(text: &str) -> Option<u32> {
    let seconds: f64 = text.trim().parse().ok()?;
    if !(0.0..=DATE_MAX).contains(&seconds) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 31 bits"
    )]
    let second = seconds.ceil() as u32;
    Some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &[u8])]) -> Result<Content, Unfit> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| [name.as_bytes(), value].map(Bytes::copy_from_slice))
            .collect();
        Content::read(&pairs, 10, 1000)
    }

    #[test]
    fn a_whole_transaction() {
        let content = read(&[
            ("note", b"n"),
            ("payload", "é".as_bytes()),
            ("expirationDate", b"1000.5"),
            ("callback", b"http://c"),
            ("priority", b"H"),
            ("a", b""),
            ("queue", b"[object Object]"),
        ]);
        let record = Record {
            payload: "é".into(),
            callback: Some("http://c".into()),
            fields: vec![("a".into(), "".into()), ("note".into(), "n".into())],
        };
        let expires_at = 1001;
        assert_eq!(content, Ok(Content { record, expires_at }));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let (payload, date) = (("payload", &b"p"[..]), ("expirationDate", &b"2000"[..]));
        let unfit = |why, field| Err(Unfit { why, field });
        for (pairs, expected) in [
            (&[][..], unfit(Left::BrokenFields, "payload")),
            (&[date], unfit(Left::BrokenFields, "payload")),
            (&[payload], unfit(Left::BrokenFields, "expirationDate")),
            (
                &[payload, ("expirationDate", b"soon")],
                unfit(Left::BrokenFields, "expirationDate"),
            ),
            (
                &[payload, ("expirationDate", b"NaN")],
                unfit(Left::BrokenFields, "expirationDate"),
            ),
            (
                &[payload, ("expirationDate", b"1e10")],
                unfit(Left::BrokenFields, "expirationDate"),
            ),
            (
                &[date, ("payload", b"\xff")],
                unfit(Left::BrokenFields, "payload"),
            ),
            (
                &[date, payload, ("x", b"\xff")],
                unfit(Left::BrokenFields, "a producer's own field"),
            ),
            (
                &[payload, ("expirationDate", b"1000")],
                unfit(Left::Expired, "expirationDate"),
            ),
            (
                &[date, ("payload", b"12345678901")],
                unfit(Left::PayloadTooLong, "payload"),
            ),
        ] {
            assert_eq!(read(pairs), expected, "{pairs:?}");
        }
        let units = "éééééééééé".as_bytes();
        assert!(read(&[date, ("payload", units)]).is_ok());
    }
}
