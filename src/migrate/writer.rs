//! Puts things into the store, and does not give up at the first trouble.

use std::{thread, time::Duration};

use super::target::{Answers, Silent};
use crate::mailbox::{Op, Push, Refusal, Reply, TransactionId};

/// How often something is tried again before we stop. With the pause between, it is long enough for a disk that has to
/// catch up.
const TRIES_MAX: u32 = 60;

const PAUSE: Duration = Duration::from_secs(1);

/// The store does not go on. What was moved stays moved.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// It refuses.
    #[error("the store takes no more: {0}")]
    Refused(Refusal),
    /// It says nothing.
    #[error("the store does not answer: {0}")]
    Silent(#[from] Silent),
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is in the store.
    Done,
    /// It never can be: it has too many queues.
    TooManyQueues,
}

/// A way to the store that tries again.
#[derive(Debug)]
pub(super) struct Writer<T> {
    target: T,
    pause: Duration,
}

/// Tries that are left until something succeeds.
struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    fn renew(&mut self) {
        self.tries = 0;
    }

    /// Waits, unless waiting is of no use.
    fn bear(&mut self, refusal: Refusal) -> Result<(), Stopped> {
        self.tries += 1;
        if !matches!(refusal, Refusal::Unavailable(_)) || self.tries >= TRIES_MAX {
            return Err(Stopped::Refused(refusal));
        }
        if self.tries == 1 {
            tracing::info!(%refusal, "waits for the store to take more");
        }
        thread::sleep(self.pause);
        Ok(())
    }
}

impl<T: Answers> Writer<T> {
    pub(super) fn new(target: T) -> Self {
        Self {
            target,
            pause: PAUSE,
        }
    }

    pub(super) fn into_target(self) -> T {
        self.target
    }

    fn patience(&self) -> Patience {
        Patience {
            tries: 0,
            pause: self.pause,
        }
    }

    /// Has operations done whose order does not matter, and that may be done twice. A [`Refusal::TooManyQueues`] is
    /// given as a reply.
    pub(super) fn ask(&mut self, ops: &[Op]) -> Result<Vec<Reply>, Stopped> {
        let mut replies: Vec<_> = ops.iter().map(|_| None).collect();
        self.ask_each(ops, |at, reply| {
            if let Some(place) = replies.get_mut(at) {
                *place = Some(reply);
            }
        })?;
        Ok(replies.into_iter().flatten().collect())
    }

    /// As [`Self::ask`], but gives each reply as soon as it is final, in any order, with the place of its operation. So
    /// what was done is known when not everything could be.
    pub(super) fn ask_each(
        &mut self,
        ops: &[Op],
        mut done: impl FnMut(usize, Reply),
    ) -> Result<(), Stopped> {
        let mut patience = self.patience();
        let mut places: Vec<_> = (0..ops.len()).collect();
        while !places.is_empty() {
            let asked = places.iter().filter_map(|&at| ops.get(at).cloned());
            let replies = self.target.ask(asked.collect())?;
            let mut again = Vec::new();
            let mut reason = None;
            for (at, reply) in places.into_iter().zip(replies) {
                match reply {
                    Reply::Refused(refusal @ (Refusal::Unavailable(_) | Refusal::Full(_))) => {
                        again.push(at);
                        reason.get_or_insert(refusal);
                    }
                    reply => done(at, reply),
                }
            }
            if let Some(refusal) = reason {
                patience.bear(refusal)?;
            }
            places = again;
        }
        Ok(())
    }

