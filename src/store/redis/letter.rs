//! What a queue is told of a transaction, and how it gets there.

use super::{
    batch::Arguments,
    connection::Fault,
    keys,
    records::{Creation, Header},
    shard::{QueueKey, Shard},
};
use crate::mailbox::{Priority, TransactionId};

/// A message for a queue, without its contents.
#[derive(Clone, Copy)]
pub(super) struct Letter<'push> {
    pub(super) id: TransactionId,
    pub(super) priority: Priority,
    pub(super) expires_at: u32,
    pub(super) payload_bytes: usize,
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
            priority: header.priority,
            expires_at: header.expires_at,
            payload_bytes: header.payload_bytes,
            is_repeat: true,
            payload: None,
        }
    }

    fn write(&self, payload: Option<&[u8]>, arguments: &mut Arguments<'_>) {
        arguments.text(self.id.write_to(&mut [0; 36]));
        arguments.number(u64::from(self.priority == Priority::Low));
        arguments.number(self.expires_at.into());
        arguments.number(self.payload_bytes as u64);
        arguments.number(u64::from(self.is_repeat));
        arguments.optional(payload);
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
            letter.write(letter.payload, arguments);
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
            arguments.text(&keys::record_key(creation.id));
            creation.write(arguments);
            // It is among the fields of the record.
            letter.write(letter.payload.map(|_| &b""[..]), arguments);
        });
        Ok(*answer.await? != *b"E")
    }
}
