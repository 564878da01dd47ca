//! Dead letters: messages that were handed out too often without an ack.
//!
//! They are in their queue, though not in its line. Those that are given up are nowhere, which is noted in their
//! records.

use bytes::Bytes;

use super::{
    client::{Client, Result},
    connection::Fault,
    reader::{Reader, expand_counts},
    record::Mark,
    shard::{POP_MAX, QueueKey, Shard, joined},
};
use crate::mailbox::{
    DeadLetter, DeadLetters, DeadSelection, Priority, QueueName, Reply, TransactionId,
};

/// Dead letters that one call of a function moves, so that others get their turn in between.
const SLICE: usize = 1000;

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Into their old places in the line.
    Redrive,
    /// Away.
    Purge,
}

/// What became of some of them.
struct Moved {
    /// Dead letters that the queue still has.
    left: usize,
    /// Those that it has no more.
    ids: Vec<TransactionId>,
}

impl Shard {
    /// The first dead letters, in the order of the line.
    async fn dead_letters(
        &self,
        key: &QueueKey,
        count_max: usize,
    ) -> std::result::Result<DeadLetters, Fault> {
        let answer = self.ask("dead", key, |arguments| {
            let count_max = count_max.min(POP_MAX);
            arguments.expect_ids(count_max);
            arguments.number(count_max as u64);
        });
        read_letters(&answer.await?).ok_or(Fault::Nonsense)
    }

    /// Moves those that are named, or so many of the first.
    async fn move_dead(
        &self,
        key: &QueueKey,
        which: Move,
        ids: &[TransactionId],
        count_max: usize,
    ) -> std::result::Result<Moved, Fault> {
        let name = match which {
            Move::Redrive => "redrive",
            Move::Purge => "purge",
        };
        let answer = self.ask(name, key, |arguments| {
            arguments.expect_ids(ids.len().max(count_max));
            arguments.text(&joined(ids));
            arguments.number(count_max as u64);
        });
        read_moved(&answer.await?).ok_or(Fault::Nonsense)
    }
}

impl Client {
    pub(super) async fn dead_letters(
        &self,
        queue: &QueueName,
        count_max: usize,
    ) -> Result<DeadLetters> {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        Ok(shard.dead_letters(&queue, count_max).await?)
    }

    /// Moves dead letters, a slice at a time. To do so again would be to move others, so a call that fails is not
    /// repeated.
    pub(super) async fn move_dead(&self, selection: &DeadSelection, which: Move) -> Result<Reply> {
        let queue = QueueKey::of(&selection.queue);
        let (mut moved, mut left) = (0, 0);
        if let Some(ids) = &selection.transactions {
            let ids = ids.get(..selection.count_max).unwrap_or(ids);
            // Without any, it is asked how many there are.
            let none = ids.is_empty().then_some(&[][..]);
            for slice in ids.chunks(SLICE).chain(none) {
                let step = self.move_slice(&queue, which, slice, 0).await?;
                moved += step.ids.len();
                left = step.left;
            }
            return Ok(Reply::Moved { moved, left });
        }
        loop {
            let count_max = SLICE.min(selection.count_max.saturating_sub(moved));
            let step = self.move_slice(&queue, which, &[], count_max).await?;
            moved += step.ids.len();
            left = step.left;
            // Each call takes some away as long as there are any: those that are over, if none else.
            if left == 0 || moved >= selection.count_max {
                return Ok(Reply::Moved { moved, left });
            }
        }
    }

    /// Moves some of them and notes it in their records.
    async fn move_slice(
        &self,
        queue: &QueueKey,
        which: Move,
        ids: &[TransactionId],
        count_max: usize,
    ) -> Result<Moved> {
        let shard = self.shard_of(queue);
        let moved = shard.move_dead(queue, which, ids, count_max).await?;
        if which == Move::Purge {
            let note = |&id| self.records_of(id).note(id, queue.tag(), Mark::Purged);
            let notes: Vec<_> = moved.ids.iter().map(note).collect();
            for note in notes {
                // Where it cannot be noted it is done all the same; it is shown as delivered.
                let _ = note.await;
            }
        }
        Ok(moved)
    }
}

/// Reads `<size> <number of high priority> <deliveries> <ids>`.
fn read_letters(reply: &Bytes) -> Option<DeadLetters> {
    let mut reader = Reader::new(reply);
    let size = usize::try_from(reader.number()?).ok()?;
    let high_count = usize::try_from(reader.number()?).ok()?;
    let counts = reader.word()?;
    let ids = reader.all_ids()?;
    let counts = expand_counts(counts, ids.len())?;
    let letter = |(at, (id, count)): (usize, (TransactionId, u32))| DeadLetter {
        id,
        priority: if at < high_count {
            Priority::High
        } else {
            Priority::Low
        },
        deliveries: count,
    };
    Some(DeadLetters {
        size,
        letters: ids
            .into_iter()
            .zip(counts)
            .enumerate()
            .map(letter)
            .collect(),
    })
}

/// Reads how many are left, and the ids of those that were moved.
fn read_moved(reply: &Bytes) -> Option<Moved> {
    let mut reader = Reader::new(reply);
    Some(Moved {
        left: usize::try_from(reader.number()?).ok()?,
        ids: reader.all_ids()?,
    })
}
