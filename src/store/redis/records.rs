//! A server of transactions: their records, what is held back, groups, and what is kept of users.

use std::{rc::Rc, str, time::Duration};

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;

use super::{
    batch::{Arguments, Batcher, run_once},
    clock::Clock,
    connection::{Connection, Fault, into_bytes, into_list},
    handed::Lent,
    keys,
    library::Function,
    reader::Reader,
    record::{Creation, HEAD_BYTES, Head, Mark, Notes, Parts, is_over, number},
    sweep::Rounds,
};
use crate::{
    config::RedisAddress,
    mailbox::{Expiration, TransactionId, UnixMillis, Update},
    runtime::Timers,
};

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
    notes: Rc<Batcher>,
    /// Pushes whose producer names them, when they begin.
    pub(super) onces: Rc<Batcher>,
    /// And when they end.
    pub(super) outcomes: Rc<Batcher>,
    pub(super) rounds: Rounds,
}

/// What a record says of how its transaction is to be delivered.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) head: Head,
    pub(super) queues: Bytes,
}

impl Header {
    /// Whether it is this member that holds it back. One of the same id may have been before it, and have ended first.
    pub(super) fn is_held_by(&self, member: &Member) -> bool {
        self.head.is_held_back && self.head.member(member.id).as_bytes() == member.text
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
    pub(super) fn new(connection: Connection, clock: Rc<Clock>, timers: &Rc<Timers>) -> Self {
        let batcher = |function| {
            let clock = Rc::clone(&clock);
            let preamble = move |arguments: &mut Arguments<'_>| {
                arguments.number(clock.for_functions());
            };
            // There are none.
            let news = drop;
            Batcher::new(connection.clone(), function, preamble, news)
        };
        Self {
            creates: batcher(Function::Create),
            notes: batcher(Function::Note),
            onces: batcher(Function::Once),
            outcomes: batcher(Function::Outcome),
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
        let answer = self
            .creates
            .ask(&key, |arguments| arguments.bytes(&creation.write()));
        async move { Ok(*answer.await? == *b"1") }
    }

    /// Notes what became of a message; whether there was anything to note.
    pub(super) fn note(
        &self,
        id: TransactionId,
        tag: &str,
        mark: Mark,
    ) -> impl Future<Output = Result<bool, Fault>> + use<> {
        let answer = self.notes.ask(&keys::record_key(id), |arguments| {
            arguments.text(tag);
            arguments.text(mark.letter());
        });
        async move { Ok(*answer.await? == *b"1") }
    }

    /// The payload of a message; none where the record is gone.
    pub(super) fn payload(
        &self,
        lent: &Lent,
    ) -> impl Future<Output = Result<Option<Bytes>, Fault>> + use<> {
        let key = keys::record_key(lent.id);
        let connection = self.connection.clone();
        let until = |bytes: u32| (HEAD_BYTES + bytes as usize).saturating_sub(1).to_string();
        let end = until(lent.bytes);
        let answer = connection.call(&[b"GETRANGE", key.as_bytes(), b"0", end.as_bytes()]);
        async move {
            let mut record = into_bytes(answer.await?)?.unwrap_or_default();
            loop {
                let Some(head) = Head::read(&mut Reader::new(&record)) else {
                    return Ok(None);
                };
                let end = HEAD_BYTES + head.payload_bytes as usize;
                if record.len() >= end {
                    return Ok(Some(record.slice(HEAD_BYTES..end)));
                }
                // It has become another one since the queue was told of it.
                let end = until(head.payload_bytes);
                let whole = connection.call(&[b"GETRANGE", key.as_bytes(), b"0", end.as_bytes()]);
                record = into_bytes(whole.await?)?.unwrap_or_default();
            }
        }
    }

    /// A whole record, unless it is over.
    pub(super) async fn read(&self, id: TransactionId) -> Result<Option<Parts>, Fault> {
        let key = keys::record_key(id);
        let answer = self.connection.call(&[b"GET", key.as_bytes()]).await?;
        let record = into_bytes(answer)?;
        Ok(record.and_then(|it| Parts::read(&it, self.clock.now())))
    }

    /// How a transaction is to be delivered; none where it is gone or over.
    pub(super) async fn header(&self, id: TransactionId) -> Result<Option<Header>, Fault> {
        let reply = self.run_alone(Function::Head, id, |_| ()).await?;
        let Some(text) = into_bytes(reply)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(&text);
        let head = Head::read(&mut reader).ok_or(Fault::Nonsense)?;
        let queues = reader.bytes(reader.left()).unwrap_or_default();
        let header = Header { head, queues };
        Ok((!is_over(head.expires_at, self.clock.now())).then_some(header))
    }

    /// What is noted of a transaction's messages.
    pub(super) async fn notes(&self, id: TransactionId) -> Result<Notes, Fault> {
        let key = keys::notes_key(id);
        let answer = self.connection.call(&[b"HGETALL", key.as_bytes()]).await?;
        let mut texts = into_list(answer)?.into_iter().map(into_bytes);
        let mut pairs = Vec::new();
        while let (Some(tag), Some(value)) = (texts.next(), texts.next()) {
            if let (Some(tag), Some(value)) = (tag?, value?) {
                pairs.push((tag, value));
            }
        }
        Ok(Notes::read(pairs.into_iter()))
    }

    /// Calls a function on a record.
    async fn run_alone(
        &self,
        function: Function,
        id: TransactionId,
        write: impl FnOnce(&mut Arguments<'_>),
    ) -> Result<BytesFrame, Fault> {
        let key = keys::record_key(id);
        run_once(&self.connection, function, &key, |arguments| {
            arguments.number(self.clock.for_functions());
            write(arguments);
        })
        .await
    }

    /// Changes a record; gives the second of its end and its queues, or nothing if it is gone.
    pub(super) async fn update(
        &self,
        id: TransactionId,
        update: &Update,
    ) -> Result<Option<(u32, Bytes)>, Fault> {
        let write = |arguments: &mut Arguments<'_>| {
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
        };
        let reply = self.run_alone(Function::Update, id, write).await?;
        if matches!(reply, BytesFrame::Null) {
            return Ok(None);
        }
        let [expires_at, queues] = strings(reply)?;
        let second = expires_at.and_then(|text| u32::try_from(number(&text)?).ok());
        match (second, queues) {
            (Some(second), Some(queues)) => Ok(Some((second, queues))),
            _ => Err(Fault::Nonsense),
        }
    }

    /// Removes a record; gives its queues, which still hold its messages.
    pub(super) async fn delete(&self, id: TransactionId) -> Result<Bytes, Fault> {
        let queues = self.run_alone(Function::Delete, id, |_| ()).await?;
        Ok(into_bytes(queues)?.unwrap_or_default())
    }

    /// Takes over what is due.
    pub(super) async fn claim(&self) -> Result<Claimed, Fault> {
        let asked = self.clock.tick();
        let reply = run_once(
            &self.connection,
            Function::Claim,
            keys::DELAYED,
            |arguments| {
                arguments.number(self.clock.for_functions());
                arguments.number(CLAIM.as_secs() * 1000);
                arguments.number(CLAIMED_AT_ONCE);
            },
        )
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
        let arrived = self.run_alone(Function::Arrived, id, |_| ());
        arrived.await.map(|_| ())
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
        let reply = run_once(&self.connection, Function::Group, key, |arguments| {
            arguments.number(self.clock.for_functions());
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

    /// What is kept of the user of a secured queue.
    pub(super) async fn credentials(&self, key: &str) -> Result<Option<Box<str>>, Fault> {
        let reply = self.connection.call(&[b"GET", key.as_bytes()]).await?;
        let kept = into_bytes(reply)?.map(|kept| str::from_utf8(&kept).map(Into::into));
        kept.transpose().map_err(|_| Fault::Nonsense)
    }

    /// Keeps something of the user of a secured queue, if what is kept is `before`; whether it was.
    pub(super) async fn keep_credentials(
        &self,
        key: &str,
        before: Option<&str>,
        after: &str,
    ) -> Result<bool, Fault> {
        let reply = run_once(&self.connection, Function::Secure, key, |arguments| {
            arguments.number(self.clock.for_functions());
            // No credentials are empty.
            arguments.text(before.unwrap_or_default());
            arguments.text(after);
        })
        .await?;
        match into_bytes(reply)?.as_deref() {
            Some(b"K") => Ok(true),
            Some(b"N") => Ok(false),
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
        let batchers = [&self.creates, &self.notes, &self.onces, &self.outcomes];
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
