//! The callbacks of transactions. They are asked for whenever messages are delivered, so it is done with few and small
//! commands.

use std::str;

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;
use tracing::error;

use super::{
    client::{Client, Result},
    connection::{Answer, Decimal, Fault, into_bytes},
    keys,
    reader::Reader,
    record::{HEAD_BYTES, Head, is_over},
    records::Records,
};
use crate::mailbox::{TOLD_BYTES_MAX, TransactionId};

/// Transactions that are asked for at a time, so that one answer does not fill the connection.
const SLICE: usize = 256;

/// A callback on its way.
pub(super) struct Asked {
    /// The head by which it was found.
    head: Bytes,
    text: Answer<BytesFrame>,
    /// The head again, behind it: if that is another one, the text may be any part of the record.
    head_behind: Answer<BytesFrame>,
}

impl Records {
    fn ask_for_head(&self, id: TransactionId) -> Answer<BytesFrame> {
        self.ask_for_bytes(id, 0, HEAD_BYTES as u64)
    }

    fn ask_for_bytes(&self, id: TransactionId, from: u64, end: u64) -> Answer<BytesFrame> {
        let (from, last) = (Decimal::of(from), Decimal::of(end.saturating_sub(1)));
        let key = keys::record_key(id);
        let command = [
            b"GETRANGE",
            key.as_bytes(),
            from.as_bytes(),
            last.as_bytes(),
        ];
        self.connection.call(&command)
    }

    /// Asks for the callback of a record with this head, if it has one.
    pub(super) fn ask_for_callback(&self, id: TransactionId, head: Bytes) -> Option<Asked> {
        let read = Head::read(&mut Reader::new(&head))?;
        if is_over(read.expires_at, self.clock.now()) {
            return None;
        }
        let (from, end) = read.callback()?;
        Some(Asked {
            head,
            text: self.ask_for_bytes(id, from, end.min(from + TOLD_BYTES_MAX as u64)),
            head_behind: self.ask_for_head(id),
        })
    }

    /// The callback that was asked for, or what it has become meanwhile.
    pub(super) async fn callback(
        &self,
        id: TransactionId,
        mut asked: Option<Asked>,
    ) -> std::result::Result<Option<Box<str>>, Fault> {
        while let Some(it) = asked {
            let text = read(it.text).await?;
            let head = read(it.head_behind).await?;
            if head == it.head {
                let text = whole_characters(&text);
                if text.is_none() {
                    // It will be no better later, and other callbacks are not to wait for it.
                    error!(%id, "a callback is no text");
                }
                return Ok(text.map(Into::into));
            }
            asked = self.ask_for_callback(id, head);
        }
        Ok(None)
    }
}

impl Client {
    /// For each transaction its callback; none where there is none, or the transaction is gone or over.
    pub(super) async fn callbacks(&self, ids: &[TransactionId]) -> Result<Vec<Option<Box<str>>>> {
        let mut callbacks = Vec::with_capacity(ids.len());
        for slice in ids.chunks(SLICE) {
            let ask = |&id| (id, self.records_of(id).ask_for_head(id));
            let heads: Vec<_> = slice.iter().map(ask).collect();
            let mut asked = Vec::with_capacity(heads.len());
            for (id, head) in heads {
                let head = read(head).await?;
                asked.push((id, self.records_of(id).ask_for_callback(id, head)));
            }
            for (id, asked) in asked {
                callbacks.push(self.records_of(id).callback(id, asked).await?);
            }
        }
        Ok(callbacks)
    }
}

/// A text that may end within a character, without that one.
fn whole_characters(text: &[u8]) -> Option<&str> {
    match str::from_utf8(text) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(text.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

async fn read(answer: Answer<BytesFrame>) -> std::result::Result<Bytes, Fault> {
    Ok(into_bytes(answer.await?)?.unwrap_or_default())
}
