//! The payload of a transaction.

use bytes::Bytes;

use super::{Fault, Json, Terms};

/// The payload as consumers get it.
pub(super) fn payload(given: Option<Json<'_>>, terms: &Terms) -> Result<Bytes, Fault> {
    let text = given
        .filter(|value| !value.is_null())
        .map(Json::text)
        .filter(|text| !text.is_empty())
        .ok_or(Fault::UndefinedPayload)?;
    // There are never more UTF-16 units than bytes, so most payloads need no counting.
    if text.len() > terms.payload_max && text.encode_utf16().count() > terms.payload_max {
        return Err(Fault::PayloadTooLong(terms.payload_max));
    }
    Ok(Bytes::from(text.into_owned()))
}
