//! One connection to a Redis server, shared by all tasks of a thread.
//!
//! [`Connection::call`] appends a command to what goes out and gives an [`Answer`] to wait for; everything that is
//! appended in one turn of the thread's loop leaves in one write, and answers come in the order of the commands. A
//! task of its own connects, writes, reads, connects again. A connection that has a [`Listener`] is its worker's
//! subscription as well: RESP3 lets published messages come between the answers, so as long as one works, so does the
//! other.

mod answer;
mod backoff;
mod command;
mod fault;
mod frame;
mod greeting;
mod link;
mod resolve;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use redis_protocol::resp3::types::BytesFrame;

pub(super) use answer::{Answer, Question, question};
pub(super) use backoff::jittered;
pub(super) use command::{Decimal, encode_bulk, encode_command, encode_length};
pub(super) use fault::Fault;
#[cfg(fuzzing)]
pub(super) use frame::decode;
pub(super) use frame::{into_bytes, into_list};
pub(super) use greeting::REPLICA;

use crate::{
    config::RedisAddress,
    runtime::{self, Bell, Tick, Timers},
    store::Light,
};

use super::clock::Clock;

/// What a connection is told to be.
pub(super) struct Settings {
    pub(super) address: RedisAddress,
    pub(super) connect_timeout: Duration,
    /// How long an answer may take before the connection counts as gone.
    pub(super) reply_timeout: Duration,
    /// How many commands may be on their way at once.
    pub(super) in_flight_max: usize,
    /// Where to say how it goes.
    pub(super) light: Light,
    pub(super) timers: Rc<Timers>,
}

/// Who is to be told of a connection's life and of what is published to it.
pub(super) trait Listener {
    /// It works, and has subscribed to this channel. Commands given now are the first.
    fn connected(&self, channel: &str);

    /// A message was published to the channel.
    fn message(&self, payload: Bytes);
}

/// A connection, or the attempt to have one. Clones are the same one.
#[derive(Clone)]
pub(super) struct Connection(Rc<State>);

struct State {
    settings: Settings,
    clock: Rc<Clock>,
    listener: RefCell<Option<Rc<dyn Listener>>>,
    /// Whether commands are taken.
    is_up: Cell<bool>,
    /// Why they are not.
    trouble: RefCell<Arc<str>>,
    /// Encoded and not yet with the kernel.
    unsent: RefCell<Vec<u8>>,
    /// Commands that have no answer yet, in order.
    in_flight: RefCell<VecDeque<InFlight>>,
    /// Rung when there is something to write.
    bell: Rc<Bell>,
    /// Why the connection is to be given up for a new one, if it is.
    condemned: Cell<Option<&'static str>>,
    /// There is to be no new one.
    #[cfg(test)]
    is_closed: Cell<bool>,
    /// Rung when there is none any more.
    #[cfg(test)]
    end: Bell,
}

struct InFlight {
    since: Tick,
    question: Question<BytesFrame>,
}

impl Connection {
    /// Begins to connect, and never stops trying.
    pub(super) fn open(settings: Settings, clock: Rc<Clock>) -> Self {
        let trouble: Arc<str> = format!("{} is not connected yet", settings.address).into();
        Self(Rc::new(State {
            settings,
            clock,
            listener: RefCell::default(),
            is_up: Cell::new(false),
            trouble: RefCell::new(trouble),
            unsent: RefCell::default(),
            in_flight: RefCell::default(),
            bell: Rc::default(),
            condemned: Cell::new(None),
            #[cfg(test)]
            is_closed: Cell::new(false),
            #[cfg(test)]
            end: Bell::default(),
        }))
    }

    /// Starts its task. With a listener, every connection that comes up subscribes to a channel of its own.
    pub(super) fn start(&self, listener: Option<Rc<dyn Listener>>) {
        *self.0.listener.borrow_mut() = listener;
        let state = Rc::clone(&self.0);
        runtime::spawn(async move { link::run(&state).await });
    }

    /// The server's address.
    pub(super) fn address(&self) -> &RedisAddress {
        &self.0.settings.address
    }

    /// Whether commands are taken.
    pub(super) fn is_up(&self) -> bool {
        self.0.is_up.get()
    }

    /// Sends a command, unless as many as may be are on their way.
    pub(super) fn call(&self, parts: &[&[u8]]) -> Answer<BytesFrame> {
        if self.in_flight() >= self.0.settings.in_flight_max {
            return Answer::ready(Err(Fault::Busy));
        }
        self.send(|out| encode_command(parts, out))
    }

    /// Sends what `encode` appends, which is one command, for a caller that has a bound of its own on how many.
    pub(super) fn send(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Answer<BytesFrame> {
        if !self.is_up() {
            let trouble = Arc::clone(&self.0.trouble.borrow());
            return Answer::ready(Err(Fault::Unreachable(trouble)));
        }
        self.0.send(encode)
    }

    /// Gives the connection up for a new one, for this reason.
    pub(super) fn condemn(&self, reason: &'static str) {
        self.0.condemn(reason);
    }

    /// Ends it for good, as the end of the process would.
    #[cfg(test)]
    pub(super) async fn close(&self) {
        self.0.is_closed.set(true);
        self.condemn("it is closed");
        self.0.end.rung().await;
    }

    /// Commands that have no answer yet.
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.borrow().len()
    }
}

impl State {
    fn send(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Answer<BytesFrame> {
        encode(&mut self.unsent.borrow_mut());
        let (question, answer) = question();
        self.in_flight.borrow_mut().push_back(InFlight {
            since: self.settings.timers.now(),
            question,
        });
        self.bell.ring();
        answer
    }

    fn call(&self, parts: &[&[u8]]) -> Answer<BytesFrame> {
        self.send(|out| encode_command(parts, out))
    }

    fn condemn(&self, reason: &'static str) {
        self.condemned.set(Some(reason));
        self.bell.ring();
    }
}
