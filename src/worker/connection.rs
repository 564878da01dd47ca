//! One client's connection: reads requests, begins what they ask for, writes the answers in order.
//!
//! While it waits it holds no buffer: it waits for readability, for its [`Bell`] and for nothing else. Everything that
//! may have happened is looked at after each wake, so no wake can be lost or mistaken for another.

use std::{
    collections::VecDeque, future::poll_fn, io, mem, net::IpAddr, pin::pin, rc::Rc, task::Poll,
};

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Door, Worker,
    addresses::Visit,
    cargo::Load,
    exchange::{Exchange, Written},
    linger::linger,
    transport::Transport,
};
use crate::{
    api,
    http::{CONTINUE, Decoded, Decoder, Phase, Request, Response, Status},
    mailbox::Refusal,
    memory::Charge,
    runtime::{Alarm, Bell, Tick, is_temporary},
};

/// Answers that are ready together leave in one write of about this size.
const WRITE_BYTES: usize = 256 << 10;

/// Requests that a client may send behind a subscription, which never gets to them, before it is cut off.
const UNREAD_BYTES_MAX: usize = 64 << 10;

/// Serves a client until either side closes.
pub(super) async fn serve(transport: Transport, visit: Visit, door: Rc<Door>, worker: Rc<Worker>) {
    let mut connection = Connection::new(transport.peer(), visit, door, Rc::clone(&worker));
    let key = worker
        .bells
        .borrow_mut()
        .insert(Rc::clone(&connection.bell));
    if worker.draining.get() {
        // It has missed that ring.
        connection.bell.ring();
    }
    connection.run(&transport).await;
    Exchange::abandon(connection.exchanges.drain(..), &worker);
    if connection.is_refused {
        let Connection { alarm, bell, .. } = &mut connection;
        Box::pin(linger(&transport, &worker, alarm, bell)).await;
    }
    if worker.draining.get() {
        // The runtime closes a descriptor a turn later, and it may end before that.
        transport.finish_writing();
    }
    worker.timers.clear(&mut connection.alarm);
    worker.bells.borrow_mut().remove(key);
}

// Each is a fact of its own; no two of them make a state.
#[allow(clippy::struct_excessive_bools)]
struct Connection {
    worker: Rc<Worker>,
    door: Rc<Door>,
    /// Whence the client comes.
    peer: IpAddr,
    visit: Visit,
    bell: Rc<Bell>,
    alarm: Alarm,
    decoder: Decoder,
    /// Read and not yet decoded.
    input: BytesMut,
    /// What the body that is being read takes.
    body: Option<Charge>,
    /// What the client is in the middle of, and since when.
    phase: (Phase, Tick),
    /// The client waits for leave to send its body.
    is_continue_due: bool,
    /// Requests under way, the oldest first.
    exchanges: VecDeque<Exchange>,
    /// Stopped taking requests because enough are under way, not because there was none.
    is_full: bool,
    /// Encoded and not yet taken by the kernel.
    unsent: Bytes,
    /// Something was encoded since the last settling.
    has_written: bool,
    /// Messages in answers that are encoded and not yet all taken by the kernel.
    load: Load,
    /// No further request is taken.
    is_last: bool,
    /// Received and thrown away since then.
    unread_bytes: usize,
    /// The client has sent what it will not get through with.
    is_refused: bool,
    /// The client has closed its side.
    is_peer_done: bool,
}

/// What [`Connection::answer`] left behind.
enum Flow {
    /// Nothing to write now.
    Waiting,
    /// The client does not take more at the moment.
    Blocked,
    /// The connection is at its end.
    Over,
}

enum Event {
    Readable(io::Result<()>),
    Rung,
}

