//! What a client's bytes go through: its socket, or TLS on its socket. Like the socket itself it is waited for until it
//! is ready, and then read and written without waiting.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, Read, Write},
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use rustls::{ServerConfig, ServerConnection};

use super::Worker;
use crate::runtime::{Alarm, Bell, Socket, is_temporary, take_rest};

/// A client's connection, ready for HTTP.
pub(super) enum Transport {
    Plain(Socket),
    /// Larger by far, so it is kept elsewhere.
    Encrypted(Box<Encrypted>),
}

/// TLS on a socket.
pub(super) struct Encrypted {
    socket: Socket,
    session: RefCell<ServerConnection>,
    /// There may be something to read though the socket has nothing.
    has_unread: Cell<bool>,
    /// The client has said that it sends no more, or is gone.
    is_ended: Cell<bool>,
}

impl Transport {
    /// Resolves when there is something to read, the end of the stream included. Not to be waited for where
    /// [`Self::has_unread`].
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket().readable().await
    }

    /// Whether there may be something to read that the socket no longer tells of.
    pub(super) fn has_unread(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Encrypted(encrypted) => encrypted.has_unread.get(),
        }
    }

    /// Resolves when there is room to write.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket().writable().await
    }

    /// Reads what is there: `WouldBlock` if nothing, 0 at the end of the stream.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.receive(buffer),
            Self::Encrypted(encrypted) => encrypted.receive(buffer),
        }
    }

    /// Whether the client has closed its side or is gone altogether, with nothing left to read before that.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_closed(),
            Self::Encrypted(encrypted) => encrypted.is_closed(),
        }
    }

    /// Takes what there is room for; how much that was. Whether the kernel has it, [`Self::flush`] tells.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send(bytes),
            Self::Encrypted(encrypted) => encrypted.send(bytes),
        }
    }

    /// Takes what there is room for; what is left.
    pub(super) fn send_from(&self, buffer: &mut Vec<u8>) -> io::Result<Bytes> {
        let sent = self.send(buffer)?;
        Ok(take_rest(buffer, sent))
    }

    /// Whether the kernel has everything that was taken.
    pub(super) fn flush(&self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Encrypted(encrypted) => {
                flush(&mut encrypted.session.borrow_mut(), &encrypted.socket)
            }
        }
    }

    /// Says over TLS that nothing more will be written, so that the client can tell the end from a cut. Whether the
    /// kernel has that; a client that is gone already does not mind.
    pub(super) fn announce_end(&self) -> bool {
        if let Self::Encrypted(encrypted) = self {
            encrypted.session.borrow_mut().send_close_notify();
        }
        self.flush().unwrap_or(true)
    }

    /// Says that nothing more will be written. A client that is gone already does not mind.
    pub(super) fn finish_writing(&self) {
        self.announce_end();
        self.socket().finish_writing();
    }

    /// Whence the client comes.
    pub(super) fn peer(&self) -> IpAddr {
        self.socket().peer()
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Encrypted(encrypted) => &encrypted.socket,
        }
    }
}

