//! Changing and removing transactions, groups, and what is kept of the users of secured queues.

use super::{
    client::{Client, Result},
    connection::Fault,
    keys, record,
    records::GroupChanged,
    shard::QueueKey,
};
use crate::mailbox::{GroupChange, GroupName, QueueName, Refusal, TransactionId, Update};

/// Queues that are told of a change at a time.
const SLICE: usize = 128;

impl Client {
    /// Changes a transaction, and what its queues know of it; whether it exists.
    pub(super) async fn update(&self, id: TransactionId, update: &Update) -> Result<bool> {
        let updated = self.records_of(id).update(id, update).await?;
        let Some((expires_at, queues)) = updated else {
            return Ok(false);
        };
        let expires_at = update.expiration.map(|_| expires_at);
        let payload_bytes = update.payload.as_ref().map(bytes::Bytes::len);
        if expires_at.is_some() || payload_bytes.is_some() {
            self.tell_queues(&queues, id, expires_at, payload_bytes)
                .await?;
        }
        Ok(true)
    }

    /// Tells those queues of a list that have a message of its new end or size.
    pub(super) async fn tell_queues(
        &self,
        queues: &[u8],
        id: TransactionId,
        expires_at: Option<u32>,
        payload_bytes: Option<usize>,
    ) -> std::result::Result<(), Fault> {
        for slice in record::queue_names(queues).chunks(SLICE) {
            let tell = |queue: QueueKey| {
                let shard = self.shard_of(&queue);
                shard.amend(&queue, id, expires_at, payload_bytes)
            };
            let told: Vec<_> = slice.iter().map(QueueKey::of).map(tell).collect();
            for answer in told {
                answer.await?;
            }
        }
        Ok(())
    }

    /// Removes a transaction. Without its record it is not handed out any more, whatever is left of it in a queue that
    /// is out of reach; whoever comes across that takes it away.
    pub(super) async fn delete(&self, id: TransactionId) -> std::result::Result<(), Fault> {
        let queues = self.records_of(id).delete(id).await?;
        for slice in record::queue_names(&queues).chunks(SLICE) {
            let remove = |queue: QueueKey| {
                let shard = self.shard_of(&queue);
                shard.remove(&queue, &[id])
            };
            let removed: Vec<_> = slice.iter().map(QueueKey::of).map(remove).collect();
            for answer in removed {
                drop(answer.await);
            }
        }
        Ok(())
    }

    /// Members of a group, sorted.
    pub(super) async fn group(&self, name: &GroupName) -> Result<Vec<Box<str>>> {
        let key = keys::group_key(name);
        let mut members = self.records_at(&key).members(&key).await?;
        members.sort_unstable();
        Ok(members)
    }

    pub(super) async fn store_group(&self, name: &GroupName, members: &[Box<str>]) -> Result<()> {
        self.put_group(name, true, members, &[]).await.map(|_| ())
    }

    /// Changes a group; whether it exists.
    pub(super) async fn change_group(
        &self,
        name: &GroupName,
        change: &GroupChange,
    ) -> Result<bool> {
        self.put_group(name, false, &change.add, &change.remove)
            .await
    }

    async fn put_group(
        &self,
        name: &GroupName,
        may_make: bool,
        add: &[Box<str>],
        remove: &[Box<str>],
    ) -> Result<bool> {
        let key = keys::group_key(name);
        let max = self.limits.queues_per_transaction_max;
        let records = self.records_at(&key);
        match records
            .change_group(&key, max, may_make, add, remove)
            .await?
        {
            GroupChanged::Done => Ok(true),
            GroupChanged::Unknown => Ok(false),
            GroupChanged::TooLarge => Err(Refusal::TooManyQueues(max)),
        }
    }

    pub(super) async fn remove_group(&self, name: &GroupName) -> Result<()> {
        let key = keys::group_key(name);
        Ok(self.records_at(&key).remove_group(&key).await?)
    }

    /// Makes a secured queue; whether there was none.
    pub(super) async fn secure(&self, queue: &QueueName, credentials: &str) -> Result<bool> {
        let key = keys::credentials_key(queue);
        let records = self.records_at(&key);
        Ok(records.keep_credentials(&key, None, credentials).await?)
    }

    /// What is kept of the user of a secured queue.
    pub(super) async fn credentials(&self, queue: &QueueName) -> Result<Option<Box<str>>> {
        let key = keys::credentials_key(queue);
        Ok(self.records_at(&key).credentials(&key).await?)
    }

    /// Keeps something else of the user of a secured queue; whether what was kept is what was thought.
    pub(super) async fn renew(&self, queue: &QueueName, before: &str, after: &str) -> Result<bool> {
        let key = keys::credentials_key(queue);
        let records = self.records_at(&key);
        Ok(records.keep_credentials(&key, Some(before), after).await?)
    }
}
