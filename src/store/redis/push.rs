//! Pushing: the record first, then the queues.
//!
//! A message whose record is not there is never handed out. So the record is written before any queue can hand the
//! message out; and a push that fails half way is undone by taking the record away, whatever the queues still hold.

use std::{collections::HashSet, rc::Rc, time::Duration};

use tracing::warn;

use super::{
    client::{Client, Result},
    connection::Fault,
    keys,
    letter::Letter,
    record::{self, Creation},
    records::{Header, Member, RETRY, Records},
    shard::QueueKey,
};
use crate::mailbox::{Push, QueueName, Refusal, TransactionId};

/// Queues of one server that a push goes to at a time, so that others get their turn in between.
const SLICE: usize = 128;

/// A payload up to this size goes to the queues with the message, so that who waits gets it without another question.
const CARRIED_BYTES_MAX: usize = 1 << 10;

/// How often, and how far apart, it is tried to take back what was pushed in part.
const UNDO_ATTEMPTS: u32 = 300;
const UNDO_PAUSE: Duration = Duration::from_secs(1);

/// Why a push was not done.
pub(super) struct NotPushed {
    pub(super) refusal: Refusal,
    pub(super) left: Left,
}

/// What a push that was not done leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// Some of it may be there, and is there for nothing else.
    Part,
    /// What had been there before, and some more of it.
    Earlier,
}

impl NotPushed {
    fn leaving<T: Into<Refusal>>(left: Left) -> impl Fn(T) -> Self {
        move |reason| Self {
            refusal: reason.into(),
            left,
        }
    }
}

impl Client {
    /// Pushes; gives the id of the transaction.
    pub(super) async fn push(self: &Rc<Self>, mut push: Box<Push>) -> Result<TransactionId> {
        if let Some(idempotency) = push.idempotency.take() {
            return Box::pin(self.push_once(*push, &idempotency)).await;
        }
        match self.try_push(&push, push.may_repeat).await {
            Ok(()) => Ok(push.id),
            Err(failed) => {
                if failed.left == Left::Part {
                    self.undo(push.id);
                }
                Err(failed.refusal)
            }
        }
    }

    /// Pushes; what is left of it if that fails stays. `is_repeat`: somebody may have pushed the same, or be at it.
    pub(super) async fn try_push(
        self: &Rc<Self>,
        push: &Push,
        is_repeat: bool,
    ) -> std::result::Result<(), NotPushed> {
        let queues = self.destinations(push).await;
        let queues = queues.map_err(NotPushed::leaving(Left::Nothing))?;
        let is_delayed = !push.delay.is_zero();
        let together = match &queues[..] {
            [queue] if !is_delayed && self.is_together(push.id, queue) => Some(queue),
            _ => None,
        };
        let records = self.records_of(push.id);
        // Of the connection that the push goes by: another one may not be there, and not know.
        let now = match together {
            Some(queue) => self.shard_of(queue).clock.now(),
            None => records.clock.now(),
        };
        let starts_at = now.plus(push.delay);
        let expires_at = push.expiration.second(starts_at);
        if record::is_over(expires_at, now) {
            return Ok(());
        }
        let creation = Creation {
            id: push.id,
            priority: push.priority,
            expires_at,
            due: is_delayed.then_some(starts_at),
            queues: &record::join_tags(queues.iter().map(QueueKey::tag)),
            record: &push.record,
        };
        let letter = Letter {
            id: push.id,
            priority: push.priority,
            expires_at,
            // A request is shorter than that.
            payload_bytes: u32::try_from(push.record.payload.len()).unwrap_or(u32::MAX),
            is_repeat,
            payload: Some(&push.record.payload[..]).filter(|it| it.len() <= CARRIED_BYTES_MAX),
        };
        let created = match together {
            Some(queue) => {
                let shard = self.shard_of(queue);
                shard.push_new(queue, &letter, &creation).await
            }
            None => records.create(&creation).await,
        };
        match created {
            Ok(true) if is_delayed => {
                self.look_for_delayed(push.id, starts_at);
                Ok(())
            }
            Ok(true) if together.is_some() => Ok(()),
            Ok(true) => {
                // In a box, this and what is rare: most pushes go to one queue, and are to be small.
                let sent = Box::pin(self.send(letter, &queues)).await;
                sent.map_err(NotPushed::leaving(Left::Part))
            }
            // Nobody pushes that again.
            Ok(false) if !is_repeat => Ok(()),
            // A repeat of a push that has been taken in, wholly or in part.
            Ok(false) => {
                let finished = Box::pin(self.finish_push(push.id)).await;
                finished.map_err(NotPushed::leaving(Left::Earlier))
            }
            Err(fault) if fault.is_harmless() => Err(NotPushed::leaving(Left::Nothing)(fault)),
            Err(fault) => Err(NotPushed::leaving(Left::Part)(fault)),
        }
    }

    /// Whether a transaction's record is on the server of a queue, so that one step does for both.
    fn is_together(&self, id: TransactionId, queue: &QueueKey) -> bool {
        let shard = self.shard_of(queue);
        self.records_of(id).address() == shard.connection.address()
    }

