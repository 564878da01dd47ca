//! Looks at every key of the old servers, and reads all that is small: lists, priorities, names.

use std::collections::HashSet;

use bytes::Bytes;

use super::{
    inventory::{Inventory, QueueIndex},
    key::{Key, listed_id},
    name::Reading,
    order::Index,
    progress::Progress,
    report::{Left, Report, Shown},
    server::{Reply, ServerError},
    servers::{Question, ServerIndex, Servers},
    users::OldUser,
};
use crate::mailbox::{Priority, Realm, TransactionId};

/// Keys that one SCAN goes through.
const SCAN_COUNT: &[u8] = b"1000";

/// Entries of a list that are read in one go.
const SLICE_ENTRIES: usize = 10_000;

/// A set of an old server: the name of a group is its key.
#[derive(Debug)]
pub(super) struct OldGroup {
    pub(super) server: ServerIndex,
    pub(super) name: Box<[u8]>,
}

/// What has been seen and is to be read when it is moved.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) groups: Vec<OldGroup>,
    pub(super) users: Vec<OldUser>,
}

/// The look at one key after another.
pub(super) struct Survey<'a, 'p> {
    servers: &'a mut Servers,
    inventory: &'a mut Inventory,
    report: &'a mut Report,
    progress: &'a mut Progress<'p>,
    /// Longest name of a queue or tenant, in bytes.
    id_max: usize,
    unread: Unread,
    /// Ids that are none, each of which comes as an entry and as keys.
    odd_ids: HashSet<Box<[u8]>>,
    keys_seen: u64,
}

impl<'a, 'p> Survey<'a, 'p> {
    pub(super) fn new(
        servers: &'a mut Servers,
        inventory: &'a mut Inventory,
        report: &'a mut Report,
        progress: &'a mut Progress<'p>,
        id_max: usize,
    ) -> Self {
        Self {
            servers,
            inventory,
            report,
            progress,
            id_max,
            unread: Unread::default(),
            odd_ids: HashSet::new(),
            keys_seen: 0,
        }
    }

    /// Goes through all servers.
    pub(super) fn take(mut self) -> Result<Unread, ServerError> {
        for server in self.servers.each() {
            self.scan(server)?;
        }
        Ok(self.unread)
    }

