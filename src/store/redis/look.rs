//! Looking at queues and transactions.

use super::{
    client::{Client, Result},
    connection::Fault,
    keys,
    record::{self, Mark},
    records::Header,
    shard::{QueueKey, Shard},
};
use crate::{
    mailbox::{QueueInfo, QueueName, Refusal, Reply, State, TransactionId, TransactionView},
    memory::Charge,
};

/// Queues that are asked at a time, so that others get their turn in between.
const SLICE: usize = 512;

/// Where a queue has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the line, or out until its answer is written.
    Line,
    /// Out until it is acked.
    Blocked,
    /// Among the dead letters.
    Dead,
    /// It has been there, and may be pushed again.
    Gone,
    Nowhere,
}

impl Shard {
    /// Where a message is.
    fn find(
        &self,
        key: &QueueKey,
        id: TransactionId,
    ) -> impl Future<Output = std::result::Result<Place, Fault>> + use<> {
        let answer = self.ask("state", key, |arguments| {
            arguments.text(id.write_to(&mut [0; 36]));
        });
        async move {
            match &answer.await?[..] {
                b"L" => Ok(Place::Line),
                b"B" => Ok(Place::Blocked),
                b"X" => Ok(Place::Dead),
                b"G" => Ok(Place::Gone),
                b"-" => Ok(Place::Nowhere),
                _ => Err(Fault::Nonsense),
            }
        }
    }
}

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
        if !charge.resize(header.head.payload_bytes as usize) {
            return Err(Refusal::Full("limits.max_answer_memory is reached"));
        }
        let Some(parts) = records.read(id).await? else {
            return Ok(None);
        };
        let states = self.find(id, &header).await?;
        Ok(Some(parts.into_view(states)))
    }

    pub(super) async fn states(&self, id: TransactionId) -> Result<Vec<(QueueName, State)>> {
        let records = self.records_of(id);
        let Some(header) = records.header(id).await? else {
            return Ok(Vec::new());
        };
        self.find(id, &header).await
    }

    /// The states of a transaction's messages. Where a message is, its queue says; what is not there any more has been
    /// delivered, unless it is noted otherwise or has not come yet.
    async fn find(&self, id: TransactionId, header: &Header) -> Result<Vec<(QueueName, State)>> {
        let notes = self.records_of(id).notes(id).await?;
        let tags: Vec<&str> = record::tags(&header.queues).collect();
        let mut states = Vec::with_capacity(tags.len());
        for slice in tags.chunks(SLICE) {
            let ask = |tag: &&str| {
                let queue = QueueKey::of(&keys::queue_of_tag(tag)?);
                let mark = notes.of(tag);
                let place = match mark {
                    None => Some(self.shard_of(&queue).find(&queue, id)),
                    Some(_) => None,
                };
                Some((queue.name, mark, place))
            };
            let asked: Vec<_> = slice.iter().filter_map(ask).collect();
            for (queue, mark, place) in asked {
                let place = match place {
                    Some(place) => Some(place.await?),
                    None => None,
                };
                let state = match place {
                    None if mark == Some(Mark::Purged) => State::Expired,
                    Some(Place::Nowhere) if header.head.is_held_back => State::Pending,
                    None | Some(Place::Gone | Place::Nowhere) => State::Delivered,
                    Some(Place::Line) => State::Pending,
                    Some(Place::Blocked) => State::Blocked,
                    Some(Place::Dead) => State::Dead,
                };
                states.push((queue, state));
            }
        }
        Ok(states)
    }
}
