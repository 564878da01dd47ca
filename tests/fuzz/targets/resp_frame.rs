//! What a Redis server answers: read as the library for it reads it, and never before all of it is there.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use popbox::store::redis::decode_frame;
use redis_protocol::resp3::{decode::complete::decode_bytes_mut, types::BytesFrame};

fuzz_target!(|data: &[u8]| {
    let mut ours = BytesMut::from(data);
    let mut theirs = BytesMut::from(data);
    while let Ok(Some(frame)) = decode_frame(&mut ours) {
        let (expected, length, _) = decode_bytes_mut(&mut theirs)
            .expect("what is no answer to one is none to the other")
            .expect("and what is whole is whole");
        assert_eq!(ours.len(), theirs.len());
        if is_plain(&frame) || is_plain(&expected) {
            assert_eq!(frame, expected);
        }
        let start = data.len() - ours.len() - length;
        let cut = &data[start..start + length / 2];
        assert!(!matches!(decode_frame(&mut BytesMut::from(cut)), Ok(Some(_))));
    }
});

/// Of the kinds that are not left to the library, which does not read some of the others alike each time.
fn is_plain(frame: &BytesFrame) -> bool {
    match frame {
        BytesFrame::BlobString { attributes, .. }
        | BytesFrame::SimpleString { attributes, .. }
        | BytesFrame::Number { attributes, .. } => attributes.is_none(),
        BytesFrame::Null => true,
        BytesFrame::Array { data, attributes } | BytesFrame::Push { data, attributes } => {
            attributes.is_none() && data.iter().all(is_plain)
        }
        _ => false,
    }
}