impl Encrypted {
    /// Shakes hands with a client, which has `tls.handshake_timeout` for that; none if it does not come to it.
    pub(super) async fn accept(
        socket: Socket,
        config: Arc<ServerConfig>,
        worker: &Worker,
    ) -> Option<Self> {
        let mut session = ServerConnection::new(config).ok()?;
        let bell = Rc::new(Bell::default());
        let key = worker.bells.borrow_mut().insert(Rc::clone(&bell));
        let mut alarm = Alarm::default();
        let deadline = worker.timers.now().plus(worker.handshake_timeout);
        worker.timers.ring_by(&mut alarm, deadline, &bell);
        let shaken = shake_hands(&mut session, &socket, worker, &bell).await;
        if !shaken && worker.timers.now() >= deadline {
            worker.shared.refusals.note("tls.handshake_timeout");
        }
        worker.timers.clear(&mut alarm);
        worker.bells.borrow_mut().remove(key);
        shaken.then(|| Self {
            socket,
            session: RefCell::new(session),
            // The client's first request may have come with the end of its handshake.
            has_unread: Cell::new(true),
            is_ended: Cell::new(false),
        })
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let mut filled = 0;
        loop {
            let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
                self.has_unread.set(true);
                return Ok(filled);
            };
            match session.reader().read(room) {
                Ok(count) if count > 0 => {
                    filled += count;
                    continue;
                }
                Err(error) if is_temporary(&error) => {}
                // An end that was not announced is one all the same: HTTP says itself where its messages end.
                Ok(_) => self.is_ended.set(true),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.is_ended.set(true);
                }
                Err(error) => return Err(error),
            }
            if self.is_ended.get() || !take_in(&mut session, &self.socket)? {
                break;
            }
        }
        // What the session has to say to what it has read; the rest of it goes with the next answer.
        flush(&mut session, &self.socket)?;
        // Its end is for the next look.
        self.has_unread.set(filled > 0 && self.is_ended.get());
        if filled == 0 && !self.is_ended.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(filled)
    }

    fn is_closed(&self) -> bool {
        let mut session = self.session.borrow_mut();
        loop {
            let Ok(state) = session.process_new_packets() else {
                return true;
            };
            if state.plaintext_bytes_to_read() > 0 {
                self.has_unread.set(true);
                return false;
            }
            if state.peer_has_closed() || self.is_ended.get() {
                self.has_unread.set(true);
                return true;
            }
            match session.read_tls(&mut Ciphertext(&self.socket)) {
                Ok(0) => self.is_ended.set(true),
                Ok(_) => {}
                Err(error) => return !is_temporary(&error),
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let mut taken = 0;
        // The session takes a bounded amount before it has to be rid of it.
        while flush(&mut session, &self.socket)? && taken < bytes.len() {
            taken += session
                .writer()
                .write(bytes.get(taken..).unwrap_or_default())?;
        }
        Ok(taken)
    }
}

/// Whether it came to a session; not if the client is late, gone, or does not speak TLS, or if the server drains.
async fn shake_hands(
    session: &mut ServerConnection,
    socket: &Socket,
    worker: &Worker,
    bell: &Bell,
) -> bool {
    loop {
        let Ok(is_flushed) = flush(session, socket) else {
            return false;
        };
        if is_flushed && !session.is_handshaking() {
            return true;
        }
        if worker.draining.get() {
            return false;
        }
        let ready = {
            let mut readable = pin!(socket.readable());
            let mut writable = pin!(socket.writable());
            poll_fn(|context| {
                if bell.poll_rung(context).is_ready() {
                    return Poll::Ready(None);
                }
                if is_flushed {
                    readable.as_mut().poll(context).map(Some)
                } else {
                    writable.as_mut().poll(context).map(Some)
                }
            })
            .await
        };
        match ready {
            Some(Ok(())) if is_flushed => {
                if take_in(session, socket).is_err() {
                    return false;
                }
            }
            Some(Ok(())) => {}
            // Late, or drained.
            None | Some(Err(_)) => return false,
        }
    }
}

/// Reads what the socket has and understands it; whether there was anything.
fn take_in(session: &mut ServerConnection, socket: &Socket) -> io::Result<bool> {
    match session.read_tls(&mut Ciphertext(socket)) {
        Ok(0) if session.is_handshaking() => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => {
            let understood = session.process_new_packets();
            if understood.is_err() {
                // An alert, which says why.
                let _ = flush(session, socket);
            }
            understood.map_err(io::Error::other)?;
            Ok(true)
        }
        Err(error) if is_temporary(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Hands what the session has to send to the kernel; whether all of it is there.
fn flush(session: &mut ServerConnection, socket: &Socket) -> io::Result<bool> {
    while session.wants_write() {
        match session.write_tls(&mut Ciphertext(socket)) {
            Ok(_) => {}
            Err(error) if is_temporary(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The socket as the session reads and writes it.
struct Ciphertext<'a>(&'a Socket);

impl Read for Ciphertext<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive(buffer)
    }
}

impl Write for Ciphertext<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.send(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            sent => Ok(sent),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
