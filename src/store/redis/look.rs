//! Looking at queues and transactions.

use super::{
    client::{Client, Result},
    keys, record,
    shard::QueueKey,
};
use crate::{
    mailbox::{QueueInfo, QueueName, Refusal, Reply, State, TransactionId, TransactionView},
    memory::Charge,
};

impl Client {
    pub(super) async fn describe(&self, queue: &QueueName) -> Result<QueueInfo> {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let listed_max = self.limits.listed_messages_max;
        Ok(shard.describe(&queue, listed_max).await?)
    }

    /// Answers with a whole transaction.
    pub(super) async fn show(&self, number: u64, id: TransactionId) {
        let mut charge = Charge::new(&self.answer_memory);
        let view = self.view(id, &mut charge).await;
        let reply = view.map_or_else(Reply::Refused, Reply::Transaction);
        self.reply(number, reply, charge.unless_empty());
    }

    /// A whole transaction, which `charge` is made to cover before it is read.
    async fn view(
        &self,
        id: TransactionId,
        charge: &mut Charge,
    ) -> Result<Option<TransactionView>> {
        let records = self.records_of(id);
        let Some(header) = records.header(id).await? else {
            return Ok(None);
        };
        if !charge.resize(header.payload_bytes) {
            return Err(Refusal::Full("limits.max_answer_memory is reached"));
        }
        let fields = records.read(id).await?;
        Ok(fields.and_then(|it| it.into_view(records.clock.now())))
    }

    pub(super) async fn states(&self, id: TransactionId) -> Result<Vec<(QueueName, State)>> {
        let records = self.records_of(id);
        let Some(header) = records.header(id).await? else {
            return Ok(Vec::new());
        };
        let tags: Vec<&str> = record::tags(&header.queues).collect();
        let states = records.states(id, &tags).await?;
        let named = tags.into_iter().zip(states);
        Ok(named
            .filter_map(|(tag, state)| Some((keys::queue_of_tag(tag)?, state)))
            .collect())
    }
}