impl Connection {
    fn new(peer: IpAddr, visit: Visit, door: Rc<Door>, worker: Rc<Worker>) -> Self {
        let now = worker.timers.now();
        Self {
            bell: Rc::default(),
            alarm: Alarm::default(),
            decoder: Decoder::new(worker.decoder_limits),
            input: BytesMut::new(),
            body: None,
            phase: (Phase::Idle, now),
            is_continue_due: false,
            // Most clients have one request under way, and a waiting one is all that its connection keeps.
            exchanges: VecDeque::with_capacity(1),
            is_full: false,
            unsent: Bytes::new(),
            has_written: false,
            load: Load::default(),
            is_last: false,
            unread_bytes: 0,
            is_refused: false,
            is_peer_done: false,
            worker,
            door,
            peer,
            visit,
        }
    }

    async fn run(&mut self, transport: &Transport) {
        // One wait for readability outlives the answers that are written meanwhile: to drop it would cost a request to
        // the kernel to take it back.
        let mut readable = pin!(transport.readable());
        loop {
            self.take_requests();
            match self.answer(transport) {
                Flow::Waiting => {}
                Flow::Blocked => {
                    // Rare: not to be paid for in memory by those who wait.
                    if Box::pin(self.wait_for_room(transport)).await {
                        continue;
                    }
                    return;
                }
                Flow::Over => return,
            }
            if self.is_full && self.has_room() {
                continue;
            }
            self.set_alarm();
            let event = poll_fn(|context| {
                if self.bell.poll_rung(context).is_ready() {
                    return Poll::Ready(Event::Rung);
                }
                if self.is_reading() {
                    if transport.has_unread() {
                        return Poll::Ready(Event::Readable(Ok(())));
                    }
                    return readable.as_mut().poll(context).map(Event::Readable);
                }
                Poll::Pending
            })
            .await;
            match event {
                Event::Readable(Ok(())) => {
                    readable.set(transport.readable());
                    if self.read(transport).is_err() {
                        return;
                    }
                }
                Event::Readable(Err(_)) => return,
                Event::Rung => {
                    // What the client sent before it could know of the end is still answered.
                    if self.worker.draining.get() && self.is_reading() {
                        if self.read(transport).is_err() {
                            return;
                        }
                        self.take_requests();
                    }
                    self.look_at_time();
                }
            }
        }
    }

    /// Whether what the client sends is of interest. Behind a subscription, and once there are as many requests as
    /// there may be, it is read only to see the client leave; in the latter case not more than one buffer of it.
    fn is_reading(&self) -> bool {
        !self.is_peer_done && (self.is_last || self.has_room() || self.input.is_empty())
    }

    fn has_room(&self) -> bool {
        self.exchanges.len() < self.worker.limits.max_pipelined
    }