    /// Pushes transactions that the store does not have, so that they come out in this order.
    ///
    /// When one is refused while others behind it were taken, these are taken out again before it is tried anew: a
    /// place in a queue is that of the push. On a store that nobody else uses no one sees that.
    pub(super) fn push(
        &mut self,
        pushes: &[Push],
        mut done: impl FnMut(&Push, Put),
    ) -> Result<(), Stopped> {
        let mut patience = self.patience();
        let mut rest = pushes;
        while !rest.is_empty() {
            let ops = rest.iter().cloned().map(|it| Op::Push(Box::new(it)));
            let replies = self.target.ask(ops.collect())?;
            let refused = replies
                .iter()
                .enumerate()
                .find_map(|(at, reply)| match reply {
                    Reply::Refused(it @ (Refusal::Unavailable(_) | Refusal::Full(_))) => {
                        Some((at, it.clone()))
                    }
                    _ => None,
                });
            let taken = refused.as_ref().map_or(rest.len(), |(at, _)| *at);
            for (push, reply) in rest.iter().zip(&replies).take(taken) {
                let put = match reply {
                    Reply::Refused(_) => Put::TooManyQueues,
                    _ => Put::Done,
                };
                done(push, put);
            }
            if taken > 0 {
                patience.renew();
            }
            if let Some((at, refusal)) = refused {
                let behind = rest.iter().zip(&replies).skip(at + 1);
                let to_take_out = behind
                    .filter(|(_, reply)| matches!(reply, Reply::Pushed(_)))
                    .map(|(push, _)| push.id);
                self.take_out(to_take_out.collect())?;
                patience.bear(refusal)?;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    fn take_out(&mut self, ids: Vec<TransactionId>) -> Result<(), Stopped> {
        if !ids.is_empty() {
            let ops: Vec<_> = ids.into_iter().map(Op::Delete).collect();
            self.ask(&ops)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Expiration, Priority, Realm, Record};

    /// A store that refuses what its script says, and keeps the rest in the order it came.
    #[derive(Default)]
    struct Scripted {
        /// For each operation that is to come: what it is refused with, if at all.
        refusals: std::collections::VecDeque<Option<Refusal>>,
        kept: Vec<TransactionId>,
    }

    impl Answers for Scripted {
        fn ask(&mut self, ops: Vec<Op>) -> Result<Vec<Reply>, Silent> {
            let replies = ops.into_iter().map(|op| {
                if let Some(Some(refusal)) = self.refusals.pop_front() {
                    return Reply::Refused(refusal);
                }
                match op {
                    Op::Push(push) => {
                        self.kept.push(push.id);
                        Reply::Pushed(push.id)
                    }
                    Op::Delete(id) => {
                        self.kept.retain(|it| *it != id);
                        Reply::Done
                    }
                    other => panic!("{other:?}"),
                }
            });
            Ok(replies.collect())
        }
    }

    fn push(number: u8) -> Push {
        Push {
            id: TransactionId::from_random([number; 16]),
            priority: Priority::High,
            queues: Vec::new(),
            groups: Vec::new(),
            realm: Realm::Plain,
            record: Record::default(),
            expiration: Expiration::At(u32::MAX),
            delay: Duration::ZERO,
            idempotency: None,
            may_repeat: false,
        }
    }

    fn unavailable() -> Refusal {
        Refusal::Unavailable("the disk does not keep up".into())
    }

    /// Pushes four with these refusals; gives the result, what is kept, and what was said to be done.
    fn outcome(
        refusals: impl IntoIterator<Item = Option<Refusal>>,
    ) -> (bool, Vec<TransactionId>, Vec<(TransactionId, Put)>) {
        let target = Scripted {
            refusals: refusals.into_iter().collect(),
            kept: Vec::new(),
        };
        let pause = Duration::ZERO;
        let mut writer = Writer { target, pause };
        let pushes: Vec<_> = (0..4).map(push).collect();
        let mut done = Vec::new();
        let result = writer.push(&pushes, |push, put| done.push((push.id, put)));
        (result.is_ok(), writer.target.kept, done)
    }

    fn ids(numbers: impl IntoIterator<Item = u8>) -> Vec<TransactionId> {
        numbers.into_iter().map(|it| push(it).id).collect()
    }

    #[test]
    fn order_holds_through_refusals() {
        for refusals in [
            vec![],
            vec![Some(unavailable())],
            vec![None, Some(unavailable())],
            vec![None, Some(unavailable()), None, Some(unavailable())],
            // One behind is not to be taken out at first, either.
            vec![Some(unavailable()), None, None, None, Some(unavailable())],
            vec![Some(unavailable()); 9],
        ] {
            let (is_ok, kept, done) = outcome(refusals.clone());
            assert!(is_ok);
            assert_eq!(kept, ids(0..4), "{refusals:?}");
            let expected: Vec<_> = kept.iter().map(|id| (*id, Put::Done)).collect();
            assert_eq!(done, expected, "{refusals:?}");
        }
    }

    #[test]
    fn a_full_store_ends_it_with_nothing_behind() {
        let full = Some(Refusal::Full("limits.max_transactions is reached"));
        let (is_ok, kept, done) = outcome([None, None, full]);
        assert!(!is_ok);
        assert_eq!(kept, ids(0..2));
        assert_eq!(done.len(), 2);
    }

    #[test]
    fn a_store_that_stays_away_ends_it() {
        let (is_ok, kept, _) = outcome(vec![Some(unavailable()); 1000]);
        assert!(!is_ok);
        assert_eq!(kept, []);
    }

    #[test]
    fn what_was_done_is_told_though_not_everything_was() {
        let full = Some(Refusal::Full("limits.max_secured_queues is reached"));
        for (refusals, is_ok, expected) in [
            (vec![None, Some(unavailable())], true, vec![0, 2, 3, 1]),
            (vec![None, full], false, vec![0, 2, 3]),
        ] {
            let writer = || Writer {
                target: Scripted {
                    refusals: refusals.clone().into(),
                    kept: Vec::new(),
                },
                pause: Duration::ZERO,
            };
            let ops: Vec<_> = ids(0..4).into_iter().map(Op::Delete).collect();
            let mut done = Vec::new();
            let result = writer().ask_each(&ops, |at, reply| {
                assert_eq!(reply, Reply::Done);
                done.push(at);
            });
            assert_eq!((result.is_ok(), done), (is_ok, expected));
            let replies = writer().ask(&ops);
            assert_eq!(replies.is_ok_and(|it| it.len() == ops.len()), is_ok);
        }
    }

    #[test]
    fn what_can_never_be_is_passed_over() {
        let (is_ok, kept, done) = outcome([None, Some(Refusal::TooManyQueues(1))]);
        assert!(is_ok);
        assert_eq!(kept, ids([0, 2, 3]));
        assert_eq!(done[1], (push(1).id, Put::TooManyQueues));
    }
}
