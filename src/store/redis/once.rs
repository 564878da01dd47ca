//! Pushes that their producer names, so that a repeat is known.
//!
//! The name is claimed with an id before anything is pushed, and noted as done before the push is answered. What comes
//! between is repeated under the same id, by whoever is asked to: the record tells a repeat what there is already. So
//! such a push is not taken back when it fails half way: its repeat may be finishing it.
//!
//! One pushes at a time. Who pushed and failed says so; one that is killed is waited for as long as its claim may last.
//! A claim whose transaction has been deleted or has ended before it was done is pushed again: nobody was told yet that
//! it had been pushed.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;

use super::{
    client::{Client, Result},
    connection::Fault,
    keys,
    push::{Left, NotPushed},
    reader::Reader,
    records::Records,
};
use crate::mailbox::{Fingerprint, Idempotency, Push, Refusal, TransactionId};

/// How long a push belongs to who began it, unless it is heard of.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often who repeats it looks whether it is done.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It is new, and was given this id.
    New(TransactionId, ClaimTime),
    /// Somebody has begun to push this, and does so no more.
    Begun(TransactionId, ClaimTime),
    /// Somebody is pushing it.
    UnderWay,
    /// This was pushed.
    Done(TransactionId),
    /// It says something else.
    Other,
}

/// When a name was claimed, by its server's clock: the claim that holds is the last one.
type ClaimTime = u64;

/// What became of a push that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Who repeats it may go on with it.
    Unfinished,
    /// Nothing of it is there.
    Nothing,
}

impl Records {
    async fn claim_push(
        &self,
        key: &str,
        id: TransactionId,
        idempotency: &Idempotency,
    ) -> std::result::Result<Claim, Fault> {
        let answer = self.onces.ask(key, |arguments| {
            arguments.text(id.write_to(&mut [0; 36]));
            arguments.text(&hexadecimal(&idempotency.fingerprint));
            arguments.number(millis(idempotency.life));
            arguments.number(millis(PATIENCE));
        });
        read_claim(&answer.await?).ok_or(Fault::Nonsense)
    }

    async fn note_outcome(
        &self,
        key: &str,
        id: TransactionId,
        claimed: ClaimTime,
        outcome: Outcome,
    ) -> std::result::Result<(), Fault> {
        let answer = self.outcomes.ask(key, |arguments| {
            arguments.text(id.write_to(&mut [0; 36]));
            arguments.number(claimed);
            arguments.text(match outcome {
                Outcome::Done => "D",
                Outcome::Unfinished => "U",
                Outcome::Nothing => "N",
            });
        });
        answer.await.map(|_| ())
    }
}

impl Client {
    /// Pushes, unless that has been done under the same name; gives the id of the transaction.
    pub(super) async fn push_once(
        self: &Rc<Self>,
        push: Push,
        idempotency: &Idempotency,
    ) -> Result<TransactionId> {
        let key = keys::idempotency_key(&idempotency.key);
        let records = self.records_at(&key);
        let claim = self.claim_push(records, &key, push.id, idempotency).await?;
        let (id, claimed, is_new) = match claim {
            Claim::New(id, claimed) => (id, claimed, true),
            Claim::Begun(id, claimed) => (id, claimed, false),
            Claim::UnderWay => {
                let reason = "a push with this Idempotency-Key is under way";
                return Err(Refusal::Unavailable(reason.into()));
            }
            Claim::Done(id) => return Ok(id),
            Claim::Other => return Err(Refusal::OtherPush),
        };
        let pushed = self.try_push(&Push { id, ..push }, true).await;
        let outcome = match &pushed {
            Ok(()) => Outcome::Done,
            Err(NotPushed {
                left: Left::Nothing,
                ..
            }) if is_new => Outcome::Nothing,
            Err(_) => Outcome::Unfinished,
        };
        // Where it cannot be noted, a repeat goes on with it in a while, and finds what there is.
        let _ = records.note_outcome(&key, id, claimed, outcome).await;
        pushed.map_err(|failed| failed.refusal)?;
        Ok(id)
    }

    /// Claims a name, and waits a while for who has claimed it.
    async fn claim_push(
        &self,
        records: &Records,
        key: &str,
        id: TransactionId,
        idempotency: &Idempotency,
    ) -> Result<Claim> {
        let deadline = self.timers.now().plus(PATIENCE);
        loop {
            let claim = records.claim_push(key, id, idempotency).await?;
            if claim != Claim::UnderWay || self.timers.now() >= deadline {
                return Ok(claim);
            }
            self.timers.sleep(PAUSE).await;
        }
    }
}

fn read_claim(answer: &Bytes) -> Option<Claim> {
    let letter = answer.first()?;
    let answer = answer.slice(1..);
    let mut reader = Reader::new(&answer);
    let mut id = || reader.ids(1)?.pop();
    Some(match letter {
        b'N' => Claim::New(id()?, reader.number()?),
        b'B' => Claim::Begun(id()?, reader.number()?),
        b'D' => Claim::Done(id()?),
        b'W' => Claim::UnderWay,
        b'O' => Claim::Other,
        _ => return None,
    })
}

fn hexadecimal(fingerprint: &Fingerprint) -> String {
    format!("{:032x}", u128::from_be_bytes(*fingerprint))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