    fn read(&mut self, transport: &Transport) -> io::Result<()> {
        let mut buffer = self.worker.read_buffer.borrow_mut();
        match transport.receive(&mut buffer) {
            Ok(0) => {
                drop(buffer);
                self.note_peer_done();
                Ok(())
            }
            Ok(count) => {
                if !self.is_last {
                    let received = buffer.get(..count).unwrap_or_default();
                    self.input.extend_from_slice(received);
                    return Ok(());
                }
                // A refused client may go on: it is to get to read why.
                self.unread_bytes = self.unread_bytes.saturating_add(count);
                if self.unread_bytes > UNREAD_BYTES_MAX && !self.is_refused {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(())
            }
            Err(error) if is_temporary(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A client that has closed its side gets the answers to what it asked for, but no messages: it cannot be told from
    /// one that is gone.
    fn note_peer_done(&mut self) {
        self.is_peer_done = true;
        self.is_last = true;
        if let Some(first) = self.exchanges.iter().position(Exchange::takes_messages) {
            Exchange::abandon(self.exchanges.drain(first..), &self.worker);
        }
    }

    fn take_requests(&mut self) {
        self.is_full = false;
        while !self.input.is_empty() && !self.is_last {
            if !self.has_room() {
                self.is_full = true;
                break;
            }
            match self.decoder.decode(&mut self.input) {
                Ok(Decoded::Request(request)) => self.begin(&request),
                Ok(Decoded::ContinueExpected) => self.is_continue_due = true,
                Ok(Decoded::NeedMore) => break,
                Err(error) => self.refuse(api::no_request(error)),
            }
        }
        if self.input.is_empty() || self.is_last {
            // Gives the memory back.
            self.input = BytesMut::new();
        }
        let phase = self.decoder.phase();
        if phase != self.phase.0 {
            self.phase = (phase, self.worker.timers.now());
        }
        self.charge_body();
    }

    fn begin(&mut self, request: &Request) {
        let mut body = self.body.take();
        if !request.body.is_empty() {
            let charge = body.get_or_insert_with(|| Charge::new(&self.worker.shared.body_memory));
            if !charge.resize(request.body.len()) {
                return self.refuse(no_body_memory());
            }
        }
        let exchange = if self.visit.may_ask() {
            let is_first = self.exchanges.is_empty();
            Exchange::begin(
                request,
                body,
                is_first,
                self.peer,
                &self.door,
                &self.worker,
                &self.bell,
            )
        } else {
            let limit = "limits.max_requests_per_address";
            Exchange::answered(request, api::too_many(limit, "too many requests", 1))
        };
        self.is_last |= exchange.is_last();
        self.exchanges.push_back(exchange);
        self.is_continue_due = false;
        self.phase = (Phase::Idle, self.worker.timers.now());
    }

    /// Keeps the account of a body that is coming in.
    fn charge_body(&mut self) {
        let bytes = self.decoder.buffered_bytes();
        if bytes == 0 || self.is_last {
            self.body = None;
            return;
        }
        let charge = self
            .body
            .get_or_insert_with(|| Charge::new(&self.worker.shared.body_memory));
        if !charge.resize(bytes) {
            self.refuse(no_body_memory());
        }
    }

    /// Answers what cannot be a request, and closes behind it.
    fn refuse(&mut self, response: Response) {
        self.exchanges.push_back(Exchange::last_words(response));
        self.is_last = true;
        self.is_refused = true;
        // With what it holds of a body, which is not charged for any more.
        self.decoder = Decoder::new(self.worker.decoder_limits);
        self.body = None;
    }

    /// Writes every answer whose turn it is and that is there.
    fn answer(&mut self, transport: &Transport) -> Flow {
        loop {
            match self.send_unsent(transport) {
                Ok(true) => self.settle(),
                Ok(false) => return Flow::Blocked,
                Err(_) => return Flow::Over,
            }
            let worker = Rc::clone(&self.worker);
            let mut out = worker.write_buffer.borrow_mut();
            out.clear();
            self.encode_answers(&mut out);
            if out.is_empty() {
                if !self.is_last || !self.exchanges.is_empty() {
                    return Flow::Waiting;
                }
                let is_told = transport.announce_end();
                return if is_told { Flow::Over } else { Flow::Blocked };
            }
            if !self.load.cargo.is_empty() && transport.is_closed() {
                // Dropping the cargo sends it back.
                self.load = Load::default();
                Exchange::abandon(self.exchanges.drain(..), &self.worker);
                self.is_last = true;
                continue;
            }
            let length = out.len();
            match transport.send_from(&mut out) {
                Ok(unsent) => self.unsent = unsent,
                Err(_) => return Flow::Over,
            }
            self.load
                .note_sent(length.saturating_sub(self.unsent.len()));
            self.has_written = true;
            if out.capacity() > 4 * WRITE_BYTES {
                // A rare large answer must not be paid for by every thread for ever.
                *out = Vec::with_capacity(WRITE_BYTES);
            }
        }
    }

    fn encode_answers(&mut self, out: &mut Vec<u8>) {
        while out.len() < WRITE_BYTES {
            let is_final = self.exchanges.len() == 1;
            let Some(exchange) = self.exchanges.front_mut() else {
                if mem::take(&mut self.is_continue_due) {
                    out.extend_from_slice(CONTINUE);
                }
                return;
            };
            match exchange.write(&self.worker, &self.bell, is_final, out, &mut self.load) {
                Written::NotYet | Written::Part => return,
                Written::Whole { keep_alive } => {
                    self.exchanges.pop_front();
                    if !keep_alive {
                        self.is_last = true;
                        self.exchanges.clear();
                        return;
                    }
                }
            }
        }
    }

    /// Sends what is left of earlier answers; whether all of it is gone.
    fn send_unsent(&mut self, transport: &Transport) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let sent = transport.send(&self.unsent)?;
            self.unsent.advance(sent);
            self.load.note_sent(sent);
        }
        Ok(self.unsent.is_empty() && transport.flush()?)
    }

    /// All that was encoded is written: what it carried is delivered, and the client's time runs anew.
    fn settle(&mut self) {
        if !mem::take(&mut self.has_written) {
            return;
        }
        let now = self.worker.timers.now();
        if self.phase.0 == Phase::Idle {
            self.phase.1 = now;
        }
        self.load.contents.clear();
        for cargo in self.load.cargo.drain(..) {
            let (lease, ids) = cargo.delivered();
            if let Some(exchange) = self.exchanges.front_mut() {
                exchange.note_delivered(lease, ids, now);
            }
        }
    }

    /// Waits until the client takes more; whether it did in time.
    async fn wait_for_room(&mut self, transport: &Transport) -> bool {
        let deadline = self
            .worker
            .timers
            .now()
            .plus(self.worker.limits.write_timeout);
        let mut writable = pin!(transport.writable());
        loop {
            self.worker
                .timers
                .ring_by(&mut self.alarm, deadline, &self.bell);
            let room = poll_fn(|context| {
                if let Poll::Ready(result) = writable.as_mut().poll(context) {
                    return Poll::Ready(Some(result.is_ok()));
                }
                self.bell.poll_rung(context).map(|()| None)
            })
            .await;
            if let Some(is_writable) = room {
                // A bell that rang meanwhile is still rung, or its cause is seen on the next look.
                self.look_at_time();
                return is_writable;
            }
            self.worker.timers.note_ring(&mut self.alarm);
            if self.worker.timers.now() >= deadline {
                self.worker.shared.refusals.note("limits.write_timeout");
                return false;
            }
        }
    }

    /// The next time at which something is to be done though nothing has happened.
    fn set_alarm(&mut self) {
        let limits = &self.worker.limits;
        let (phase, since) = self.phase;
        let patience = match phase {
            Phase::Idle => limits.keep_alive,
            Phase::Head => limits.head_timeout,
            Phase::Body => limits.body_timeout,
        };
        let is_unhurried = phase == Phase::Idle && !self.exchanges.is_empty();
        let client = (!is_unhurried && !self.is_last).then(|| since.plus(patience));
        let exchanges = self.exchanges.iter().filter_map(Exchange::deadline);
        if let Some(deadline) = exchanges.chain(client).min() {
            self.worker
                .timers
                .ring_by(&mut self.alarm, deadline, &self.bell);
        }
    }

    fn look_at_time(&mut self) {
        self.worker.timers.note_ring(&mut self.alarm);
        let now = self.worker.timers.now();
        let is_draining = self.worker.draining.get();
        for exchange in &mut self.exchanges {
            exchange.look_at_time(now, is_draining);
        }
        let limits = &self.worker.limits;
        match self.phase {
            _ if self.is_last => {}
            (Phase::Idle, _) if is_draining => self.is_last = true,
            (Phase::Idle, since) if self.exchanges.is_empty() => {
                self.is_last = now >= since.plus(limits.keep_alive);
            }
            (Phase::Head, since) if now >= since.plus(limits.head_timeout) => {
                self.refuse(
                    Response::errors(Status::REQUEST_TIMEOUT, ["the request head is late"])
                        .because_of("limits.head_timeout"),
                );
            }
            (Phase::Body, since) if now >= since.plus(limits.body_timeout) => {
                self.refuse(
                    Response::errors(Status::REQUEST_TIMEOUT, ["the request body is late"])
                        .because_of("limits.body_timeout"),
                );
            }
            _ => {}
        }
    }
}

fn no_body_memory() -> Response {
    api::refused(&Refusal::Full("limits.max_body_memory is reached"))
}
