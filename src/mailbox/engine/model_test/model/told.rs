//! What becomes of messages that no operation names.

use super::{Copy, Model, Place};
use crate::mailbox::{QueueName, State, TransactionId, UnixMillis};

/// A message and its new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) queue: QueueName,
    pub(crate) id: TransactionId,
    pub(crate) state: State,
    /// Its transaction was held back until then.
    pub(crate) was_held_back: bool,
}

impl Told {
    pub(crate) fn of(queue: QueueName, id: TransactionId, state: State) -> Self {
        Self {
            queue,
            id,
            state,
            was_held_back: false,
        }
    }
}

impl Copy {
    pub(super) fn told(&self, id: TransactionId, state: State) -> Told {
        Told::of(self.queue.clone(), id, state)
    }
}

impl Model {
    /// What was told since this was asked last.
    pub(in super::super) fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Drops the transactions whose life is over, of which some were held back until now.
    pub(super) fn expire(&mut self, now: UnixMillis, held_back: &[u64]) {
        for entry in self.entries.iter().filter(|it| it.is_over(now)) {
            for copy in &entry.messages {
                if !matches!(copy.place, Place::Delivered | Place::Purged) {
                    self.told.push(Told {
                        was_held_back: held_back.contains(&entry.birth),
                        ..copy.told(entry.id, State::Expired)
                    });
                }
            }
        }
        self.entries.retain(|it| !it.is_over(now));
    }
}
