//! The change of a transaction.

use super::{Fault, Fields, Json, Terms, expiration::expiration_date, payload::payload};
use crate::mailbox::Update;

/// Reads the change that a body asks for; of a body with nothing to change, the default [`Update`].
///
/// A callback of `null` or `""` is kept as an empty one, which is to say: none any more.
pub fn update(fields: &Fields<'_>, terms: &Terms) -> Result<Update, Vec<Fault>> {
    let payload = fields
        .find("payload")
        .map(|given| payload(Some(given), terms))
        .transpose();
    let expiration = expiration_date(fields);
    match (payload, expiration) {
        (Ok(payload), Ok(expiration)) => Ok(Update {
            payload,
            callback: fields.find("callback").and_then(callback),
            expiration,
        }),
        (payload, expiration) => Err([payload.err(), expiration.err()]
            .into_iter()
            .flatten()
            .collect()),
    }
}

fn callback(given: Json<'_>) -> Option<Box<str>> {
    if given.is_null() {
        return Some("".into());
    }
    given.string().map(Into::into)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mailbox::Expiration;

    fn read(body: &str) -> Result<Update, Vec<Fault>> {
        update(
            &Fields::parse(body.as_bytes()).unwrap(),
            &Terms::for_tests(),
        )
    }

    #[test]
    fn each_field_alone_or_together() {
        let payload = Some(Bytes::from_static(b"new"));
        let expiration = Some(Expiration::At(7));
        assert_eq!(
            read(r#"{"payload":"new"}"#),
            Ok(Update {
                payload: payload.clone(),
                ..Update::default()
            })
        );
        assert_eq!(
            read(r#"{"expirationDate":6.5}"#),
            Ok(Update {
                expiration,
                ..Update::default()
            })
        );
        assert_eq!(
            read(r#"{"payload":"new","callback":"http://c","expirationDate":7}"#),
            Ok(Update {
                payload,
                callback: Some("http://c".into()),
                expiration
            })
        );
        assert_eq!(
            read(r#"{"callback":null}"#),
            Ok(Update {
                callback: Some("".into()),
                ..Update::default()
            })
        );
    }

    #[test]
    fn nothing_to_change() {
        for body in [
            "{}",
            r#"{"priority":"H","queue":[]}"#,
            r#"{"expirationDate":0}"#,
            r#"{"callback":5}"#,
        ] {
            assert_eq!(read(body), Ok(Update::default()), "{body}");
        }
    }

    #[test]
    fn the_same_faults_as_of_a_push() {
        assert_eq!(
            read(r#"{"payload":""}"#),
            Err(vec![Fault::UndefinedPayload])
        );
        assert_eq!(
            read(r#"{"payload":"longer than ten","expirationDate":"x"}"#),
            Err(vec![
                Fault::PayloadTooLong(10),
                Fault::ExpirationDateNotANumber
            ])
        );
    }
}
