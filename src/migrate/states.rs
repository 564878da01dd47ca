//! Reads the old states, for the messages that no list holds: those that were out with consumers.

use std::collections::HashMap;

use super::{
    inventory::{Holders, Inventory, QueueIndex},
    key::state_key,
    name::Reading,
    order::Index,
    progress::Progress,
    report::{Left, Report, Shown},
    server::ServerError,
    servers::{Question, ServerIndex, Servers},
};
use crate::mailbox::{QueueName, Realm, State, Tenant};

/// Transactions that are asked about in one go.
const BATCH: usize = 500;

/// Reads the states of every transaction that has any.
pub(super) fn read(
    servers: &mut Servers,
    inventory: &mut Inventory,
    report: &mut Report,
    progress: &mut Progress<'_>,
    id_max: usize,
) -> Result<(), ServerError> {
    let holders = inventory.holders();
    let all = (0..).zip(inventory.transactions());
    let with_states: Vec<(Index, ServerIndex)> = all
        .filter(|(_, it)| it.meta.is_some())
        .filter_map(|(index, it)| Some((index, it.state?)))
        .collect();
    let mut states = States {
        plain: PlainNames::of(inventory.queues()),
        inventory,
        report,
        holders,
        id_max,
    };
    let mut read = 0;
    for batch in with_states.chunks(BATCH) {
        let ask = |&(index, server): &(Index, ServerIndex)| {
            let key = state_key(states.inventory.transaction(index).id);
            Question::new(server, &[b"HGETALL", &key])
        };
        let questions: Vec<_> = batch.iter().map(ask).collect();
        let mut replies = Vec::with_capacity(questions.len());
        servers.ask_all(&questions, |_, _, reply| {
            replies.push(reply);
            Ok::<_, ServerError>(())
        })?;
        for ((&(index, server), question), reply) in batch.iter().zip(&questions).zip(replies) {
            if reply.is_wrong_type() {
                let key = question.words.last().map(Vec::as_slice).unwrap_or_default();
                states.report.leave_named(Left::WrongType, Shown(key));
                continue;
            }
            let fields = reply
                .into_texts()
                .map_err(|reply| servers.get(server).unexpected("HGETALL", reply))?;
            let (pairs, _) = fields.as_chunks();
            states.note(index, pairs);
        }
        read += questions.len();
        progress.tell(|| format!("read the states of {read} transactions"));
    }
    Ok(())
}

struct States<'a> {
    inventory: &'a mut Inventory,
    report: &'a mut Report,
    holders: Holders,
    plain: PlainNames,
    id_max: usize,
}

impl States<'_> {
    fn note(&mut self, index: Index, pairs: &[[bytes::Bytes; 2]]) {
        let mut waits = self.holders.of(index).next().is_some();
        let mut delivered = 0;
        for [name, word] in pairs {
            let state = std::str::from_utf8(word).ok().and_then(State::from_word);
            let queue = std::str::from_utf8(name)
                .ok()
                .and_then(|name| self.queue(index, name));
            match (state, queue) {
                (Some(State::Delivered), _) => delivered += 1,
                // Its end is told by its date.
                (Some(State::Expired), _) => {}
                (Some(State::Blocked), Some(queue)) => {
                    self.inventory.add_blocked(queue, index);
                    waits = true;
                }
                (Some(State::Pending), Some(queue)) if self.holders.hold(queue, index) => {}
                (Some(State::Pending), Some(_)) => {
                    let id = self.inventory.transaction(index).id;
                    let name = Shown(name);
                    self.report
                        .leave_named(Left::NotListed, format_args!("{id} in {name}"));
                }
                // An old server has no dead letters.
                (None | Some(State::Dead), _) | (_, None) => {
                    let id = self.inventory.transaction(index).id;
                    let (name, word) = (Shown(name), Shown(word));
                    self.report
                        .leave_named(Left::OddState, format_args!("{id}: {name} is {word}"));
                }
            }
        }
        // Of one that waits nowhere, the transaction itself is left and counted.
        if waits {
            self.report.leave(Left::Delivered, delivered);
        }
    }

    /// The queue that a field names: by its joined name, or by its id alone. The latter is the known queue with that
    /// id, for of each queue that anybody has popped there is a key; of several that of the tenant in whose queues the
    /// transaction also is.
    fn queue(&mut self, index: Index, name: &str) -> Option<QueueIndex> {
        let reading = match Reading::of(name) {
            Some(reading) => reading,
            None => Reading {
                name: self.by_id(index, name),
                is_ambiguous: false,
            },
        };
        if !reading.is_reachable(self.id_max) {
            return None;
        }
        let (queue, is_new) = self.inventory.queue(reading.name);
        if is_new && reading.is_ambiguous {
            self.report.note_ambiguous(Shown(name.as_bytes()));
        }
        Some(queue)
    }

    fn by_id(&self, index: Index, id: &str) -> QueueName {
        let known = self.plain.0.get(id).map_or(&[][..], Vec::as_slice);
        if let [only] = known {
            return only.clone();
        }
        let names = self.inventory.queues();
        let (realm, tenant) = self
            .holders
            .of(index)
            .next()
            .and_then(|queue| names.get(queue as usize))
            .map_or((Realm::Plain, Tenant(None)), |holder| {
                (holder.realm(), holder.tenant().clone())
            });
        QueueName::new(realm, tenant, id)
    }
}

/// Queues by their id alone.
struct PlainNames(HashMap<Box<str>, Vec<QueueName>>);

impl PlainNames {
    fn of(queues: &[QueueName]) -> Self {
        let mut names: HashMap<Box<str>, Vec<QueueName>> = HashMap::new();
        for queue in queues {
            names
                .entry(queue.id().into())
                .or_default()
                .push(queue.clone());
        }
        Self(names)
    }
}
