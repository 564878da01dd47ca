//! What comes back and what has come back too often.

use super::{Copy, Model, Place, Told};
use crate::mailbox::{DeadSelection, LeaseKind, QueueName, Reply, Return, State, TransactionId};

impl Copy {
    pub(super) fn fresh(queue: &QueueName) -> Self {
        Self {
            queue: queue.clone(),
            place: Place::Line,
            deliveries: 0,
        }
    }

    /// Comes back from where it was out; what is told of that.
    pub(super) fn come_back(
        &mut self,
        id: TransactionId,
        reason: Return,
        max: u32,
    ) -> Option<Told> {
        let Place::Out { kind, .. } = self.place else {
            panic!("{self:?} is not out");
        };
        if reason == Return::Unsent {
            self.deliveries -= 1;
        }
        let is_over = max > 0 && self.deliveries >= max;
        self.place = match (reason, kind) {
            (Return::Lapsed, LeaseKind::Reliable) if is_over => Place::Dead,
            _ => Place::Line,
        };
        let state = match self.place {
            Place::Dead => State::Dead,
            _ => State::Pending,
        };
        (kind == LeaseKind::Reliable).then(|| self.told(id, state))
    }
}

impl Model {
    /// Puts dead letters elsewhere. The answer is to be made when whoever waits has been served.
    pub(super) fn end_deaths(
        &mut self,
        selection: &DeadSelection,
        place: Place,
    ) -> impl FnOnce(&Self) -> Reply + use<> {
        let DeadSelection {
            queue,
            transactions,
            count_max,
        } = selection.clone();
        let first = || self.dead(&queue).iter().map(|it| it.id).collect();
        let ids: Vec<TransactionId> = transactions.unwrap_or_else(first);
        let mut moved = 0;
        for id in ids.into_iter().take(count_max) {
            let entry = self.entries.iter_mut().find(|it| it.id == id);
            let copy = entry.and_then(|it| it.copy(&queue));
            if let Some(copy) = copy.filter(|it| it.place == Place::Dead) {
                copy.place = place;
                copy.deliveries = 0;
                let state = match place {
                    Place::Purged => State::Expired,
                    _ => State::Pending,
                };
                self.told.push(copy.told(id, state));
                moved += 1;
            }
        }
        move |model| Reply::Moved {
            moved,
            left: model.dead(&queue).len(),
        }
    }
}
