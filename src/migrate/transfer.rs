//! Moves transactions in their order, a batch at a time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Failure,
    inventory::{Inventory, Waiting},
    key::meta_key,
    order::{Index, merge},
    progress::Progress,
    record::{Content, Unfit},
    report::{Left, Report, Shown},
    servers::{Question, Servers},
    target::Target,
    writer::{Put, Writer},
};
use crate::{
    config::Limits,
    mailbox::{Expiration, Op, Priority, Push, Realm, Reply},
};

/// Transactions that the store is asked about in one go.
const BATCH: usize = 500;

/// Transactions whose fields are asked of the old servers in one go. A server holds what it answers until it is read.
const READ_BATCH: usize = 50;

/// Bytes of payload after which a batch is pushed at once: with what the store holds of them, all that is in memory.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The transfer of transactions.
pub(super) struct Transfer<'a, 'p> {
    pub(super) servers: &'a mut Servers,
    pub(super) inventory: &'a Inventory,
    pub(super) waiting: &'a Waiting,
    pub(super) writer: &'a mut Writer<Target>,
    pub(super) limits: &'a Limits,
    pub(super) report: &'a mut Report,
    pub(super) progress: &'a mut Progress<'p>,
}

impl Transfer<'_, '_> {
    /// Moves everything that waits.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let Waiting { lines, places, .. } = self.waiting;
        let age = |index: Index| self.inventory.transaction(index).age();
        let order = merge(lines, places, age);
        let total = order.len();
        let mut passed = 0;
        for batch in order.chunks(BATCH) {
            let absent = self.absent(batch)?;
            for some in absent.chunks(READ_BATCH) {
                self.move_some(some)?;
            }
            passed += batch.len();
            let moved = self.report.transactions_moved;
            self.progress
                .tell(|| format!("moved {moved} transactions, looked at {passed} of {total}"));
        }
        Ok(())
    }

    /// Those that are not yet in the store.
    fn absent(&mut self, batch: &[Index]) -> Result<Vec<Index>, Failure> {
        let ids = batch.iter().map(|&it| self.inventory.transaction(it).id);
        let ops: Vec<_> = ids.map(Op::States).collect();
        let replies = self.writer.ask(&ops)?;
        let mut absent = Vec::with_capacity(batch.len());
        for (&index, reply) in batch.iter().zip(replies) {
            match reply {
                Reply::States(states) if !states.is_empty() => self.report.transactions_there += 1,
                _ => absent.push(index),
            }
        }
        Ok(absent)
    }

    fn move_some(&mut self, batch: &[Index]) -> Result<(), Failure> {
        let (batch, questions): (Vec<_>, Vec<_>) = batch
            .iter()
            .filter_map(|&index| {
                let transaction = self.inventory.transaction(index);
                let key = meta_key(transaction.id);
                let question = Question::new(transaction.meta?, &[b"HGETALL", &key]);
                Some((index, question))
            })
            .unzip();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut pushes = Vec::new();
        let mut bytes = 0;
        let Self {
            inventory,
            waiting,
            writer,
            limits,
            report,
            ..
        } = self;
        self.servers.ask_all(&questions, |at, server, reply| {
            let Some(&index) = batch.get(at) else {
                return Ok(());
            };
            let transaction = inventory.transaction(index);
            let id = transaction.id;
            if reply.is_wrong_type() {
                report.leave_named(Left::WrongType, Shown(&meta_key(id)));
                return Ok(());
            }
            let fields = reply
                .into_texts()
                .map_err(|reply| server.unexpected("HGETALL", reply))?;
            let (pairs, _) = fields.as_chunks();
            if pairs.is_empty() {
                report.leave_named(Left::Expired, id);
                return Ok(());
            }
            let content = match Content::read(pairs, limits.max_payload, now) {
                Ok(content) => content,
                Err(Unfit { why, field }) => {
                    report.leave_named(why, format_args!("{id}: {field}"));
                    return Ok(());
                }
            };
            bytes += content.record.payload.len();
            pushes.push(Push {
                id,
                priority: transaction.priority().unwrap_or(Priority::Low),
                queues: waiting.queues_of(index),
                groups: Vec::new(),
                realm: Realm::Plain,
                record: content.record,
                expiration: Expiration::At(content.expires_at),
                delay: Duration::ZERO,
                idempotency: None,
                may_repeat: true,
            });
            if bytes > BATCH_BYTES_MAX {
                push(writer, report, &pushes)?;
                pushes.clear();
                bytes = 0;
            }
            Ok::<_, Failure>(())
        })?;
        push(self.writer, self.report, &pushes)
    }
}

fn push(writer: &mut Writer<Target>, report: &mut Report, pushes: &[Push]) -> Result<(), Failure> {
    writer.push(pushes, |push, put| match put {
        Put::Done => {
            report.transactions_moved += 1;
            report.messages_moved += push.queues.len() as u64;
        }
        Put::TooManyQueues => report.leave_named(Left::TooManyQueues, push.id),
    })?;
    Ok(())
}
