//! A server of transactions: their records, what is held back, and groups.

use std::{rc::Rc, str, time::Duration};

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;

use super::{
    batch::{Arguments, Batcher, run_once},
    clock::Clock,
    connection::{Connection, Fault, into_bytes, into_list},
    keys,
    record::{Fields, Mark, is_over, number},
    scripts::Script,
    sweep::Rounds,
};
use crate::{
    config::RedisAddress,
    mailbox::{Expiration, Record, TransactionId, UnixMillis, Update},
    runtime::Timers,
};

/// Fields that one command reads.
const SLICE: usize = 500;

/// How long a transaction whose delay is over belongs to who puts it into its queues. If nobody has done so by then,
/// the next may.
const CLAIM: Duration = Duration::from_secs(10);

/// When one that could not be put into all of its queues is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Transactions that are claimed at once.
const CLAIMED_AT_ONCE: u64 = 64;

/// A worker's way to a server of transactions.
pub(super) struct Records {
    pub(super) connection: Connection,
    pub(super) clock: Rc<Clock>,
    creates: Rc<Batcher>,
    marks: Rc<Batcher>,
    /// Pushes whose producer names them, when they begin.
    pub(super) onces: Rc<Batcher>,
    /// And when they end.
    pub(super) outcomes: Rc<Batcher>,
    update: Rc<Script>,
    claim: Rc<Script>,
    group: Rc<Script>,
    pub(super) rounds: Rounds,
}

/// The scripts of a connection to a server of transactions.
pub(super) struct Scripts {
    create: Rc<Script>,
    mark: Rc<Script>,
    once: Rc<Script>,
    outcome: Rc<Script>,
    update: Rc<Script>,
    claim: Rc<Script>,
    group: Rc<Script>,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create: Script::create().into(),
            mark: Script::mark().into(),
            once: Script::once().into(),
            outcome: Script::outcome().into(),
            update: Script::update().into(),
            claim: Script::claim().into(),
            group: Script::group().into(),
        }
    }

    pub(super) fn all(&self) -> Vec<Rc<Script>> {
        [
            &self.create,
            &self.mark,
            &self.once,
            &self.outcome,
            &self.update,
            &self.claim,
            &self.group,
        ]
        .map(Rc::clone)
        .into()
    }
}

/// A transaction whose record is to be written.
pub(super) struct Creation<'push> {
    pub(super) id: TransactionId,
    pub(super) priority: &'static str,
    pub(super) expires_at: u32,
    /// When its delay ends, if it is held back.
    pub(super) due: Option<UnixMillis>,
    pub(super) queues: &'push str,
    pub(super) record: &'push Record,
    /// The record's further fields as they are written.
    pub(super) further: &'push str,
}

impl Creation<'_> {
    /// Everything but the end of its delay.
    pub(super) fn write(&self, arguments: &mut Arguments<'_>) {
        arguments.bytes(&self.record.payload);
        arguments.text(self.priority);
        arguments.number(self.expires_at.into());
        arguments.text(self.queues);
        arguments.text(self.record.callback.as_deref().unwrap_or_default());
        arguments.text(self.further);
    }
}

/// What a record says of how its transaction is to be delivered.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) priority: crate::mailbox::Priority,
    pub(super) expires_at: u32,
    pub(super) payload_bytes: usize,
    pub(super) queues: Bytes,
    /// Its member of the set of what is held back, until it is in its queues.
    held_as: Option<Bytes>,
}

impl Header {
    /// Whether its delay is not over, or nobody has noticed yet.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_as.is_some()
    }

    /// Whether it is this member that holds it back. One of the same id may have been before it, and have ended first.
    pub(super) fn is_held_by(&self, member: &Member) -> bool {
        self.held_as.as_ref() == Some(&member.text)
    }
}

/// Transactions whose delay is over.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// Those, in the order in which they are to arrive.
    pub(super) members: Vec<Member>,
    /// When the next one is due.
    pub(super) next: Option<UnixMillis>,
}

