//! What an answer holds.

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;

use super::Fault;

/// The string in an answer; none for null.
pub(in crate::store::redis) fn into_bytes(frame: BytesFrame) -> Result<Option<Bytes>, Fault> {
    match frame {
        BytesFrame::BlobString { data, .. } | BytesFrame::SimpleString { data, .. } => {
            Ok(Some(data))
        }
        BytesFrame::Null => Ok(None),
        _ => Err(Fault::Nonsense),
    }
}

/// The elements of an answer that is a list.
pub(in crate::store::redis) fn into_list(frame: BytesFrame) -> Result<Vec<BytesFrame>, Fault> {
    match frame {
        BytesFrame::Array { data, .. } | BytesFrame::Push { data, .. } => Ok(data),
        // Where order means nothing.
        BytesFrame::Set { data, .. } => Ok(data.into_iter().collect()),
        BytesFrame::Map { data, .. } => Ok(data
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect()),
        _ => Err(Fault::Nonsense),
    }
}
