//! A connection: one request under way at a time, in plain or over TLS.

use std::{
    io,
    net::SocketAddr,
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
        socket_with, sockopt,
    },
};

use crate::{
    event_loop::Load,
    exchange::{Answer, Asked, Decoded, Dialogue, Malformed, Request},
    server::Server,
    source::Source,
    tls::Session,
};

/// Why a connection is gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The system or the network says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// What came is no answer.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The server will not have it.
    #[error("the server refuses the connection: {0}")]
    Refused(String),
    /// No more connections come to be open, or are answered.
    #[error("{missing} connections are not open, and no more are taken in")]
    Stuck { missing: usize },
}

impl From<Errno> for ConnectionError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// What a connection is to be.
#[derive(Clone, Debug)]
pub(crate) struct Blueprint {
    /// Its number among all of the run.
    pub(crate) number: usize,
    /// Where it leads.
    pub(crate) server: Arc<Server>,
    /// Where it comes from; none: as the kernel likes.
    pub(crate) source: Option<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    Connecting,
    ShakingHands,
    Greeting,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    Wanted,
    Running,
}

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnderWay {
    pub(crate) kind: Asked,
    /// When it was sent.
    pub(crate) since: Instant,
}

/// A connection, open or about to be opened anew.
#[derive(Debug)]
pub(crate) struct Connection {
    blueprint: Blueprint,
    /// Its place among those of its thread.
    index: usize,
    socket: Option<OwnedFd>,
    stage: Stage,
    /// None in plain. Larger by far than all else, so it is kept elsewhere.
    session: Option<Box<Session>>,
    dialogue: Dialogue,
    under_way: Option<UnderWay>,
    pause: Pause,
    /// What the kernel has not taken yet.
    unsent: Vec<u8>,
    /// The beginning of an answer.
    received: Vec<u8>,
}

/// Room that all connections of a thread share.
#[derive(Debug)]
pub(crate) struct Room {
    received: Box<[u8]>,
    decrypted: Vec<u8>,
    body: Vec<u8>,
}

/// What is received in one call.
const RECEIVED_BYTES: usize = 64 << 10;

