//! Calls of one function that are made together.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;
use tracing::warn;

use super::{
    connection::{
        Answer, Connection, Decimal, Fault, Question, REPLICA, encode_bulk, encode_length,
        into_bytes, into_list, question,
    },
    library::{self, Function},
};
use crate::runtime;

/// Operations of one call: enough to make its own cost small, few enough not to hold the server for long.
const OPERATIONS_MAX: usize = 128;

/// Bytes of arguments after which a call is complete.
const BYTES_MAX: usize = 1 << 20;

/// Room for arguments that a call is given before any have come.
const ROOM_BYTES_MAX: usize = 64 << 10;

/// Ids that the answers of one call may bring together: 36 bytes each, on a connection whose server cuts it where
/// 32 MiB wait for it.
const IDS_MAX: usize = 200_000;

/// Calls that are on their way at once. What comes meanwhile goes together into the next: the busier the server, the
/// less each operation costs it.
const CALLS_MAX: usize = 2;

/// Collects operations for one function on one connection and runs them in as few calls as may be. What is asked for in
/// one turn of the loop is in one call.
pub(super) struct Batcher {
    connection: Connection,
    function: String,
    /// Arguments in front of those of the operations.
    preamble: Box<dyn Fn(&mut Arguments<'_>)>,
    /// Who gets what a call tells besides the answers.
    news: Box<dyn Fn(Bytes)>,
    /// Not yet in a call. The operations of a worker have a bound, and so has this.
    waiting: RefCell<VecDeque<Batch>>,
    calls: Cell<usize>,
    /// What the last call took.
    room: Cell<Room>,
    is_scheduled: Cell<bool>,
}

/// Bytes of keys and of arguments, and operations.
#[derive(Clone, Copy, Default)]
struct Room {
    keys: usize,
    arguments: usize,
    askers: usize,
}

/// Operations of one call.
struct Batch {
    keys: Vec<u8>,
    /// Those of the call itself, which come first, and those of its operations.
    arguments: Vec<u8>,
    arguments_count: usize,
    ids_max: usize,
    askers: Vec<Asker>,
}

/// Who gets the answer to an operation.
enum Asker {
    /// A task that waits for it.
    Task(Question<Bytes>),
    /// What is to be done with it: much smaller than a task, where thousands ask at once.
    Then(Box<dyn FnOnce(Result<Bytes, Fault>)>),
}

impl Asker {
    fn answer(self, result: Result<Bytes, Fault>) {
        match self {
            Self::Task(question) => question.answer(result),
            Self::Then(then) => then(result),
        }
    }
}

/// The arguments of an operation, while they are written.
pub(super) struct Arguments<'batch> {
    bytes: &'batch mut Vec<u8>,
    count: &'batch mut usize,
    ids_max: &'batch mut usize,
}

impl Arguments<'_> {
    pub(super) fn bytes(&mut self, argument: &[u8]) {
        encode_bulk(argument, self.bytes);
        *self.count += 1;
    }

    /// The answer brings so many ids at most.
    pub(super) fn expect_ids(&mut self, count: usize) {
        *self.ids_max = self.ids_max.saturating_add(count);
    }

    pub(super) fn text(&mut self, argument: &str) {
        self.bytes(argument.as_bytes());
    }

    /// What may be there: behind a colon, so that an empty one is told from none.
    pub(super) fn optional(&mut self, argument: Option<&[u8]>) {
        let Some(argument) = argument else {
            return self.bytes(b"");
        };
        encode_length(b'$', argument.len() + 1, self.bytes);
        self.bytes.push(b':');
        self.bytes.extend_from_slice(argument);
        self.bytes.extend_from_slice(b"\r\n");
        *self.count += 1;
    }

    pub(super) fn number(&mut self, argument: u64) {
        self.bytes(Decimal::of(argument).as_bytes());
    }
}

