//! What is told of messages that no request names.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::info;

use crate::mailbox::{
    QueueName, State, TransactionId,
    engine::{Told, Transition},
};

/// Who is told of messages of one queue that got the same state together. It is called on the threads of the store and
/// of workers, and is not to hold them up.
pub type Listener = Arc<dyn Fn(QueueName, Vec<TransactionId>, State) + Send + Sync>;

/// Messages that a listener is told of at once.
const TOLD_TOGETHER_MAX: usize = 1000;

/// Where a store tells of what becomes of messages by itself: they die, come back, or expire. Each is told once, unless
/// a crash comes between.
#[derive(Default)]
pub struct Transitions {
    deaths: AtomicU64,
    listener: Option<Listener>,
}

/// Messages of one queue that got the same state.
type Group = (QueueName, Vec<TransactionId>, State);

impl Transitions {
    /// With somebody to tell.
    pub fn told_to(listener: Listener) -> Self {
        Self {
            deaths: AtomicU64::default(),
            listener: Some(listener),
        }
    }

    /// What somebody wants to hear of.
    pub fn wanted(&self) -> Told {
        match self.listener {
            Some(_) => Told::All,
            None => Told::Deaths,
        }
    }

    /// How many messages have become dead letters.
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::Relaxed)
    }

    /// Tells of transitions, in the order in which they came about.
    pub(crate) fn tell(
        &self,
        transitions: impl IntoIterator<Item = (QueueName, TransactionId, Transition)>,
    ) {
        let mut groups: Vec<Group> = Vec::new();
        // What came last of each queue is told together, and what came before it is told before it.
        let mut last_of: HashMap<QueueName, usize> = HashMap::new();
        for (queue, id, transition) in transitions {
            if let Transition::Died { deliveries } = transition {
                self.note_death(&queue, id, deliveries);
            }
            if self.listener.is_none() {
                continue;
            }
            let state = transition.state();
            let last = last_of.get(&queue).and_then(|&last| groups.get_mut(last));
            match last {
                Some((_, ids, of)) if *of == state && ids.len() < TOLD_TOGETHER_MAX => ids.push(id),
                _ => {
                    last_of.insert(queue.clone(), groups.len());
                    groups.push((queue, vec![id], state));
                }
            }
        }
        if let Some(listener) = &self.listener {
            for (queue, ids, state) in groups {
                listener(queue, ids, state);
            }
        }
    }

    fn note_death(&self, queue: &QueueName, id: TransactionId, deliveries: u32) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
        let tenant = queue.tenant().0.as_deref();
        info!(target: "dead_letter", queue = queue.id(), tenant, transaction = %id, deliveries);
    }
}

impl fmt::Debug for Transitions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Transitions");
        shown.field("deaths", &self.deaths);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::mailbox::{Realm, Tenant};

    #[test]
    fn each_queue_is_told_in_order_and_together() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let transitions = Transitions::told_to(Arc::new(move |queue, ids, state| {
            into.lock().unwrap().push((queue, ids, state));
        }));
        let queue = |id| QueueName::new(Realm::Plain, Tenant(None), id);
        let id = |number| TransactionId::from_random([number; 16]);
        transitions.tell([
            (queue("a"), id(1), Transition::Returned),
            (queue("b"), id(1), Transition::Died { deliveries: 2 }),
            (queue("a"), id(2), Transition::Returned),
            (queue("a"), id(1), Transition::Expired),
            (queue("a"), id(3), Transition::Returned),
        ]);
        let expected = [
            (queue("a"), vec![id(1), id(2)], State::Pending),
            (queue("b"), vec![id(1)], State::Dead),
            (queue("a"), vec![id(1)], State::Expired),
            (queue("a"), vec![id(3)], State::Pending),
        ];
        assert_eq!(*told.lock().unwrap(), expected);
        assert_eq!(transitions.deaths(), 1);
    }
}