impl Room {
    /// Room for one thread.
    pub(crate) fn new() -> Self {
        Self {
            received: vec![0; RECEIVED_BYTES].into_boxed_slice(),
            decrypted: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// What the kernel said of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    /// There is something to read, the end included.
    pub(crate) reads: bool,
    /// There is room to write.
    pub(crate) writes: bool,
    /// The server has closed its side, or worse.
    pub(crate) ends: bool,
}

/// A socket that has begun to connect.
fn begin_to_connect(blueprint: &Blueprint) -> Result<OwnedFd, Errno> {
    let address = blueprint.server.target.address;
    let Some(source) = blueprint.source else {
        return begin_from(None, address);
    };
    let mut refusal = Errno::ADDRINUSE;
    for from in source.tries() {
        match begin_from(Some(from), address) {
            // Taken by somebody, or by a connection to the same address that ended a moment ago.
            Err(error @ (Errno::ADDRINUSE | Errno::ADDRNOTAVAIL)) => refusal = error,
            begun => return begun,
        }
    }
    Err(refusal)
}

fn begin_from(source: Option<SocketAddr>, address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(source) = source {
        // Else a port could not be used again for a minute, to whatever address.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &source)?;
    }
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

impl Connection {
    /// The connection at `index` among those of its thread, not open yet.
    pub(crate) fn new(blueprint: Blueprint, index: usize) -> Self {
        Self {
            dialogue: Dialogue::new(blueprint.server.target.protocol),
            blueprint,
            index,
            socket: None,
            stage: Stage::Closed,
            session: None,
            under_way: None,
            pause: Pause::None,
            unsent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Its number among all connections of the run.
    pub(crate) fn number(&self) -> usize {
        self.blueprint.number
    }

    /// Its place among those of its thread.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What kind of request is under way.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.under_way.map(|asked| asked.kind)
    }

    /// Whether it can be asked something.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage == Stage::Open && self.under_way.is_none() && self.pause == Pause::None
    }

    /// Whether it is to be opened.
    pub(crate) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Whether it is open and the server has taken it in.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Wants a pause before it is asked again, as the server has no room.
    pub(crate) fn pause(&mut self) {
        if self.pause == Pause::None {
            self.pause = Pause::Wanted;
        }
    }

    /// Whether a pause is wanted, which begins now.
    pub(crate) fn begin_pause(&mut self) -> bool {
        let is_wanted = self.pause == Pause::Wanted;
        if is_wanted {
            self.pause = Pause::Running;
        }
        is_wanted
    }

    /// The pause is over.
    pub(crate) fn end_pause(&mut self) {
        self.pause = Pause::None;
    }

    /// Begins to connect; the socket is to be watched.
    pub(crate) fn open(&mut self) -> Result<BorrowedFd<'_>, ConnectionError> {
        let socket = begin_to_connect(&self.blueprint)?;
        self.stage = Stage::Connecting;
        self.dialogue.begin_anew();
        self.under_way = None;
        self.unsent.clear();
        self.received.clear();
        let socket = self.socket.insert(socket);
        Ok(rustix::fd::AsFd::as_fd(socket))
    }

    /// Closes it; to be opened again.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.session = None;
        self.stage = Stage::Closed;
        self.under_way = None;
    }

    /// Sends a request, which the connection must be idle for. A connection that fails is dropped when the kernel
    /// says so, as any other.
    pub(crate) fn ask(&mut self, request: &Request<'_>, now: Instant) {
        debug_assert!(self.under_way.is_none(), "one request at a time");
        self.under_way = Some(UnderWay {
            kind: request.asked(),
            since: now,
        });
        let headers = &self.blueprint.server.headers;
        if let Some(session) = &mut self.session {
            let mut encoded = Vec::new();
            self.dialogue.encode(request, headers, &mut encoded);
            let _ = session.encrypt(&encoded, &mut self.unsent);
        } else {
            self.dialogue.encode(request, headers, &mut self.unsent);
        }
        let _ = self.flush();
    }

    fn flush(&mut self) -> Result<(), ConnectionError> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        while !self.unsent.is_empty() {
            match send(socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent.min(self.unsent.len()))),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Does what can be done now, and gives `load` what has come.
    pub(crate) fn attend<L: Load>(
        &mut self,
        readiness: Readiness,
        room: &mut Room,
        load: &mut L,
    ) -> Result<(), ConnectionError> {
        if self.stage == Stage::Connecting && (readiness.writes || readiness.ends) {
            if let Some(socket) = &self.socket {
                sockopt::socket_error(socket)??;
            }
            self.begin()?;
        }
        if readiness.writes && !self.unsent.is_empty() {
            self.flush()?;
        }
        if readiness.reads || readiness.ends {
            self.receive(readiness.ends, room, load)?;
        }
        Ok(())
    }

    /// Begins to talk, now that it is connected.
    fn begin(&mut self) -> Result<(), ConnectionError> {
        let server = &self.blueprint.server;
        let Some(name) = &server.target.encrypted else {
            self.greet();
            return Ok(());
        };
        let session = Session::begin(&server.tls, name, &mut self.unsent)?;
        self.session = Some(Box::new(session));
        self.stage = Stage::ShakingHands;
        self.flush()
    }

    fn greet(&mut self) {
        self.stage = Stage::Greeting;
        self.ask(&Request::Greet, Instant::now());
    }

    /// Receives what is there, all of it if this is the end.
    fn receive<L: Load>(
        &mut self,
        is_end: bool,
        room: &mut Room,
        load: &mut L,
    ) -> Result<(), ConnectionError> {
        loop {
            let Some(socket) = &self.socket else {
                return Ok(());
            };
            let received = match recv(socket, &mut room.received[..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(ConnectionError::Closed),
                Ok((received, _)) => received,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            let bytes = room.received.get(..received).unwrap_or_default();
            if let Some(session) = &mut self.session {
                room.decrypted.clear();
                let is_closed = session.decrypt(bytes, &mut room.decrypted, &mut self.unsent)?;
                let is_open = session.is_open();
                self.flush()?;
                if self.stage == Stage::ShakingHands && is_open {
                    self.greet();
                }
                self.take(&room.decrypted, &mut room.body, now, load)?;
                if is_closed {
                    return Err(ConnectionError::Closed);
                }
            } else {
                self.take(bytes, &mut room.body, now, load)?;
            }
            // Less than there was room for is all there was; what comes later is reported anew.
            if received < room.received.len() && !is_end {
                return Ok(());
            }
        }
    }

    /// Takes what comes after what has come so far.
    fn take<L: Load>(
        &mut self,
        bytes: &[u8],
        body: &mut Vec<u8>,
        now: Instant,
        load: &mut L,
    ) -> Result<(), ConnectionError> {
        if self.received.is_empty() {
            let taken = self.take_answers(bytes, body, now, load)?;
            let rest = bytes.get(taken..).unwrap_or_default();
            self.received.extend_from_slice(rest);
        } else {
            let mut whole = std::mem::take(&mut self.received);
            whole.extend_from_slice(bytes);
            let taken = self.take_answers(&whole, body, now, load)?;
            if taken < whole.len() {
                whole.drain(..taken);
                self.received = whole;
            }
        }
        Ok(())
    }

    /// Takes the answers at the front of `input`: one, or those of a stream. How many bytes they are.
    fn take_answers<L: Load>(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        now: Instant,
        load: &mut L,
    ) -> Result<usize, ConnectionError> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            let asked = self.under_way.ok_or(Malformed::Unasked)?;
            let Some(decoded) = self.dialogue.decode(asked.kind, rest, body)? else {
                break;
            };
            taken += decoded.bytes;
            if !decoded.goes_on && taken < input.len() {
                return Err(Malformed::Unasked.into());
            }
            self.take_answer(decoded, asked, now, load)?;
        }
        Ok(taken)
    }

    fn take_answer<L: Load>(
        &mut self,
        decoded: Decoded<'_>,
        asked: UnderWay,
        now: Instant,
        load: &mut L,
    ) -> Result<(), ConnectionError> {
        self.under_way = decoded.goes_on.then_some(UnderWay {
            kind: Asked::Stream,
            ..asked
        });
        if self.stage == Stage::Greeting {
            if let Answer::Refused(why) = decoded.answer {
                return Err(ConnectionError::Refused(why.to_string()));
            }
            self.stage = Stage::Open;
            load.ready(self, now);
        } else {
            load.answered(self, decoded.answer, asked, now);
        }
        if decoded.closes {
            return Err(ConnectionError::Closed);
        }
        Ok(())
    }
}