/// A member of the set of what is held back.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: TransactionId,
    text: Bytes,
}

/// What became of a change of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupChanged {
    Done,
    Unknown,
    TooLarge,
}

impl Records {
    pub(super) fn new(
        connection: Connection,
        clock: Rc<Clock>,
        scripts: Scripts,
        timers: &Rc<Timers>,
    ) -> Self {
        let batcher = |script| {
            let clock = Rc::clone(&clock);
            let preamble = move |arguments: &mut Arguments<'_>| {
                arguments.number(clock.for_scripts());
            };
            // There are none.
            let news = drop;
            Batcher::new(connection.clone(), script, preamble, news, timers)
        };
        Self {
            creates: batcher(scripts.create),
            marks: batcher(scripts.mark),
            onces: batcher(scripts.once),
            outcomes: batcher(scripts.outcome),
            update: scripts.update,
            claim: scripts.claim,
            group: scripts.group,
            rounds: Rounds::new(timers, &clock),
            connection,
            clock,
        }
    }

    /// The server's address.
    pub(super) fn address(&self) -> &RedisAddress {
        self.connection.address()
    }

    /// Writes a record; false if there is one already.
    pub(super) fn create(
        &self,
        creation: &Creation<'_>,
    ) -> impl Future<Output = Result<bool, Fault>> + use<> {
        let key = keys::record_key(creation.id);
        let answer = self.creates.ask(&key, |arguments| {
            creation.write(arguments);
            match creation.due {
                Some(due) => arguments.number(due.0),
                None => arguments.text(""),
            }
        });
        async move { Ok(*answer.await? == *b"1") }
    }

    /// Notes what became of a message, soon; whether there was anything to note.
    pub(super) fn mark(
        &self,
        id: TransactionId,
        tag: &str,
        mark: Mark,
    ) -> impl Future<Output = Result<bool, Fault>> + use<> {
        let answer = self.marks.ask_later(&keys::record_key(id), |arguments| {
            arguments.text(&Mark::field(tag));
            arguments.text(mark.letter());
        });
        async move { Ok(*answer.await? == *b"1") }
    }

    /// A payload; none where the record is gone.
    pub(super) fn payload(
        &self,
        id: TransactionId,
    ) -> impl Future<Output = Result<Option<Bytes>, Fault>> + use<> {
        let key = keys::record_key(id);
        let answer = self.connection.call(&[b"HGET", key.as_bytes(), b"p"]);
        async move { answer.await.and_then(into_bytes) }
    }

    /// A whole record, unless it is over.
    pub(super) async fn read(&self, id: TransactionId) -> Result<Option<Fields>, Fault> {
        let key = keys::record_key(id);
        let answer = self.connection.call(&[b"HGETALL", key.as_bytes()]).await?;
        let mut texts = into_list(answer)?.into_iter().map(into_bytes);
        let mut pairs = Vec::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            if let (Some(name), Some(value)) = (name?, value?) {
                pairs.push((name, value));
            }
        }
        Ok(Fields::read(pairs.into_iter(), self.clock.now()))
    }

    /// How a transaction is to be delivered; none where it is gone or over.
    pub(super) async fn header(&self, id: TransactionId) -> Result<Option<Header>, Fault> {
        let key = keys::record_key(id);
        let fields = self
            .connection
            .call(&[b"HMGET", key.as_bytes(), b"y", b"x", b"q", b"m"]);
        let size = self.connection.call(&[b"HSTRLEN", key.as_bytes(), b"p"]);
        let [priority, expires_at, queues, held_as] = strings(fields.await?)?;
        let size = size.await?;
        let read = || {
            let BytesFrame::Number { data: size, .. } = size else {
                return None;
            };
            let header = Header {
                priority: super::record::priority(&priority?)?,
                expires_at: u32::try_from(number(&expires_at?)?).ok()?,
                payload_bytes: usize::try_from(size).ok()?,
                queues: queues?,
                held_as,
            };
            (!is_over(header.expires_at, self.clock.now())).then_some(header)
        };
        Ok(read())
    }

    /// What is noted of a transaction's messages in the queues of a list of tags.
    pub(super) async fn marks(
        &self,
        id: TransactionId,
        tags: &[&str],
    ) -> Result<Vec<Option<Mark>>, Fault> {
        let key = keys::record_key(id);
        let answers: Vec<_> = tags
            .chunks(SLICE)
            .map(|slice| {
                let fields: Vec<String> = slice.iter().map(|tag| Mark::field(tag)).collect();
                let mut parts: Vec<&[u8]> = vec![b"HMGET", key.as_bytes()];
                parts.extend(fields.iter().map(String::as_bytes));
                self.connection.call(&parts)
            })
            .collect();
        let mut marks = Vec::with_capacity(tags.len());
        for answer in answers {
            for value in into_list(answer.await?)? {
                marks.push(into_bytes(value)?.as_deref().and_then(Mark::read));
            }
        }
        Ok(marks)
    }

    /// Changes a record; gives the second of its end and its queues, or nothing if it is gone.
    pub(super) async fn update(
        &self,
        id: TransactionId,
        update: &Update,
    ) -> Result<Option<(u32, Bytes)>, Fault> {
        let key = keys::record_key(id);
        let reply = run_once(&self.connection, &self.update, &key, |arguments| {
            arguments.number(self.clock.for_scripts());
            let payload = update.payload.as_deref();
            let callback = update.callback.as_deref().map(str::as_bytes);
            for change in [payload, callback] {
                arguments.number(u64::from(change.is_some()));
                arguments.bytes(change.unwrap_or_default());
            }
            match update.expiration {
                None => {
                    arguments.text("");
                    arguments.text("");
                }
                Some(Expiration::At(second)) => {
                    arguments.text("at");
                    arguments.number(second.into());
                }
                Some(Expiration::After(life)) => {
                    arguments.text("after");
                    arguments.number(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
                }
            }
        })
        .await?;
        if matches!(reply, BytesFrame::Null) {
            return Ok(None);
        }
        let [queues, expires_at] = strings(reply)?;
        let second = expires_at.and_then(|text| u32::try_from(number(&text)?).ok());
        match (second, queues) {
            (Some(second), Some(queues)) => Ok(Some((second, queues))),
            _ => Err(Fault::Nonsense),
        }
    }

    /// Removes a record; gives its queues, which still hold its messages.
    pub(super) async fn delete(&self, id: TransactionId) -> Result<Bytes, Fault> {
        let key = keys::record_key(id);
        let fields = self
            .connection
            .call(&[b"HMGET", key.as_bytes(), b"q", b"m"]);
        let deleted = self.connection.call(&[b"DEL", key.as_bytes()]);
        let [queues, member] = strings(fields.await?)?;
        deleted.await?;
        if let Some(member) = member {
            self.forget_member(&member).await?;
        }
        Ok(queues.unwrap_or_default())
    }

    /// Takes over what is due.
    pub(super) async fn claim(&self) -> Result<Claimed, Fault> {
        let asked = self.clock.tick();
        let reply = run_once(&self.connection, &self.claim, keys::DELAYED, |arguments| {
            arguments.number(self.clock.for_scripts());
            arguments.number(CLAIM.as_secs() * 1000);
            arguments.number(CLAIMED_AT_ONCE);
        })
        .await?;
        let mut parts = into_list(reply)?.into_iter().map(into_bytes);
        let mut next = || parts.next().and_then(Result::ok).flatten();
        let now = next()
            .and_then(|text| number(&text))
            .ok_or(Fault::Nonsense)?;
        self.clock.set(UnixMillis(now), asked);
        let due = next().and_then(|text| number(&text)).map(UnixMillis);
        let mut claimed = Claimed {
            members: Vec::new(),
            next: due,
        };
        while let Some(text) = next() {
            let id = text.get(16..).and_then(|id| str::from_utf8(id).ok());
            if let Some(id) = id.and_then(TransactionId::parse) {
                claimed.members.push(Member { id, text });
            } else {
                // Nothing of ours.
                self.forget_member(&text).await?;
            }
        }
        Ok(claimed)
    }

    /// What was held back is in its queues.
    pub(super) async fn arrived(&self, id: TransactionId) -> Result<(), Fault> {
        let key = keys::record_key(id);
        let fields = self.connection.call(&[b"HDEL", key.as_bytes(), b"d", b"m"]);
        fields.await.map(|_| ())
    }

    /// There is nothing that it holds back.
    pub(super) async fn release(&self, member: &Member) -> Result<(), Fault> {
        self.forget_member(&member.text).await
    }

    /// It could not be put into all of its queues: their servers may be back long before the claim is over.
    pub(super) async fn put_off(&self, member: &Member) -> Result<(), Fault> {
        let due = self.clock.now().plus(RETRY).0.to_string();
        // Only if it is there: somebody else may be done with it.
        let put_off = self.connection.call(&[
            b"ZADD",
            keys::DELAYED.as_bytes(),
            b"XX",
            due.as_bytes(),
            &member.text,
        ]);
        put_off.await.map(|_| ())
    }

    async fn forget_member(&self, member: &[u8]) -> Result<(), Fault> {
        let removed = self
            .connection
            .call(&[b"ZREM", keys::DELAYED.as_bytes(), member]);
        removed.await.map(|_| ())
    }

    /// Members of a group, in no order.
    pub(super) async fn members(&self, key: &str) -> Result<Vec<Box<str>>, Fault> {
        let reply = self.connection.call(&[b"SMEMBERS", key.as_bytes()]).await?;
        let mut members = Vec::new();
        for member in into_list(reply)? {
            let member = into_bytes(member)?.unwrap_or_default();
            if let Some(id) = member.strip_prefix(b":") {
                let id = str::from_utf8(id).map_err(|_| Fault::Nonsense)?;
                members.push(id.into());
            }
        }
        Ok(members)
    }

    /// Changes the members of a group, or makes it.
    pub(super) async fn change_group(
        &self,
        key: &str,
        members_max: usize,
        may_make: bool,
        add: &[Box<str>],
        remove: &[Box<str>],
    ) -> Result<GroupChanged, Fault> {
        let reply = run_once(&self.connection, &self.group, key, |arguments| {
            arguments.number(members_max as u64);
            arguments.number(u64::from(may_make));
            arguments.number(add.len() as u64);
            for member in add.iter().chain(remove) {
                arguments.text(&format!(":{member}"));
            }
        })
        .await?;
        match into_bytes(reply)?.as_deref() {
            Some(b"K") => Ok(GroupChanged::Done),
            Some(b"N") => Ok(GroupChanged::Unknown),
            Some(b"F") => Ok(GroupChanged::TooLarge),
            _ => Err(Fault::Nonsense),
        }
    }

    pub(super) async fn remove_group(&self, key: &str) -> Result<(), Fault> {
        self.connection
            .call(&[b"DEL", key.as_bytes()])
            .await
            .map(|_| ())
    }

    pub(super) fn is_idle(&self) -> bool {
        let batchers = [&self.creates, &self.marks, &self.onces, &self.outcomes];
        batchers.iter().all(|it| it.is_idle()) && self.connection.in_flight() == 0
    }
}

/// The strings of an answer that is a list of so many.
fn strings<const COUNT: usize>(frame: BytesFrame) -> Result<[Option<Bytes>; COUNT], Fault> {
    let strings: Vec<_> = into_list(frame)?
        .into_iter()
        .map(into_bytes)
        .collect::<Result<_, _>>()?;
    strings.try_into().map_err(|_| Fault::Nonsense)
}
