//! Documents as clients are shown them.

use mongodb::bson::{Bson, DateTime, Document};
use serde_json::{Map, Value};

/// The end of the year 9999.
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// A document without its id.
pub(super) fn object(document: Document) -> Value {
    let shown = document.into_iter().filter(|(name, _)| name != "_id");
    Value::Object(
        shown
            .map(|(name, bson)| (name, value(bson)))
            .collect::<Map<_, _>>(),
    )
}

/// What we write is text, whole numbers and times; anything else is somebody else's, and shown as text.
fn value(bson: Bson) -> Value {
    match bson {
        Bson::String(text) => Value::from(text),
        Bson::Int32(number) => Value::from(number),
        Bson::Int64(number) => Value::from(number),
        Bson::DateTime(date) => iso(date).map_or(Value::Null, Value::from),
        Bson::Null => Value::Null,
        other => Value::from(other.to_string()),
    }
}

/// Such as `2026-11-21T16:33:25.157Z`; none where the year has more than four digits.
fn iso(date: DateTime) -> Option<String> {
    if date.timestamp_millis() > LAST_MILLIS {
        return None;
    }
    let millis = date.timestamp_millis().rem_euclid(1000);
    let whole = DateTime::from_millis(date.timestamp_millis() - millis);
    let text = whole.try_to_rfc3339_string().ok()?;
    Some(format!("{}.{millis:03}Z", text.strip_suffix('Z')?))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_shown_without_its_id_and_with_its_time_as_text() {
        let document = doc! {
            "_id": "x", "event": "ACTION", "max_msg": 10_i64, "retries": 3, "error": Bson::Null,
            "timestamp": DateTime::from_millis(1_795_278_805_157),
        };
        let expected = json!({
            "event": "ACTION", "max_msg": 10, "retries": 3, "error": null,
            "timestamp": "2026-11-21T16:33:25.157Z",
        });
        assert_eq!(object(document), expected);
    }

    #[test]
    fn a_time_always_has_its_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_278_805_100, "2026-11-21T16:33:25.100Z"),
            (LAST_MILLIS, "9999-12-31T23:59:59.999Z"),
            (1_795_278_805_007, "2026-11-21T16:33:25.007Z"),
        ] {
            assert_eq!(iso(DateTime::from_millis(millis)).as_deref(), Some(text));
        }
        assert_eq!(iso(DateTime::from_millis(LAST_MILLIS + 1)), None);
    }
}
