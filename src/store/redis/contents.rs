//! Messages get their payloads.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;

use super::{
    client::Client,
    connection::Fault,
    handed::{Handed, Lent},
    shard::{QueueKey, is_reliable, lease_ends},
};
use crate::{
    mailbox::{Handout, Message, Refusal, Reply, Return, TransactionId},
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
    /// Answers a pop with what it was handed. False, and no answer, if all of it was of transactions that are gone.
    pub(super) async fn bring(
        self: &Rc<Self>,
        number: u64,
        queue: &QueueKey,
        handed: Handed,
    ) -> bool {
        if is_reliable(handed.lease) {
            let until = lease_ends(handed.lease);
            self.shard_of(queue).rounds.look_at(until);
        }
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
            self.spawn(async move { drop(removed.await) });
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
                lease: crate::mailbox::LeaseId::default(),
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
        if !charge.resize(handed.bytes) {
            return Err(NotRead::NoMemory);
        }
        let message = |lent: &Lent, payload| Message {
            id: lent.id,
            payload,
            deliveries: lent.deliveries,
        };
        if let (Some(payload), [lent]) = (&handed.payload, &handed.messages[..]) {
            // In a buffer of its own: this one is a part of whatever came with it.
            let payload = Bytes::copy_from_slice(payload);
            return Ok((vec![message(lent, payload)], Vec::new()));
        }
        let mut messages = Vec::with_capacity(handed.messages.len());
        let mut gone = Vec::new();
        for slice in handed.messages.chunks(SLICE) {
            let ask = |lent: &Lent| self.records_of(lent.id).payload(lent.id);
            let asked: Vec<_> = slice.iter().map(ask).collect();
            for (lent, answer) in slice.iter().zip(asked) {
                match answer.await {
                    Ok(Some(payload)) => messages.push(message(lent, payload)),
                    Ok(None) => gone.push(lent.id),
                    Err(fault) => return Err(NotRead::Fault(fault)),
                }
            }
        }
        Ok((messages, gone))
    }
}
