//! A TCP proxy whose wires can be cut, reset, slowed and made deaf while connections run over them.
//!
//! It listens on an address of its own, which it keeps, and opens a connection to its server for each that it takes
//! in. What it does to them is said through its handle; dropping that ends all of its threads.

mod link;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::port::free_address;
use link::Link;

/// How many addresses are tried: another process may be faster at one.
const ADDRESSES_TRIED: usize = 20;

/// Connections that may run over a proxy at a time; further ones are closed at once. Each takes two threads.
const LINKS_MAX: usize = 512;

/// A way along the wires. The server is what the proxy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// A proxy, and what happens on its wires.
pub struct Proxy {
    address: SocketAddr,
    wires: Arc<Wires>,
    /// Whoever takes connections in; none while they are cut.
    acceptor: Mutex<Option<Acceptor>>,
}

impl Proxy {
    /// A proxy to a server, with sound wires.
    pub fn to(server: SocketAddr) -> Self {
        let wires = Arc::new(Wires {
            server,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        for _ in 0..ADDRESSES_TRIED {
            let address = free_address();
            match Acceptor::start(address, &wires) {
                Ok(acceptor) => {
                    return Self {
                        address,
                        wires,
                        acceptor: Mutex::new(Some(acceptor)),
                    };
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => panic!("listen on {address}: {error}"),
            }
        }
        panic!("the proxy found no address");
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection on both sides, and refuses new ones.
    pub fn cut(&self) {
        *self.acceptor() = None;
        self.wires.end_links(End::Closed);
    }

    /// Resets every connection on both sides; new ones are taken.
    pub fn reset(&self) {
        self.wires.end_links(End::Reset);
    }

    /// Lets so many more bytes through to clients, over all connections together, and resets the connection that has
    /// the last of them: in the middle of an answer, unless it happens to end there.
    pub fn reset_after(&self, bytes_to_client: usize) {
        self.wires
            .change(|state| state.reset_after = Some(bytes_to_client));
    }

    /// Holds each piece for so long before it is passed on. Pieces stay in order, so this also makes the wire narrow.
    pub fn delay(&self, delay: Duration) {
        self.wires.change(|state| state.delay = delay);
    }

    /// Lets nothing more through in this direction, while the other flows.
    pub fn stall(&self, direction: Direction) {
        self.wires.change(|state| match direction {
            Direction::ToServer => state.is_server_deaf = true,
            Direction::ToClient => state.is_client_deaf = true,
        });
    }

    /// Takes new connections in, as the kernel would, and lets nothing through on them.
    pub fn swallow_new(&self) {
        self.wires.change(|state| state.is_swallowing = true);
    }

    /// Makes the wires sound again. What was held goes on its way; what was closed stays closed.
    pub fn heal(&self) {
        self.wires.change(|state| {
            *state = State {
                links: std::mem::take(&mut state.links),
                next_link: state.next_link,
                ..State::default()
            };
        });
        let mut acceptor = self.acceptor();
        if acceptor.is_none() {
            match Acceptor::start(self.address, &self.wires) {
                Ok(started) => *acceptor = Some(started),
                Err(error) => panic!("listen on {} again: {error}", self.address),
            }
        }
    }

    /// How many connections run over it.
    pub fn link_count(&self) -> usize {
        self.wires.state().links.len()
    }

    fn acceptor(&self) -> MutexGuard<'_, Option<Acceptor>> {
        self.acceptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

/// How connections end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// What the threads of a proxy share.
struct Wires {
    server: SocketAddr,
    state: Mutex<State>,
    /// Rung whenever something in the state has changed that somebody may wait for.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    delay: Duration,
    is_server_deaf: bool,
    is_client_deaf: bool,
    is_swallowing: bool,
    /// Bytes to clients until one of them is reset.
    reset_after: Option<usize>,
    /// The sockets of the connections that go on.
    links: BTreeMap<u64, Vec<TcpStream>>,
    next_link: u64,
}

impl State {
    fn is_stalled(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.is_server_deaf,
            Direction::ToClient => self.is_client_deaf,
        }
    }
}

impl Wires {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits while a link goes on and something holds it; whether it goes on.
    fn wait_while(&self, link: u64, mut is_held: impl FnMut(&State) -> bool) -> bool {
        let state = self.changed.wait_while(self.state(), |state| {
            state.links.contains_key(&link) && is_held(state)
        });
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.links.contains_key(&link)
    }

    /// Waits for so long, or until the link ends; whether it goes on.
    fn pause(&self, link: u64, delay: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), delay, |state| state.links.contains_key(&link));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.links.contains_key(&link)
    }

    /// Adds a link; none if there are too many.
    fn register(&self, client: &TcpStream) -> io::Result<Option<u64>> {
        let mut state = self.state();
        if state.links.len() >= LINKS_MAX {
            return Ok(None);
        }
        let number = state.next_link;
        state.next_link += 1;
        state.links.insert(number, vec![client.try_clone()?]);
        Ok(Some(number))
    }

    /// Adds the other socket of a link; whether it goes on.
    fn add_socket(&self, link: u64, socket: &TcpStream) -> io::Result<bool> {
        let socket = socket.try_clone()?;
        let mut state = self.state();
        let sockets = state.links.get_mut(&link);
        Ok(sockets.is_some_and(|sockets| {
            sockets.push(socket);
            true
        }))
    }

    fn end_links(&self, end: End) {
        let links = std::mem::take(&mut self.state().links);
        for sockets in links.into_values() {
            end_sockets(&sockets, end);
        }
        self.changed.notify_all();
    }

    fn end_link(&self, link: u64, end: End) {
        let sockets = self.state().links.remove(&link);
        if let Some(sockets) = sockets {
            end_sockets(&sockets, end);
        }
        self.changed.notify_all();
    }
}

/// Wakes whoever reads or writes them. Errors mean that the other side was faster.
fn end_sockets(sockets: &[TcpStream], end: End) {
    for socket in sockets {
        match end {
            End::Closed => drop(socket.shutdown(Shutdown::Both)),
            End::Reset => {
                // The reset is sent when the last thread has let go of the socket; shutting down more than our own
                // reading would send a polite end first.
                let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
                let _ = socket.shutdown(Shutdown::Read);
            }
        }
    }
}

/// The thread that takes connections in. Dropped, it has ended and so have the threads of all its connections.
struct Acceptor {
    listener: TcpListener,
    wires: Arc<Wires>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    fn start(address: SocketAddr, wires: &Arc<Wires>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let (taken, shared) = (listener.try_clone()?, Arc::clone(wires));
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || accept_all(&taken, &shared))?;
        Ok(Self {
            listener,
            wires: Arc::clone(wires),
            thread: Some(thread),
        })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // On Linux this wakes the thread out of accept, and refuses who comes from now on.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        self.wires.end_links(End::Closed);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(
                result.is_ok() || thread::panicking(),
                "a proxy has panicked"
            );
        }
    }
}

fn accept_all(listener: &TcpListener, wires: &Arc<Wires>) {
    let mut links: Vec<JoinHandle<()>> = Vec::new();
    while let Ok((client, _)) = listener.accept() {
        links.retain(|link| !link.is_finished());
        let Ok(Some(number)) = wires.register(&client) else {
            continue;
        };
        let link = Link::new(number, Arc::clone(wires));
        links.push(thread::spawn(move || link.run(&client)));
    }
    // One that was being taken in when all others were ended.
    wires.end_links(End::Closed);
    for link in links {
        let _ = link.join();
    }
}
