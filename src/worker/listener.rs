//! Taking in connections.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    rc::Rc,
    sync::atomic::Ordering,
    time::Duration,
};

use monoio::net::TcpListener;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, Protocol, Socket as RawSocket, TcpKeepalive, Type};
use tracing::{debug, warn};

use super::{
    Door, Worker,
    addresses::{Crowded, Visit},
    certificate::Certificate,
    connection,
    transport::{Encrypted, Transport},
};
use crate::{
    api,
    http::{Frame, Response, Version},
    mailbox::Refusal,
    runtime::Socket,
};

/// Connections that the kernel holds for us until we take them in; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// Connections taken in before the others get their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// How often that is done for the backlog of a listener that closes: newcomers must not keep it open for ever.
const LAST_ROUNDS: i32 = BACKLOG / 64;

/// A client whose machine or network is gone without a word is found out after idling this long…
const PROBE_AFTER: Duration = Duration::from_mins(1);

/// …and leaving so many questions unanswered, that far apart.
const PROBES: u32 = 6;
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait when the process has no file descriptor left: asking again at once would only burn the processor.
const BACKOFF: Duration = Duration::from_millis(100);

/// How long to wait when as many handshakes are in progress as there may be. Short: they take milliseconds.
const HANDSHAKES_BACKOFF: Duration = Duration::from_millis(20);

/// One listener for each worker, all on one address; port 0 is the same free port for all.
pub(super) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<StdTcpListener>> {
    // Several sockets may share an address, those of another process of this user too: two servers that each get half
    // of the connections. One that does not share finds out whether it is free.
    drop(bind_one(address, false)?);
    let mut address = address;
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let listener = bind_one(address, true)?;
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr, is_shared: bool) -> io::Result<StdTcpListener> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    // What follows is for the connections, which inherit it. Answers are written whole, so there is nothing for the
    // kernel to wait for; and a stream that has nothing to write would never notice that its client is no more.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes in connections until the server drains, then what the kernel has taken in already, and closes the listener.
pub(super) async fn run(
    listener: StdTcpListener,
    door: Rc<Door>,
    worker: Rc<Worker>,
) -> io::Result<()> {
    let waiting = TcpListener::from_std(listener.try_clone()?)?;
    while !worker.draining.get() {
        let has_come = monoio::select! {
            biased;
            () = door.bell.rung() => false,
            ready = waiting.readable(false) => { ready?; true }
        };
        if has_come {
            match accept(&listener, &door, &worker) {
                Backlog::Empty | Backlog::More => {}
                Backlog::Untakable => worker.timers.sleep(BACKOFF).await,
                Backlog::Busy => worker.timers.sleep(HANDSHAKES_BACKOFF).await,
            }
        }
    }
    // Closing a listener resets what is in its backlog.
    for _ in 0..LAST_ROUNDS {
        if accept(&listener, &door, &worker) != Backlog::More {
            break;
        }
    }
    Ok(())
}

/// What [`accept`] left in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    Empty,
    /// More, perhaps.
    More,
    /// More, for which the process has no means.
    Untakable,
    /// More, which have to wait until others are through with their handshake.
    Busy,
}

/// Takes in what is there, up to a number.
fn accept(listener: &StdTcpListener, door: &Rc<Door>, worker: &Rc<Worker>) -> Backlog {
    for _ in 0..ACCEPTED_AT_ONCE {
        // Before the connection is taken in, since no task of it runs before all of these are.
        let handshake = match door.certificate {
            None => None,
            Some(_) => match Handshake::begin(worker) {
                None => return Backlog::Busy,
                begun => begun,
            },
        };
        match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(accepted) => match Socket::new(accepted) {
                Ok(socket) => take_in(socket, handshake, door, worker),
                Err(error) => debug!(%error, "a connection is gone before it began"),
            },
            Err(rustix::io::Errno::AGAIN) => return Backlog::Empty,
            Err(
                error @ (rustix::io::Errno::MFILE
                | rustix::io::Errno::NFILE
                | rustix::io::Errno::NOBUFS
                | rustix::io::Errno::NOMEM),
            ) => {
                warn!(%error, "cannot take in connections");
                return Backlog::Untakable;
            }
            // The others are errors of the one connection.
            Err(error) => debug!(%error, "a connection is gone before it began"),
        }
    }
    Backlog::More
}

fn take_in(socket: Socket, handshake: Option<Handshake>, door: &Rc<Door>, worker: &Rc<Worker>) {
    let (place, visit) = match find_room(&socket, worker) {
        Ok(room) => room,
        Err(response) => return turn_away(&socket, &response, door, worker),
    };
    let (door, worker) = (Rc::clone(door), Rc::clone(worker));
    monoio::spawn(async move {
        let transport = match door.certificate.as_ref().zip(handshake) {
            None => Some(Transport::Plain(socket)),
            // Apart, since it needs more room than what most connections do for most of their lives.
            Some((certificate, handshake)) => {
                Box::pin(shake_hands(socket, handshake, certificate, &worker)).await
            }
        };
        if let Some(transport) = transport {
            connection::serve(transport, visit, door, worker).await;
        }
        drop(place);
    });
}

/// Says why there is no room for a connection, and ends it.
fn turn_away(socket: &Socket, response: &Response, door: &Door, worker: &Worker) {
    worker.note_refusal(response);
    if door.certificate.is_some() {
        // There is no telling it without a handshake, which is what there is no room for.
        return;
    }
    let date = worker.date();
    let frame = Frame {
        version: Version::Http11,
        keep_alive: false,
        head_only: false,
        date: &date,
    };
    let mut answer = Vec::new();
    response.encode(&frame, &mut answer);
    // There is always room for this in the buffer of a new socket.
    let _ = socket.send(&answer);
    socket.finish_writing();
}

/// Makes a connection of a client that speaks TLS.
async fn shake_hands(
    socket: Socket,
    handshake: Handshake,
    certificate: &Certificate,
    worker: &Worker,
) -> Option<Transport> {
    let encrypted = Encrypted::accept(socket, certificate.current(), worker).await?;
    drop(handshake);
    Some(Transport::Encrypted(Box::new(encrypted)))
}

/// One handshake of those that the process may have in progress.
struct Handshake(Rc<Worker>);

impl Handshake {
    /// None if there are as many as there may be.
    fn begin(worker: &Rc<Worker>) -> Option<Self> {
        let before = worker.shared.handshakes.fetch_add(1, Ordering::Relaxed);
        // It counts from now on, and no longer if there are too many.
        let begun = Self(Rc::clone(worker));
        (before < worker.shared.handshakes_max).then_some(begun)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.shared.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a connection takes of what there is, or why there is none.
fn find_room(socket: &Socket, worker: &Rc<Worker>) -> Result<(Place, Visit), Response> {
    let visit = worker.shared.addresses.enter(|| socket.peer());
    let visit = visit.map_err(|Crowded| {
        let limit = "limits.max_connections_per_address";
        api::too_many(limit, "too many connections", 1)
    })?;
    let place = Place::take(worker).ok_or_else(|| {
        let refusal = Refusal::Full("limits.max_connections is reached");
        api::refused(&refusal)
    })?;
    Ok((place, visit))
}

/// One connection of those that the process may have.
struct Place(Rc<Worker>);

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let before = worker.shared.connections.fetch_add(1, Ordering::Relaxed);
        worker.connections.set(worker.connections.get() + 1);
        let place = Self(Rc::clone(worker));
        (before < worker.shared.connections_max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.departure_bell.ring();
    }
}