impl Batcher {
    pub(super) fn new(
        connection: Connection,
        function: Function,
        preamble: impl Fn(&mut Arguments<'_>) + 'static,
        news: impl Fn(Bytes) + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            connection,
            function: function.name(),
            preamble: Box::new(preamble),
            news: Box::new(news),
            waiting: RefCell::default(),
            calls: Cell::new(0),
            room: Cell::default(),
            is_scheduled: Cell::new(false),
        })
    }

    /// Asks for an operation on a key; `write` writes its arguments.
    pub(super) fn ask(
        self: &Rc<Self>,
        key: &str,
        write: impl FnOnce(&mut Arguments<'_>),
    ) -> Answer<Bytes> {
        let (question, answer) = question();
        self.add(key, Asker::Task(question), write);
        self.schedule();
        answer
    }

    /// The same, without a task that waits: `then` is called with the answer.
    pub(super) fn ask_then(
        self: &Rc<Self>,
        key: &str,
        write: impl FnOnce(&mut Arguments<'_>),
        then: impl FnOnce(Result<Bytes, Fault>) + 'static,
    ) {
        self.add(key, Asker::Then(Box::new(then)), write);
        self.schedule();
    }

    fn schedule(self: &Rc<Self>) {
        if !self.is_scheduled.replace(true) {
            // Behind the tasks that are ready now, so that what they ask for is in it.
            let this = Rc::clone(self);
            runtime::spawn(async move {
                this.is_scheduled.set(false);
                this.run().await;
            });
        }
    }

    fn add(&self, key: &str, asker: Asker, write: impl FnOnce(&mut Arguments<'_>)) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.back().is_none_or(Batch::is_complete) {
            waiting.push_back(self.new_batch());
        }
        if let Some(batch) = waiting.back_mut() {
            encode_bulk(key.as_bytes(), &mut batch.keys);
            write(&mut Arguments {
                bytes: &mut batch.arguments,
                count: &mut batch.arguments_count,
                ids_max: &mut batch.ids_max,
            });
            batch.askers.push(asker);
        }
    }

    /// An empty one, with room for as much as there was in the last call.
    fn new_batch(&self) -> Batch {
        let Room {
            keys,
            arguments,
            askers,
        } = self.room.get();
        let mut batch = Batch {
            keys: Vec::with_capacity(keys),
            arguments: Vec::with_capacity(arguments),
            arguments_count: 0,
            ids_max: 0,
            askers: Vec::with_capacity(askers),
        };
        (self.preamble)(&mut Arguments {
            bytes: &mut batch.arguments,
            count: &mut batch.arguments_count,
            ids_max: &mut batch.ids_max,
        });
        batch
    }

    /// Makes calls, with as many others at it as may be, until nothing is left.
    async fn run(self: Rc<Self>) {
        while let Some(batch) = self.next_batch() {
            if self.may_call() && !self.waiting.borrow().is_empty() {
                runtime::spawn(Rc::clone(&self).run());
            }
            self.call(batch).await;
            self.calls.set(self.calls.get() - 1);
        }
    }

    /// The operations of a call that is to be made now.
    fn next_batch(&self) -> Option<Batch> {
        let batch = self
            .may_call()
            .then(|| self.waiting.borrow_mut().pop_front())??;
        self.calls.set(self.calls.get() + 1);
        Some(batch)
    }

    /// Without a connection none is on its way, and there is nothing to wait for.
    fn may_call(&self) -> bool {
        self.calls.get() < CALLS_MAX || !self.connection.is_up()
    }

    async fn call(&self, batch: Batch) {
        self.room.set(Room {
            keys: batch.keys.len(),
            arguments: batch.arguments.len().min(ROOM_BYTES_MAX),
            askers: batch.askers.len(),
        });
        let call = Call {
            keys_count: batch.askers.len(),
            keys: &batch.keys,
            arguments_count: batch.arguments_count,
            arguments: &batch.arguments,
        };
        let result = call.run(&self.connection, &self.function).await;
        let askers = batch.askers;
        match result.and_then(into_list) {
            Ok(mut replies) if (0..=1).contains(&replies.len().wrapping_sub(askers.len())) => {
                for news in replies.split_off(askers.len()) {
                    if let Ok(Some(news)) = into_bytes(news) {
                        (self.news)(news);
                    } else {
                        warn!("news that make no sense");
                    }
                }
                for (asker, reply) in askers.into_iter().zip(replies) {
                    let reply = read_reply(reply);
                    if reply.as_ref().is_err_and(Fault::is_of_replica) {
                        self.connection.condemn(REPLICA);
                    }
                    asker.answer(reply);
                }
            }
            Ok(_) => fail(askers, &Fault::Nonsense),
            Err(fault) => fail(askers, &fault),
        }
    }

    /// Whether no operation waits for a call or for its end.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.get() == 0 && self.waiting.borrow().is_empty()
    }
}

/// Calls a function by itself.
pub(super) async fn run_once(
    connection: &Connection,
    function: Function,
    key: &str,
    write: impl FnOnce(&mut Arguments<'_>),
) -> Result<BytesFrame, Fault> {
    let (mut keys, mut arguments, mut arguments_count) = (Vec::new(), Vec::new(), 0);
    encode_bulk(key.as_bytes(), &mut keys);
    write(&mut Arguments {
        bytes: &mut arguments,
        count: &mut arguments_count,
        ids_max: &mut 0,
    });
    let call = Call {
        keys_count: 1,
        keys: &keys,
        arguments_count,
        arguments: &arguments,
    };
    call.run(connection, &function.name()).await
}

/// A call of a function, with its keys and arguments as they are sent.
struct Call<'call> {
    keys_count: usize,
    keys: &'call [u8],
    arguments_count: usize,
    arguments: &'call [u8],
}

impl Call<'_> {
    async fn run(&self, connection: &Connection, function: &str) -> Result<BytesFrame, Fault> {
        match self.attempt(connection, function).await {
            Err(fault) if fault.is_no_function() => {
                // The server did not have it, so nothing was done.
                match connection.call(&library::load_command()).await {
                    // Somebody else was faster.
                    Err(fault) if fault.is_of_known_library() => {}
                    loaded => drop(loaded?),
                }
                self.attempt(connection, function).await
            }
            result => result,
        }
    }

    fn attempt(&self, connection: &Connection, function: &str) -> Answer<BytesFrame> {
        connection.send(|out| {
            encode_length(b'*', 3 + self.keys_count + self.arguments_count, out);
            encode_bulk(b"FCALL", out);
            encode_bulk(function.as_bytes(), out);
            encode_bulk(Decimal::of(self.keys_count as u64).as_bytes(), out);
            out.extend_from_slice(self.keys);
            out.extend_from_slice(self.arguments);
        })
    }
}

impl Batch {
    fn is_complete(&self) -> bool {
        self.askers.len() >= OPERATIONS_MAX
            || self.arguments.len() >= BYTES_MAX
            || self.ids_max >= IDS_MAX
    }
}

fn read_reply(reply: BytesFrame) -> Result<Bytes, Fault> {
    let reply = into_bytes(reply)?.ok_or(Fault::Nonsense)?;
    match reply.first() {
        Some(b'!') => Err(Fault::from_words(&String::from_utf8_lossy(
            reply.get(1..).unwrap_or_default(),
        ))),
        _ => Ok(reply),
    }
}

fn fail(askers: Vec<Asker>, fault: &Fault) {
    for asker in askers {
        asker.answer(Err(fault.clone()));
    }
}
