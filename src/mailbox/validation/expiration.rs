//! When a transaction ends.

use std::time::Duration;

use super::{Fault, Fields, Terms};
use crate::mailbox::Expiration;

/// The last second that clients can name: they were promised 31 bits.
const DATE_MAX: f64 = 2_147_483_647.0;

/// The end that a new transaction asks for, or that of one which does not ask.
pub(super) fn expiration(fields: &Fields<'_>, terms: &Terms) -> Result<Expiration, Fault> {
    if let Some(end) = expiration_date(fields)? {
        return Ok(end);
    }
    let Some(delay) = fields
        .find("expirationDelay")
        .filter(|value| !value.is_nothing())
    else {
        return Ok(Expiration::After(terms.default_expiration));
    };
    let seconds = delay.number().ok_or(Fault::ExpirationDelayNotANumber)?;
    if !(0.0..=DATE_MAX).contains(&seconds) {
        return Err(Fault::ExpirationDelayOutOfRange);
    }
    Ok(Expiration::After(Duration::from_secs_f64(seconds)))
}

/// The field `expirationDate`, if it says anything.
pub(super) fn expiration_date(fields: &Fields<'_>) -> Result<Option<Expiration>, Fault> {
    let Some(date) = fields
        .find("expirationDate")
        .filter(|value| !value.is_nothing())
    else {
        return Ok(None);
    };
    let seconds = date.number().ok_or(Fault::ExpirationDateNotANumber)?;
    if !(0.0..=DATE_MAX).contains(&seconds) {
        return Err(Fault::ExpirationDateOutOfRange);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 31 bits"
    )]
    let second = seconds.ceil() as u32;
    Ok(Some(Expiration::At(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(body: &str) -> Result<Expiration, Fault> {
        expiration(
            &Fields::parse(body.as_bytes()).unwrap(),
            &Terms::for_tests(),
        )
    }

    #[test]
    fn dates() {
        for (body, expected) in [
            (r#"{"expirationDate":1795282137}"#, Ok(1_795_282_137)),
            (r#"{"expirationDate":"1795282137"}"#, Ok(1_795_282_137)),
            (r#"{"expirationDate":1795282136.2}"#, Ok(1_795_282_137)),
            (r#"{"expirationDate":2147483647}"#, Ok(2_147_483_647)),
            (
                r#"{"expirationDate":2147483648}"#,
                Err(Fault::ExpirationDateOutOfRange),
            ),
            (
                r#"{"expirationDate":1e400}"#,
                Err(Fault::ExpirationDateOutOfRange),
            ),
            (
                r#"{"expirationDate":-1}"#,
                Err(Fault::ExpirationDateOutOfRange),
            ),
            (
                r#"{"expirationDate":"soon"}"#,
                Err(Fault::ExpirationDateNotANumber),
            ),
            (
                r#"{"expirationDate":true}"#,
                Err(Fault::ExpirationDateNotANumber),
            ),
            (
                r#"{"expirationDate":[1]}"#,
                Err(Fault::ExpirationDateNotANumber),
            ),
            (
                r#"{"expirationDate":{}}"#,
                Err(Fault::ExpirationDateNotANumber),
            ),
        ] {
            assert_eq!(end(body), expected.map(Expiration::At), "{body}");
        }
    }

    #[test]
    fn lengths_of_life() {
        for (body, expected) in [
            ("{}", Ok(3600.0)),
            (r#"{"expirationDate":0}"#, Ok(3600.0)),
            (
                r#"{"expirationDate":null,"expirationDelay":null}"#,
                Ok(3600.0),
            ),
            (r#"{"expirationDelay":0}"#, Ok(3600.0)),
            (r#"{"expirationDelay":2.5}"#, Ok(2.5)),
            (r#"{"expirationDelay":"60"}"#, Ok(60.0)),
            (
                r#"{"expirationDelay":"x"}"#,
                Err(Fault::ExpirationDelayNotANumber),
            ),
            (
                r#"{"expirationDelay":-1}"#,
                Err(Fault::ExpirationDelayOutOfRange),
            ),
            (
                r#"{"expirationDelay":1e300}"#,
                Err(Fault::ExpirationDelayOutOfRange),
            ),
        ] {
            let after = |seconds| Expiration::After(Duration::from_secs_f64(seconds));
            assert_eq!(end(body), expected.map(after), "{body}");
        }
    }

    #[test]
    fn a_date_outweighs_a_length() {
        let body = r#"{"expirationDate":5,"expirationDelay":"x"}"#;
        assert_eq!(end(body), Ok(Expiration::At(5)));
    }
}