    fn scan(&mut self, server: ServerIndex) -> Result<(), ServerError> {
        let mut cursor = Bytes::from_static(b"0");
        // A SCAN may show a key twice. With transactions that does not matter.
        // Copies: a slice would hold on to everything that was read with it.
        let mut seen: HashSet<Box<[u8]>> = HashSet::new();
        loop {
            let words: [&[u8]; 4] = [b"SCAN", &cursor, b"COUNT", SCAN_COUNT];
            let reply = self.servers.ask(server, &words)?;
            let (next, mut keys) =
                page(reply).map_err(|reply| self.servers.get(server).unexpected("SCAN", reply))?;
            keys.retain(|key| {
                let is_of_transaction = matches!(Key::of(key), Key::Meta(_) | Key::State(_));
                is_of_transaction || seen.insert((**key).into())
            });
            self.look_at(server, &keys)?;
            self.keys_seen += keys.len() as u64;
            let keys_seen = self.keys_seen;
            self.progress.tell(|| format!("looked at {keys_seen} keys"));
            if &*next == b"0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn look_at(&mut self, server: ServerIndex, keys: &[Bytes]) -> Result<(), ServerError> {
        let mut questions = Vec::new();
        let mut asked_about = Vec::new();
        for key in keys {
            let words: &[&[u8]] = match Key::of(key) {
                Key::State(id) => {
                    if let Some(id) = self.read_id(id) {
                        let index = self.inventory.find_or_add(id);
                        self.inventory.transaction_mut(index).state = Some(server);
                    }
                    continue;
                }
                Key::Meta(_) => &[b"HGET", key, b"priority"],
                Key::Queue(_) | Key::Other => &[b"TYPE", key],
            };
            questions.push(Question::new(server, words));
            asked_about.push(key);
        }
        let mut replies = Vec::with_capacity(questions.len());
        self.servers.ask_all(&questions, |_, _, reply| {
            replies.push(reply);
            Ok::<_, ServerError>(())
        })?;
        for (key, reply) in asked_about.into_iter().zip(replies) {
            match (Key::of(key), reply) {
                (Key::Meta(_), reply) if reply.is_wrong_type() => {
                    self.report.leave_named(Left::WrongType, Shown(key));
                }
                (_, reply @ Reply::Error(_)) => {
                    return Err(self.servers.get(server).unexpected("HGET or TYPE", reply));
                }
                (Key::Meta(id), reply) => self.note_meta(server, id, &reply),
                (Key::Queue(name), Reply::Text(kind)) => {
                    self.look_at_queue(server, key, name, &kind)?;
                }
                (_, Reply::Text(kind)) => self.look_at_other(server, key, &kind),
                (_, reply) => return Err(self.servers.get(server).unexpected("TYPE", reply)),
            }
        }
        Ok(())
    }

    fn note_meta(&mut self, server: ServerIndex, id: &[u8], priority: &Reply) {
        let Some(id) = self.read_id(id) else { return };
        let index = self.inventory.find_or_add(id);
        let transaction = self.inventory.transaction_mut(index);
        transaction.meta.get_or_insert(server);
        if let Reply::Text(letter) = priority {
            let of_letter = |it: &Priority| it.letter().as_bytes() == &**letter;
            let given = [Priority::High, Priority::Low].into_iter().find(of_letter);
            transaction.given_priority = given;
        }
    }

    fn look_at_queue(
        &mut self,
        server: ServerIndex,
        key: &Bytes,
        name: &[u8],
        kind: &[u8],
    ) -> Result<(), ServerError> {
        let list = [(&b"H:"[..], Priority::High), (b"L:", Priority::Low)]
            .into_iter()
            .find_map(|(letter, priority)| Some((name.strip_prefix(letter)?, priority)));
        // By type and not by name: a queue may be called `q:userInfo`, and a tenant `H`.
        match (kind, list, name.strip_suffix(b":userInfo")) {
            (b"list", Some((name, priority)), _) => {
                if let Some(queue) = self.queue(name) {
                    let entries = self.read_list(server, key)?;
                    self.inventory.add_list(queue, priority, entries);
                } else {
                    let reply = self.servers.ask(server, &[b"LLEN", key])?;
                    let Reply::Integer(length) = reply else {
                        return Err(self.servers.get(server).unexpected("LLEN", reply));
                    };
                    let length = u64::try_from(length).unwrap_or(0);
                    self.report
                        .leave_several(Left::Unreachable, length, Shown(key));
                }
            }
            (b"hash", _, Some(name)) => {
                self.report.leave(Left::LastPop, 1);
                self.queue(name);
            }
            // It has gone in the meantime.
            (b"none", ..) => {}
            _ => self.report.leave_named(Left::WrongType, Shown(key)),
        }
        Ok(())
    }

    /// The queue of a joined name, if somebody can ask for it here.
    fn queue(&mut self, name: &[u8]) -> Option<QueueIndex> {
        let reading = Reading::of(std::str::from_utf8(name).ok()?)?;
        if !reading.is_reachable(self.id_max) {
            return None;
        }
        let (queue, is_new) = self.inventory.queue(reading.name);
        if is_new && reading.is_ambiguous {
            self.report.note_ambiguous(Shown(name));
        }
        Some(queue)
    }

    fn read_list(&mut self, server: ServerIndex, key: &Bytes) -> Result<Vec<Index>, ServerError> {
        let mut indexes = Vec::new();
        for start in (0_usize..).step_by(SLICE_ENTRIES) {
            let stop = (start + SLICE_ENTRIES - 1).to_string();
            let start = start.to_string();
            let words = [b"LRANGE", &**key, start.as_bytes(), stop.as_bytes()];
            let reply = self.servers.ask(server, &words)?;
            let slice = reply
                .into_texts()
                .map_err(|reply| self.servers.get(server).unexpected("LRANGE", reply))?;
            for entry in &slice {
                let Some(id) = listed_id(entry) else {
                    self.report.leave_named(Left::OddEntry, Shown(entry));
                    continue;
                };
                if let Some(id) = self.read_id(id) {
                    indexes.push(self.inventory.find_or_add(id));
                }
            }
            if slice.len() < SLICE_ENTRIES {
                break;
            }
        }
        Ok(indexes)
    }

    fn look_at_other(&mut self, server: ServerIndex, key: &Bytes, kind: &[u8]) {
        let is_of_old_server = key.starts_with(b"PB:");
        match (kind, secured_queue(key)) {
            (b"set", _) if !is_of_old_server => self.unread.groups.push(OldGroup {
                server,
                name: (**key).into(),
            }),
            (b"string", Some(reading)) if reading.is_reachable(self.id_max) => {
                self.unread.users.push(OldUser {
                    server,
                    key: (**key).into(),
                    reading,
                });
            }
            (b"string", Some(_)) => self.report.leave_named(Left::OddSecured, Shown(key)),
            (b"none", _) => {}
            _ => self.report.leave_named(Left::Unknown, Shown(key)),
        }
    }

    /// The id, if it can be one here; counts it once if not.
    fn read_id(&mut self, bytes: &[u8]) -> Option<TransactionId> {
        let id = std::str::from_utf8(bytes)
            .ok()
            .and_then(TransactionId::parse);
        if id.is_none() && self.odd_ids.insert(bytes.into()) {
            self.report.leave_named(Left::OddId, Shown(bytes));
        }
        id
    }
}

/// The queue of a key that is `<tenant>SEC:<queue>`.
fn secured_queue(key: &[u8]) -> Option<Reading> {
    let reading = Reading::of(std::str::from_utf8(key).ok()?)?;
    (reading.name.realm() == Realm::Secured).then_some(reading)
}

/// The next cursor and the keys of a SCAN.
fn page(reply: Reply) -> Result<(Bytes, Vec<Bytes>), Reply> {
    match reply {
        Reply::List(list) => {
            let pair: Result<[Reply; 2], _> = list.try_into();
            match pair {
                Ok([Reply::Text(cursor), keys]) => Ok((cursor, keys.into_texts()?)),
                Ok([other, _]) => Err(other),
                Err(list) => Err(Reply::List(list)),
            }
        }
        other => Err(other),
    }
}
