//! Looking at queues and transactions.

use super::{
    Delivery, Engine, LeaseKind, Progress, QueueInfo, QueueName, RecordKey, State, Transaction,
    TransactionId, TransactionView, UnixMillis, is_over,
};

impl Engine {
    pub(super) fn describe(&self, name: &QueueName) -> QueueInfo {
        let found = self.queues.find(name);
        found.map_or_else(QueueInfo::default, |queue| {
            self.queues.describe(queue, self.limits.listed_messages_max)
        })
    }

    pub(super) fn alive(&self, now: UnixMillis, id: TransactionId) -> Option<&Transaction> {
        self.transactions
            .get(id)
            .filter(|transaction| !is_over(transaction.expires_at, now))
    }

    pub(super) fn view(
        &self,
        now: UnixMillis,
        id: TransactionId,
    ) -> Option<TransactionView<RecordKey>> {
        let transaction = self.alive(now, id)?;
        Some(TransactionView {
            priority: transaction.priority,
            expires_at: transaction.expires_at,
            record: transaction.key,
            states: self.states(now, id),
        })
    }

    /// Where the contents of transactions are, as far as there are any.
    pub(super) fn records(&self, now: UnixMillis, ids: &[TransactionId]) -> Vec<Option<RecordKey>> {
        let key = |&id| Some(self.alive(now, id)?.key);
        ids.iter().map(key).collect()
    }

    pub(super) fn states(&self, now: UnixMillis, id: TransactionId) -> Vec<(QueueName, State)> {
        let Some(transaction) = self.alive(now, id) else {
            return Vec::new();
        };
        let named = |delivery: &Delivery| {
            let state = match delivery.progress {
                Progress::InLine { .. }
                | Progress::Out {
                    kind: LeaseKind::Delivery,
                    ..
                } => State::Pending,
                Progress::Out {
                    kind: LeaseKind::Reliable,
                    ..
                } => State::Blocked,
                Progress::Delivered => State::Delivered,
                Progress::Dead { .. } => State::Dead,
                Progress::Purged => State::Expired,
            };
            (self.queues.name(delivery.queue).clone(), state)
        };
        transaction.by_ordinal().into_iter().map(named).collect()
    }
}
