//! An answer without an end: each message in a chunk of its own, as they come.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use super::{
    Worker,
    cargo::{Cargo, Load},
    desk::Errand,
    exchange::Written,
};
use crate::{
    api,
    http::{ContentType, Frame, Response, encode_chunk, encode_last_chunk, encode_stream_head},
    mailbox::{LeaseId, LeaseKind, Op, Pop, Refusal, Reply, Return, TransactionId},
    runtime::{Bell, Tick},
};

/// Messages of a reliable subscription whose time is watched. It does not learn of acks, so these may long be settled;
/// older ones, if they are not, come back when the store's own lease lapses.
const UNACKED_MAX: usize = 100_000;

/// How much longer the store keeps a reliable lease than the client was told. The subscription gives the messages back
/// when their time is over and learns so whether any was left; the store itself does it only if the server dies.
const LEASE_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Subscription {
    pop: Pop,
    /// How long the consumer has for its ack.
    ack_timeout: Duration,
    is_head_written: bool,
    is_stopped: bool,
    /// The pop under way; none before the first and while an answer is being written.
    popping: Option<Errand>,
    /// The hand-out that is being written.
    writing: Option<LeaseId>,
    /// What is out and when it lapses, the oldest first.
    unacked: VecDeque<(Tick, LeaseId, Vec<TransactionId>)>,
    unacked_count: usize,
    /// Giving back what has lapsed.
    releasing: Option<Errand>,
    /// Why it ended, if it was not to.
    failure: Option<Response>,
}

