//! Dead letters: to look at, to put back into the line, to give up.

use super::{
    Change, DeadLetter, DeadLetters, DeadSelection, Engine, EngineReply, Mark, Output, Progress,
    QueueIndex, QueueName, Reply, TransactionId, Transition, UnixMillis,
};

impl Engine {
    pub(super) fn dead_letters(&self, name: &QueueName, count_max: usize) -> DeadLetters {
        let Some(queue) = self.queues.find(name) else {
            return DeadLetters::default();
        };
        let dead = self.queues.dead(queue);
        let letter = |id| {
            let transaction = self.transactions.get(id)?;
            let Progress::Dead { deliveries } = transaction.delivery(queue)?.progress else {
                return None;
            };
            Some(DeadLetter {
                id,
                priority: transaction.priority,
                deliveries,
            })
        };
        DeadLetters {
            size: dead.len(),
            letters: dead.ids().filter_map(letter).take(count_max).collect(),
        }
    }

    /// Puts dead letters into their line again, or gives them up.
    pub(super) fn end_deaths(
        &mut self,
        now: UnixMillis,
        selection: &DeadSelection,
        fate: Fate,
        output: &mut Output,
    ) -> EngineReply {
        let Some(queue) = self.queues.find(&selection.queue) else {
            return Reply::Moved { moved: 0, left: 0 };
        };
        let mut moved = 0;
        for id in self.selected(queue, selection) {
            moved += usize::from(self.end_death(id, queue, fate, output));
        }
        // All of them are back before anybody is served, so the next taker gets them in order.
        self.serve(now, queue, output);
        let left = self.queues.dead(queue).len();
        Reply::Moved { moved, left }
    }

    fn selected(&self, queue: QueueIndex, selection: &DeadSelection) -> Vec<TransactionId> {
        let count_max = selection.count_max;
        match &selection.transactions {
            Some(ids) => ids.iter().copied().take(count_max).collect(),
            None => self.queues.dead(queue).ids().take(count_max).collect(),
        }
    }

    /// Takes a message from among the dead letters; false if it is not there.
    fn end_death(
        &mut self,
        id: TransactionId,
        queue: QueueIndex,
        fate: Fate,
        output: &mut Output,
    ) -> bool {
        let Some(transaction) = self.transactions.get_mut(id) else {
            return false;
        };
        let (key, position, priority) =
            (transaction.key, transaction.position, transaction.priority);
        let Some(delivery) = transaction.delivery_mut(queue) else {
            return false;
        };
        if !matches!(delivery.progress, Progress::Dead { .. }) {
            return false;
        }
        let (progress, mark) = match fate {
            Fate::Line => (Progress::FRESH, Mark::Pending { deliveries: 0 }),
            Fate::Nothing => (Progress::Purged, Mark::Purged),
        };
        delivery.progress = progress;
        output.changes.push(Change::Marked {
            key,
            ordinal: delivery.ordinal,
            mark,
        });
        output.promised = true;
        self.queues.dead_mut(queue).remove(priority, position);
        let transition = match fate {
            Fate::Line => {
                self.queues.line(queue, priority).insert(position, id);
                Transition::Returned
            }
            Fate::Nothing => Transition::Expired,
        };
        self.tell(queue, id, transition, output);
        true
    }
}

/// What a message becomes that is dead no more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Line,
    Nothing,
}
