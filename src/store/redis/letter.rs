//! What a queue is told of a transaction, and how it gets there.

use super::{
    connection::Fault,
    record::Creation,
    records::Header,
    shard::{QueueKey, Shard},
};
use crate::mailbox::{Priority, TransactionId};

/// A message for a queue, without its contents.
#[derive(Clone, Copy)]
pub(super) struct Letter<'push> {
    pub(super) id: TransactionId,
    pub(super) priority: Priority,
    pub(super) expires_at: u32,
    pub(super) payload_bytes: u32,
    /// Whether the queue may have it already.
    pub(super) is_repeat: bool,
    /// Its payload, if it is small enough to go to who waits without being fetched.
    pub(super) payload: Option<&'push [u8]>,
}

impl Letter<'_> {
    /// Of a transaction that has a record, for queues that may have it already.
    pub(super) fn again(id: TransactionId, header: &Header) -> Letter<'static> {
        Letter {
            id,
            priority: header.head.priority,
            expires_at: header.head.expires_at,
            payload_bytes: header.head.payload_bytes,
            is_repeat: true,
            payload: None,
        }
    }

    /// The message as in `FRESH` of the servers' functions. Of one that may come again something stays when it is gone.
    fn value(&self) -> [u8; 9] {
        let mut value = [0; 9];
        value[..4].copy_from_slice(&self.expires_at.to_be_bytes());
        value[4..8].copy_from_slice(&self.payload_bytes.to_be_bytes());
        let is_low = self.priority == Priority::Low;
        value[8] = u8::from(self.is_repeat) + 2 * u8::from(is_low);
        value
    }
}

impl Shard {
    /// Puts a message into a queue, unless that has it already.
    pub(super) fn push(
        &self,
        queue: &QueueKey,
        letter: &Letter<'_>,
    ) -> impl Future<Output = Result<(), Fault>> + use<> {
        let answer = self.pushes.ask(&queue.key, |arguments| {
            arguments.text("push");
            arguments.text(letter.id.write_to(&mut [0; 36]));
            arguments.bytes(&letter.value());
            arguments.optional(letter.payload);
        });
        async move { answer.await.map(|_| ()) }
    }

    /// Writes a record and puts its message into a queue of the same server, in one step; false if there is a record
    /// already, and then nothing is done.
    pub(super) async fn push_new(
        &self,
        queue: &QueueKey,
        letter: &Letter<'_>,
        creation: &Creation<'_>,
    ) -> Result<bool, Fault> {
        let answer = self.pushes.ask(&queue.key, |arguments| {
            arguments.text("new");
            arguments.text(letter.id.write_to(&mut [0; 36]));
            arguments.bytes(&letter.value());
            arguments.bytes(&creation.write());
        });
        Ok(*answer.await? != *b"E")
    }
}