impl Subscription {
    pub(super) fn new(mut pop: Pop) -> Self {
        let ack_timeout = pop.lease;
        if pop.kind == LeaseKind::Reliable {
            pop.lease += LEASE_GRACE;
        }
        pop.wait = true;
        Self {
            pop,
            ack_timeout,
            is_head_written: false,
            is_stopped: false,
            popping: None,
            writing: None,
            unacked: VecDeque::new(),
            unacked_count: 0,
            releasing: None,
            failure: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        self.unacked
            .front()
            .filter(|_| self.releasing.is_none())
            .map(|&(deadline, ..)| deadline)
    }

    /// Ends the stream as soon as what has been handed out is written.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        if let Some(popping) = &mut self.popping {
            popping.stop_waiting();
        }
    }

    /// What was handed out reliably is written; its time runs. What a pop before it on the connection got is not ours.
    pub(super) fn note_delivered(&mut self, lease: LeaseId, ids: Vec<TransactionId>, now: Tick) {
        if self.writing.take_if(|own| *own == lease).is_some() && !ids.is_empty() {
            self.unacked_count += ids.len();
            self.unacked
                .push_back((now.plus(self.ack_timeout), lease, ids));
            while self.unacked_count > UNACKED_MAX
                && let Some((_, _, oldest)) = self.unacked.pop_front()
            {
                self.unacked_count -= oldest.len();
            }
        }
    }

    /// Asks for its first messages, unless that is done. A refusal is an answer like any other: nothing is written yet.
    pub(super) fn begin(&mut self, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Result<(), Refusal> {
        if self.is_head_written {
            return Ok(());
        }
        self.ask(worker, bell)
    }

    /// What it ended with, if it was not to end.
    pub(super) fn failure(&self) -> Option<&Response> {
        self.failure.as_ref()
    }

    /// Goes on, once it has [begun](Self::begin).
    pub(super) fn write(
        &mut self,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        load: &mut Load,
    ) -> Written {
        if !self.is_head_written {
            encode_stream_head(frame, ContentType::JsonStream, out);
            self.is_head_written = true;
        }
        match self.go_on(worker, bell, frame, out, load) {
            Ok(true) => Written::Part,
            Ok(false) => {
                encode_last_chunk(frame.version, out);
                Written::Whole { keep_alive: false }
            }
            Err(refusal) => {
                let response = api::refused(&refusal);
                worker.note_refusal(&response);
                encode_chunk(frame.version, &[&response.body], out);
                encode_last_chunk(frame.version, out);
                self.failure = Some(response);
                Written::Whole { keep_alive: false }
            }
        }
    }

    /// Writes what has come and asks for more; whether the stream goes on.
    fn go_on(
        &mut self,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
        load: &mut Load,
    ) -> Result<bool, Refusal> {
        if self.has_lapsed(worker, bell)? {
            return Ok(false);
        }
        let arrival = self.popping.as_mut().and_then(Errand::take_reply);
        let reply = arrival.map(|arrival| {
            load.contents.extend(arrival.contents);
            arrival.reply
        });
        match reply {
            Some(Reply::Messages(handout)) if !handout.messages.is_empty() => {
                self.popping = None;
                self.writing = Some(handout.lease);
                let queue = self.pop.queue.clone();
                load.cargo
                    .push(Cargo::new(&worker.desk, queue, self.pop.kind, &handout));
                let mut text = Vec::new();
                for message in &handout.messages {
                    text.clear();
                    api::write_message(self.pop.kind, message, &mut text);
                    encode_chunk(frame.version, &[&text], out);
                }
                // The next are asked for once these are written: a slow client must not hold leases on what it cannot
                // take yet.
                return Ok(true);
            }
            Some(Reply::Refused(refusal)) => return Err(refusal),
            // A pop that waits for ever ends without messages only when it is stopped.
            Some(_) => return Ok(false),
            None => {}
        }
        if self.popping.is_none() && self.is_stopped {
            return Ok(false);
        }
        self.ask(worker, bell)?;
        Ok(true)
    }

    /// Asks for more, unless that is under way or the stream is to end.
    fn ask(&mut self, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Result<(), Refusal> {
        if self.popping.is_none() && !self.is_stopped {
            let pop = Op::Pop(self.pop.clone());
            self.popping = Some(worker.desk.ask(pop, None, bell)?);
        }
        Ok(())
    }

    /// Gives back what has not been acked in time; whether there was any.
    fn has_lapsed(&mut self, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Result<bool, Refusal> {
        let arrival = self.releasing.as_mut().and_then(Errand::take_reply);
        match arrival.map(|arrival| arrival.reply) {
            Some(Reply::Released(0)) => self.releasing = None,
            Some(Reply::Refused(refusal)) => return Err(refusal),
            Some(_) => return Ok(true),
            None => {}
        }
        let now = worker.timers.now();
        if self.releasing.is_none()
            && let Some((_, lease, transactions)) =
                self.unacked.pop_front_if(|oldest| oldest.0 <= now)
        {
            self.unacked_count -= transactions.len();
            let release = Op::Release {
                queue: self.pop.queue.clone(),
                lease,
                transactions,
                reason: Return::Lapsed,
            };
            self.releasing = Some(worker.desk.ask(release, None, bell)?);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{QueueName, Realm, Tenant};

    #[test]
    fn only_so_many_unacked_messages_are_watched() {
        let mut subscription = Subscription::new(Pop {
            queue: QueueName::new(Realm::Plain, Tenant::default(), "q"),
            count_max: 64,
            bytes_max: 1 << 20,
            lease: Duration::from_hours(1),
            kind: LeaseKind::Reliable,
            wait: true,
        });
        let ids = vec![TransactionId::from_random([7; 16]); 64];
        for lease in 0..2000 {
            subscription.writing = Some(LeaseId(lease));
            subscription.note_delivered(LeaseId(lease), ids.clone(), Tick::default());
        }
        let watched = UNACKED_MAX / 64;
        assert_eq!(subscription.unacked.len(), watched);
        assert_eq!(subscription.unacked_count, watched * 64);
        let newest = subscription.unacked.back().map(|it| it.1);
        assert_eq!(newest, Some(LeaseId(1999)));
    }
}
