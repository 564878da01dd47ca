//! What must hold whatever the model says: a second witness that sees operations and replies only.

use std::collections::{HashMap, HashSet};

use super::{Home, model::Replies};
use crate::mailbox::{
    LeaseId, LeaseKind, Op, Pop, Priority, QueueName, Reply, State, Ticket, TransactionId,
    UnixMillis,
};

type Place = (QueueName, TransactionId);

#[derive(Debug)]
struct Out {
    lease: LeaseId,
    until: UnixMillis,
    kind: LeaseKind,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The clock may step back; a lease that has lapsed once has lapsed.
    latest: UnixMillis,
    out: HashMap<Place, Out>,
    delivered: HashSet<Place>,
    gone: HashSet<TransactionId>,
    /// Priority, and for what is not delayed its place among all pushes.
    pushed: HashMap<TransactionId, (Priority, Option<usize>)>,
    pushes: usize,
    /// Pops to be answered, in the order of their arrival, those that are answered at once included.
    open: Vec<(Ticket, Pop)>,
}

impl Ledger {
    /// To be called before the replies to `op` are known.
    pub(super) fn asked(&mut self, now: UnixMillis, ticket: Ticket, op: &Op) {
        self.latest = self.latest.max(now);
        if let Op::Pop(pop) = op {
            self.open.push((ticket, pop.clone()));
        }
    }

    /// A push was taken in, and not as a repeat.
    pub(super) fn born(&mut self, id: TransactionId, priority: Priority, is_delayed: bool) {
        self.pushes += 1;
        let place = (!is_delayed).then_some(self.pushes);
        self.pushed.insert(id, (priority, place));
        self.gone.remove(&id);
        self.out.retain(|it, _| it.1 != id);
        self.delivered.retain(|it| it.1 != id);
    }

    /// A transaction was deleted or has expired.
    pub(super) fn gone(&mut self, id: TransactionId) {
        self.gone.insert(id);
    }

    pub(super) fn restarted(&mut self, home: Home) {
        self.open.clear();
        self.out.retain(|_, out| {
            // Nobody can name it any longer.
            out.lease = LeaseId(u64::MAX);
            home == Home::Servers || out.kind == LeaseKind::Reliable
        });
    }

    /// To be called with all that came of `op`, or of time alone.
    pub(super) fn answered(&mut self, now: UnixMillis, op: Option<(Ticket, &Op)>, got: &Replies) {
        self.latest = self.latest.max(now);
        match op {
            Some((_, Op::Settle { queue, lease, .. })) => {
                let latest = self.latest;
                let mut settled = Vec::new();
                self.out.retain(|place, out| {
                    let is_meant = place.0 == *queue && out.lease == *lease;
                    if is_meant && out.until > latest {
                        settled.push(place.clone());
                    }
                    !is_meant
                });
                // Those that a subset leaves out are forgotten here; the model knows them.
                if let Some((_, Op::Settle { transactions, .. })) = op {
                    settled.retain(|it| transactions.contains(&it.1));
                }
                self.delivered.extend(settled);
            }
            Some((
                _,
                Op::Release {
                    queue,
                    lease,
                    transactions,
                    ..
                },
            )) => self.out.retain(|place, out| {
                let is_meant = place.0 == *queue && out.lease == *lease;
                !(is_meant && transactions.contains(&place.1))
            }),
            _ => {}
        }
        for (ticket, reply) in got {
            match (reply, op) {
                (Reply::Messages(_), Some((asked, Op::Peek { .. }))) if asked == *ticket => {}
                (Reply::Messages(handout), _) => {
                    let at = self.open.iter().position(|it| it.0 == *ticket).unwrap();
                    let (_, pop) = self.open.remove(at);
                    if handout.messages.is_empty() {
                        continue;
                    }
                    let mut earlier = self.open[..at].iter();
                    let passed_over = earlier.find(|it| it.1.queue == pop.queue);
                    assert!(
                        passed_over.is_none(),
                        "{passed_over:?} waits longer than {ticket:?}: {got:?}"
                    );
                    let ids: Vec<TransactionId> = handout.messages.iter().map(|it| it.id).collect();
                    self.handed_out(now, &pop, handout.lease, &ids);
                }
                (
                    Reply::Acked(acked),
                    Some((
                        _,
                        Op::Ack {
                            queue,
                            transactions,
                        },
                    )),
                ) => {
                    assert_eq!(acked.len(), transactions.len());
                    for (item, _) in transactions.iter().zip(acked).filter(|it| *it.1) {
                        let place = (queue.clone(), item.id.unwrap());
                        self.out.remove(&place);
                        assert!(self.delivered.insert(place), "acked twice");
                    }
                }
                (Reply::States(states), Some((_, Op::States(id)))) => {
                    for (queue, state) in states {
                        let is_delivered = self.delivered.contains(&(queue.clone(), *id));
                        assert!(!is_delivered || *state == State::Delivered, "undelivered");
                    }
                }
                (Reply::Refused(_), _) => self.open.retain(|it| it.0 != *ticket),
                (Reply::Queue(info), _) => {
                    assert!(!info.blocked || info.size == 0, "a deaf waiter");
                }
                _ => {}
            }
        }
    }

    fn handed_out(&mut self, now: UnixMillis, pop: &Pop, lease: LeaseId, ids: &[TransactionId]) {
        assert!(ids.len() <= pop.count_max.max(1));
        let rank = |id: &TransactionId| self.pushed[id];
        for pair in ids.windows(2) {
            let ((before, first), (after, second)) = (rank(&pair[0]), rank(&pair[1]));
            assert!(
                before == after || before == Priority::High,
                "low before high"
            );
            if let (Some(first), Some(second)) = (first, second)
                && before == after
            {
                assert!(first < second, "out of order");
            }
        }
        for &id in ids {
            assert!(!self.gone.contains(&id), "{id} is gone");
            let place = (pop.queue.clone(), id);
            assert!(!self.delivered.contains(&place), "{id} again");
            let out = Out {
                lease,
                until: now.plus(pop.lease),
                kind: pop.kind,
            };
            let before = self.out.insert(place, out);
            let is_free = before.as_ref().is_none_or(|it| it.until <= self.latest);
            assert!(is_free, "{id} is handed out twice: {before:?}");
        }
    }
}