    /// The distinct queues of a push, those of its groups included, in the order they are named.
    async fn destinations(&self, push: &Push) -> Result<Vec<QueueKey>> {
        let max = self.limits.queues_per_transaction_max;
        let mut names = push.queues.clone();
        for group in &push.groups {
            for id in self.group(group).await? {
                names.push(QueueName::new(push.realm, group.tenant.clone(), &id));
            }
        }
        let mut seen = HashSet::with_capacity(names.len());
        names.retain(|name| seen.insert(name.clone()));
        if names.len() > max {
            return Err(Refusal::TooManyQueues(max));
        }
        Ok(names.iter().map(QueueKey::of).collect())
    }

    /// Puts a message into queues, in slices on each server.
    async fn send(
        &self,
        letter: Letter<'_>,
        queues: &[QueueKey],
    ) -> std::result::Result<(), Fault> {
        if let [queue] = queues {
            return self.send_slice(letter, std::slice::from_ref(queue)).await;
        }
        let mut by_server: Vec<Vec<&QueueKey>> = vec![Vec::new(); self.shards.len()];
        for queue in queues {
            if let Some(own) = by_server.get_mut(queue.server(self.shards.len())) {
                own.push(queue);
            }
        }
        let slices = by_server.iter().map(|own| own.chunks(SLICE));
        let mut slices: Vec<_> = slices.collect();
        loop {
            let round: Vec<&QueueKey> = slices
                .iter_mut()
                .filter_map(Iterator::next)
                .flatten()
                .copied()
                .collect();
            if round.is_empty() {
                return Ok(());
            }
            self.send_slice(letter, round).await?;
        }
    }

    async fn send_slice<'key>(
        &self,
        letter: Letter<'_>,
        queues: impl IntoIterator<Item = &'key QueueKey>,
    ) -> std::result::Result<(), Fault> {
        let answers: Vec<_> = queues
            .into_iter()
            .map(|queue| {
                let shard = self.shard_of(queue);
                shard.push(queue, &letter)
            })
            .collect();
        for answer in answers {
            answer.await?;
        }
        Ok(())
    }

    /// Puts a transaction into those of its queues that have not had it.
    async fn finish_push(self: &Rc<Self>, id: TransactionId) -> Result<()> {
        let records = self.records_of(id);
        let Some(header) = records.header(id).await? else {
            return Ok(());
        };
        if header.head.is_held_back {
            return Ok(());
        }
        let queues = self.queues_left(id, &header).await?;
        self.send(Letter::again(id, &header), &queues).await?;
        Ok(())
    }

    /// The queues of a transaction that did not deliver it yet, as far as is noted. Those that have it or had it do not
    /// take it in again.
    async fn queues_left(
        &self,
        id: TransactionId,
        header: &Header,
    ) -> std::result::Result<Vec<QueueKey>, Fault> {
        let notes = self.records_of(id).notes(id).await?;
        let left = record::tags(&header.queues).filter(|tag| notes.of(tag).is_none());
        Ok(left
            .filter_map(keys::queue_of_tag)
            .map(|name| QueueKey::of(&name))
            .collect())
    }

    /// Puts what is no longer held back into its queues. What fails is claimed again a moment later, and holds up
    /// nothing that is for other servers; the last such fault.
    pub(super) async fn deliver_delayed(
        self: &Rc<Self>,
        claimed_from: &Records,
        members: Vec<Member>,
    ) -> Option<Fault> {
        let mut last = None;
        for member in members {
            if let Err(fault) = self.deliver_member(claimed_from, &member).await {
                // If that fails as well, the claim runs out.
                let _ = claimed_from.put_off(&member).await;
                claimed_from
                    .rounds
                    .look_at(claimed_from.clock.now().plus(RETRY));
                last = Some(fault);
            }
        }
        last
    }

    async fn deliver_member(
        &self,
        claimed_from: &Records,
        member: &Member,
    ) -> std::result::Result<(), Fault> {
        let records = self.records_of(member.id);
        if let Some(header) = records.header(member.id).await?
            && header.is_held_by(member)
        {
            let queues = self.queues_left(member.id, &header).await?;
            let letter = Letter::again(member.id, &header);
            self.send(letter, &queues).await?;
            // Before it counts as arrived: who finds it so does nothing more about it.
            self.catch_up(letter).await?;
            records.arrived(member.id).await?;
        }
        claimed_from.release(member).await
    }

    /// Tells queues of an update that has come between the reading of the record and the sending: it found nothing in
    /// them to change.
    async fn catch_up(&self, sent: Letter<'_>) -> std::result::Result<(), Fault> {
        let Some(header) = self.records_of(sent.id).header(sent.id).await? else {
            return Ok(());
        };
        let new = Letter::again(sent.id, &header);
        if (new.expires_at, new.payload_bytes) != (sent.expires_at, sent.payload_bytes) {
            let (end, bytes) = (Some(new.expires_at), Some(new.payload_bytes as usize));
            self.tell_queues(&header.queues, sent.id, end, bytes)
                .await?;
        }
        Ok(())
    }

    /// Takes a record away whose push has failed, now or as soon as its server is within reach: who pushed was told
    /// that it failed.
    fn undo(self: &Rc<Self>, id: TransactionId) {
        self.operate(async move |this| {
            for _ in 0..UNDO_ATTEMPTS {
                if this.delete(id).await.is_ok() {
                    return;
                }
                this.timers.sleep(UNDO_PAUSE).await;
            }
            warn!(%id, "a push that failed could not be taken back: it may be delivered in part");
        });
    }
}
