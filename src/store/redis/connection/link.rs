//! The task of a connection: connects, writes what is to go out, takes apart what comes in, and begins again.

use std::{future::poll_fn, io, mem, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use redis_protocol::resp3::types::BytesFrame;
use tracing::{info, warn};

use super::{Fault, State, backoff::Backoff, frame, greeting, into_bytes, resolve::resolve};
use crate::{
    runtime::{Alarm, Socket, Tick, is_temporary},
    store::redis::clock,
};

/// Read at a time.
const READ_BYTES: usize = 64 << 10;

/// The longest answer there can be: far more than a payload and its record, and a bound all the same.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// A server that has nothing to answer is asked for the time so often. One that does not answer is gone, and its clock
/// is ours.
const IDLE_MAX: Duration = Duration::from_secs(5);

pub(super) async fn run(state: &Rc<State>) {
    let mut backoff = Backoff::new();
    let mut is_told = false;
    loop {
        let reason = match live(state).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        let was_up = state.fall(&reason);
        #[cfg(test)]
        if state.is_closed.get() {
            return state.end.ring();
        }
        if was_up {
            backoff.reset();
        }
        if was_up || !is_told {
            is_told = true;
            warn!(server = %state.settings.address, %reason, "no connection to a Redis server; trying again until there is");
        }
        state.settings.timers.sleep(backoff.next()).await;
    }
}

enum Never {}

/// One connection from its beginning to its end, and why that came.
async fn live(state: &Rc<State>) -> Result<Never, String> {
    let words = |error: io::Error| error.to_string();
    let socket = connect(state).await.map_err(words)?;
    state.condemned.set(None);
    let mut exchange = pin!(exchange(state, &socket));
    let mut greeting = pin!(greeting::greet(state));
    let mut is_greeted = false;
    poll_fn(|context| {
        if let Poll::Ready(reason) = exchange.as_mut().poll(context) {
            return Poll::Ready(Err(reason));
        }
        if !is_greeted && let Poll::Ready(greeted) = greeting.as_mut().poll(context) {
            is_greeted = true;
            match greeted {
                Ok(worker) => state.rise(worker.as_deref()),
                Err(reason) => return Poll::Ready(Err(reason)),
            }
        }
        Poll::Pending
    })
    .await
}

/// Connects to the first of a server's addresses where somebody answers: a name may stand for one of each kind.
async fn connect(state: &State) -> io::Result<Socket> {
    let settings = &state.settings;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in resolve(&settings.address.host, settings.address.port).await? {
        match Socket::connect(address, &settings.timers, settings.connect_timeout).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Writes and reads until the connection ends; gives the reason.
async fn exchange(state: &State, socket: &Socket) -> String {
    let timers = &state.settings.timers;
    let mut input = BytesMut::new();
    let mut scratch = vec![0; READ_BYTES].into_boxed_slice();
    let mut unsent = Bytes::new();
    let mut alarm = Alarm::default();
    let mut heard = timers.now();
    let mut readable = pin!(socket.readable());
    loop {
        if let Err(error) = write(state, socket, &mut unsent) {
            return error.to_string();
        }
        timers.ring_by(&mut alarm, next_look(state, heard), &state.bell);
        let is_blocked = !unsent.is_empty();
        let mut writable = pin!(async {
            if is_blocked {
                socket.writable().await
            } else {
                std::future::pending().await
            }
        });
        let event = poll_fn(|context| {
            if state.bell.poll_rung(context).is_ready() {
                return Poll::Ready(Ok(false));
            }
            if let Poll::Ready(ready) = readable.as_mut().poll(context) {
                return Poll::Ready(ready.map(|()| true));
            }
            writable.as_mut().poll(context).map_ok(|()| false)
        })
        .await;
        match event {
            Ok(true) => {
                readable.set(socket.readable());
                match read(state, socket, &mut scratch, &mut input) {
                    Ok(true) => heard = timers.now(),
                    Ok(false) => {}
                    Err(reason) => return reason,
                }
            }
            Ok(false) => {}
            Err(error) => return error.to_string(),
        }
        timers.note_ring(&mut alarm);
        if let Some(reason) = state.condemned.get() {
            return reason.into();
        }
        if timers.now() >= next_look(state, heard) {
            // What it is blamed for not having said may be here: it may be us who stood still.
            match read(state, socket, &mut scratch, &mut input) {
                Ok(true) => {
                    heard = timers.now();
                    continue;
                }
                Ok(false) => {}
                Err(reason) => return reason,
            }
        }
        if let Some(reason) = look_at_time(state, heard) {
            timers.clear(&mut alarm);
            return reason;
        }
    }
}

fn write(state: &State, socket: &Socket, unsent: &mut Bytes) -> io::Result<()> {
    while !unsent.is_empty() {
        let sent = socket.send(unsent)?;
        if sent == 0 {
            return Ok(());
        }
        unsent.advance(sent.min(unsent.len()));
    }
    let mut out = state.unsent.borrow_mut();
    if !out.is_empty() {
        *unsent = socket.send_from(&mut out)?;
        out.clear();
    }
    Ok(())
}

/// When to look at the time again though nothing has come.
fn next_look(state: &State, heard: Tick) -> Tick {
    let oldest = state.in_flight.borrow().front().map(|it| it.since);
    oldest.map_or_else(
        || heard.plus(IDLE_MAX),
        |since| since.plus(state.settings.reply_timeout),
    )
}

/// Asks a server that has been silent, and gives up one that does not answer.
fn look_at_time(state: &State, heard: Tick) -> Option<String> {
    let now = state.settings.timers.now();
    if now < next_look(state, heard) {
        return None;
    }
    if !state.in_flight.borrow().is_empty() {
        return Some("it does not answer within redis.reply_timeout".into());
    }
    let answer = state.call(&[b"TIME"]);
    let clock = Rc::clone(&state.clock);
    crate::runtime::spawn(async move {
        if let Ok(frame) = answer.await
            && let Some(time) = clock::from_time_reply(frame)
        {
            clock.set(time, now);
        }
    });
    None
}

/// Reads what is there and gives the answers in it to those who wait; whether there was any.
fn read(
    state: &State,
    socket: &Socket,
    scratch: &mut [u8],
    input: &mut BytesMut,
) -> Result<bool, String> {
    match socket.receive(scratch) {
        Ok(0) => return Err("it has closed the connection".into()),
        Ok(count) => input.extend_from_slice(scratch.get(..count).unwrap_or_default()),
        Err(error) if is_temporary(&error) => return Ok(false),
        Err(error) => return Err(error.to_string()),
    }
    loop {
        match frame::decode(input) {
            Ok(Some(frame)) => take_frame(state, frame)?,
            Ok(None) if input.len() > ANSWER_BYTES_MAX => {
                return Err("its answer has no end".into());
            }
            Ok(None) => break,
            Err(error) => return Err(format!("it does not speak RESP3: {error}")),
        }
    }
    if input.is_empty() {
        // What was taken from it keeps the rest alive; a new one keeps nothing.
        *input = BytesMut::new();
    }
    Ok(true)
}

fn take_frame(state: &State, frame: BytesFrame) -> Result<(), String> {
    let result = match frame {
        BytesFrame::Push { data, .. } => {
            let mut parts = data.into_iter().map(into_bytes);
            let mut next = || parts.next().and_then(Result::ok).flatten();
            match next().as_deref() {
                Some(b"message") => {
                    next();
                    let listener = state.listener.borrow().clone();
                    if let (Some(payload), Some(listener)) = (next(), listener) {
                        listener.message(payload);
                    }
                    return Ok(());
                }
                // This one is the answer to the command.
                Some(b"subscribe") => Ok(BytesFrame::Null),
                _ => return Ok(()),
            }
        }
        BytesFrame::SimpleError { data, .. } => Err(Fault::from_words(&data)),
        BytesFrame::BlobError { data, .. } => {
            Err(Fault::from_words(&String::from_utf8_lossy(&data)))
        }
        frame => Ok(frame),
    };
    let Some(oldest) = state.in_flight.borrow_mut().pop_front() else {
        return Err("it answers what it was not asked".into());
    };
    if result.as_ref().is_err_and(Fault::is_of_replica) {
        state.condemn(greeting::REPLICA);
    }
    oldest.question.answer(result);
    Ok(())
}

impl State {
    /// Takes commands from now on.
    fn rise(&self, worker: Option<&str>) {
        self.is_up.set(true);
        info!(server = %self.settings.address, "connected to a Redis server");
        self.settings.light.set(None);
        let listener = self.listener.borrow().clone();
        if let (Some(listener), Some(worker)) = (listener, worker) {
            listener.connected(worker);
        }
    }

    /// Takes no commands any more, and has none of those on their way answered; whether it did take any.
    fn fall(&self, reason: &str) -> bool {
        let was_up = self.is_up.replace(false);
        let reason: Arc<str> = format!("{}: {reason}", self.settings.address).into();
        *self.trouble.borrow_mut() = Arc::clone(&reason);
        self.settings.light.set(Some(&reason));
        self.unsent.borrow_mut().clear();
        let lost = mem::take(&mut *self.in_flight.borrow_mut());
        for it in lost {
            it.question.answer(Err(Fault::Lost(Arc::clone(&reason))));
        }
        was_up
    }
}
