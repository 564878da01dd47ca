//! Queues are filled before they are measured, each by one connection.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::CommandError;
use crate::{
    connection::{Blueprint, Connection, ConnectionError, UnderWay},
    crew::{self, Plan},
    event_loop::Load,
    exchange::{Answer, Request},
    options::Options,
    payload::Payloads,
    queue::Prefix,
    tally::Tally,
};

/// So many messages in the queue of each of these connections.
pub(super) struct Filling<'a> {
    pub(super) options: &'a Options,
    pub(super) connections: Vec<Blueprint>,
    pub(super) prefix: &'a Prefix,
    pub(super) payloads: &'a Payloads,
    pub(super) messages: u32,
}

impl Filling<'_> {
    /// The numbers of the messages in the queue of this connection.
    pub(super) fn numbers(connection: usize, messages: u32) -> std::ops::Range<u64> {
        let messages = u64::from(messages);
        let first = (connection as u64).saturating_mul(messages);
        first..first.saturating_add(messages)
    }

    /// Fills them. It has failed if one of the messages is not stored.
    pub(super) fn run(self) -> Result<(), CommandError> {
        let (prefix, payloads, messages) = (self.prefix, self.payloads, self.messages);
        let wanted = self.connections.len() as u64 * u64::from(messages);
        let plan = Plan {
            threads: self.options.threads(self.connections.len()),
            connections: self.connections,
            settle: Duration::ZERO,
            warmup: Duration::ZERO,
            duration: None,
            options: self.options,
        };
        let outcome = crew::run(plan, |part| Thread {
            prefix,
            payloads,
            messages,
            tally: Arc::clone(&part.tally),
            stored: vec![0; part.connections],
            unfilled: part.connections,
            has_failed: false,
        })?;
        let stored = outcome.total.pushed;
        if stored < wanted {
            return Err(CommandError::Unfilled { stored, wanted });
        }
        Ok(())
    }
}

/// One thread's connections.
struct Thread<'a> {
    prefix: &'a Prefix,
    payloads: &'a Payloads,
    messages: u32,
    tally: Arc<Tally>,
    /// For each connection, how many messages its queue has.
    stored: Vec<u32>,
    unfilled: usize,
    has_failed: bool,
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        let stored = self.stored.get(connection.index()).copied();
        let mut numbers = Filling::numbers(connection.number(), self.messages);
        let next = numbers.nth(stored.unwrap_or_default() as usize);
        let Some(number) = next else {
            self.unfilled = self.unfilled.saturating_sub(1);
            return;
        };
        let queue = u32::try_from(connection.number()).unwrap_or(u32::MAX);
        let request = Request::Push {
            queues: self.prefix.only(queue),
            payloads: self.payloads,
            number,
        };
        connection.ask(&request, now);
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        _asked: UnderWay,
        now: Instant,
    ) {
        if answer == Answer::Pushed {
            self.tally.pushed.count();
            if let Some(stored) = self.stored.get_mut(connection.index()) {
                *stored += 1;
            }
            self.ready(connection, now);
        } else {
            self.tally.refuse(&answer);
            self.has_failed = true;
        }
    }

    fn dropped(&mut self, _connection: &mut Connection, _why: ConnectionError) {
        self.has_failed = true;
    }

    fn turn(&mut self, _: &mut [Connection], _: Instant) -> ControlFlow<(), Option<Instant>> {
        if self.unfilled == 0 || self.has_failed {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(None)
    }
}
