//! Messages get their payloads.

use std::{rc::Rc, time::Duration};

use super::{
    client::Client,
    connection::Fault,
    handed::{Handed, Lent},
    shard::{QueueKey, Shard, is_reliable, lease_ends},
};
use crate::{
    mailbox::{Handout, LeaseId, Message, Refusal, Reply, Return, TransactionId},
    memory::Charge,
};

/// Payloads that are asked for at a time, so that one answer does not fill the connection.
const SLICE: usize = 256;

/// How long a connection that ended or is busy is waited for by those who read what is lent to them, and how often they
/// try.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Why payloads were not read.
enum NotRead {
    /// Too many answers are being written.
    NoMemory,
    Fault(Fault),
}

impl From<NotRead> for Refusal {
    fn from(reason: NotRead) -> Self {
        match reason {
            NotRead::NoMemory => Self::Full("limits.max_answer_memory is reached"),
            NotRead::Fault(fault) => fault.into(),
        }
    }
}

impl Client {
    /// What a pop was handed, if the contents came with it and there is room for them.
    pub(super) fn read_carried(
        &self,
        shard: &Shard,
        handed: &Handed,
    ) -> Option<(Handout, Option<Charge>)> {
        let message = handed.carried()?;
        let mut charge = Charge::new(&self.answer_memory);
        if !charge.resize(handed.bytes()) {
            return None;
        }
        shard.look_when_lapsed(handed.lease);
        let handout = Handout {
            lease: handed.lease,
            messages: vec![message],
        };
        Some((handout, charge.unless_empty()))
    }

    /// Answers a pop with what it was handed. False, and no answer, if all of it was of transactions that are gone.
    pub(super) async fn bring(
        self: &Rc<Self>,
        number: u64,
        queue: &QueueKey,
        handed: Handed,
    ) -> bool {
        self.shard_of(queue).look_when_lapsed(handed.lease);
        let mut charge = Charge::new(&self.answer_memory);
        let (messages, gone) = match self.read_lent(queue, &handed, &mut charge).await {
            Ok(read) => read,
            Err(refusal) => {
                self.reply(number, Reply::Refused(refusal), None);
                // What cannot be given back comes back when its lease lapses.
                let ids = handed.ids();
                let released = self.release(&queue.name, handed.lease, &ids, Return::Unsent);
                let _ = released.await;
                return true;
            }
        };
        if !gone.is_empty() {
            let shard = self.shard_of(queue);
            let removed = shard.remove(queue, &gone);
            // Whoever comes across what is left of them does the same.
            self.operate(async move |_| drop(removed.await));
        }
        if messages.is_empty() {
            return false;
        }
        let handout = Handout {
            lease: handed.lease,
            messages,
        };
        self.reply(number, Reply::Messages(handout), charge.unless_empty());
        true
    }

    /// Payloads of messages that are lent to us. To read does no harm, so a connection that ends or is busy is waited
    /// for a while: the messages are ours for so long.
    async fn read_lent(
        &self,
        queue: &QueueKey,
        handed: &Handed,
        charge: &mut Charge,
    ) -> Result<(Vec<Message>, Vec<TransactionId>), Refusal> {
        let shard = self.shard_of(queue);
        let deadline = self.timers.now().plus(PATIENCE);
        loop {
            match self.read_payloads(handed, charge).await {
                Err(NotRead::Fault(fault))
                    if fault.is_passing()
                        && self.timers.now() < deadline
                        && shard.clock.until(lease_ends(handed.lease)) > PAUSE =>
                {
                    self.timers.sleep(PAUSE).await;
                }
                result => return Ok(result?),
            }
        }
    }

    /// The head of a queue.
    pub(super) async fn peek(
        self: &Rc<Self>,
        number: u64,
        queue: &crate::mailbox::QueueName,
        count_max: usize,
        bytes_max: usize,
    ) {
        let queue = QueueKey::of(queue);
        let shard = self.shard_of(&queue);
        let mut charge = Charge::new(&self.answer_memory);
        let result = match shard.peek(&queue, count_max, bytes_max).await {
            Ok(handed) => {
                let read = self.read_payloads(&handed, &mut charge).await;
                read.map_err(Refusal::from)
            }
            Err(fault) => Err(fault.into()),
        };
        let reply = match result {
            Ok((messages, _)) => Reply::Messages(Handout {
                lease: LeaseId::default(),
                messages,
            }),
            Err(refusal) => Reply::Refused(refusal),
        };
        self.reply(number, reply, charge.unless_empty());
    }

    /// Messages with their payloads, which `charge` is made to cover, and those whose transactions are gone.
    async fn read_payloads(
        &self,
        handed: &Handed,
        charge: &mut Charge,
    ) -> Result<(Vec<Message>, Vec<TransactionId>), NotRead> {
        if !charge.resize(handed.bytes()) {
            return Err(NotRead::NoMemory);
        }
        if let Some(message) = handed.carried() {
            return Ok((vec![message], Vec::new()));
        }
        let mut messages = Vec::with_capacity(handed.messages.len());
        let mut gone = Vec::new();
        for slice in handed.messages.chunks(SLICE) {
            let ask = |lent: &Lent| self.records_of(lent.id).payload(lent);
            let asked: Vec<_> = slice.iter().map(ask).collect();
            for (lent, answer) in slice.iter().zip(asked) {
                match answer.await {
                    Ok(Some(payload)) => messages.push(lent.with(payload)),
                    Ok(None) => gone.push(lent.id),
                    Err(fault) => return Err(NotRead::Fault(fault)),
                }
            }
        }
        Ok((messages, gone))
    }
}

impl Shard {
    /// What consumers do not ack in time is to come back then.
    fn look_when_lapsed(&self, lease: LeaseId) {
        if is_reliable(lease) {
            self.rounds.look_at(lease_ends(lease));
        }
    }
}
