//! Somebody who is called back: keeps each call, and answers as a test says.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;

/// Until the last of the calls that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a call is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status, and no body.
    Status(u16),
    /// To another URL.
    Redirect(String),
    /// 200 with a body that has no end.
    Endless,
    /// The connection is reset.
    Reset,
    /// Not at all.
    Silence,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request line and the headers.
    pub head: String,
    /// What came with it.
    pub body: String,
    /// Whether the answer said that it was taken.
    pub is_taken: bool,
}

/// Listens on a port of its own, and takes whatever comes unless it is told otherwise. Dropped, it ends every
/// connection.
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    acceptor: Option<JoinHandle<()>>,
}

struct Desk {
    state: Mutex<State>,
    called: Condvar,
}

struct State {
    calls: Vec<Call>,
    /// For the next calls.
    script: VecDeque<Reply>,
    /// For those after them.
    usual: Reply,
    connections: Vec<Weak<TcpStream>>,
    is_closed: bool,
}

impl Receiver {
    /// Listens.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            state: Mutex::new(State {
                calls: Vec::new(),
                script: VecDeque::new(),
                usual: Reply::Status(204),
                connections: Vec::new(),
                is_closed: false,
            }),
            called: Condvar::new(),
        });
        let accepting = Arc::clone(&desk);
        Self {
            address,
            desk,
            acceptor: Some(thread::spawn(move || accept(&listener, &accepting))),
        }
    }

    /// Where it is called at `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next calls are answered so, one after another, and those behind them as `usual` says.
    pub fn answer(&self, next: impl IntoIterator<Item = Reply>, usual: Reply) {
        let mut state = self.desk.state();
        state.script = next.into_iter().collect();
        state.usual = usual;
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.desk.state().calls.clone()
    }

    /// All calls once there are `count`; there may be more.
    #[track_caller]
    pub fn await_calls(&self, count: usize) -> Vec<Call> {
        self.await_until(&format!("{count} calls"), |calls| calls.len() >= count)
    }

    /// All calls once they are as a test expects them.
    #[track_caller]
    pub fn await_until(&self, what: &str, holds: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let waited = self
            .desk
            .called
            .wait_timeout_while(self.desk.state(), PATIENCE, |state| !holds(&state.calls));
        let (state, waited) = waited.unwrap();
        let count = state.calls.len();
        assert!(!waited.timed_out(), "{what}: there are {count} calls");
        state.calls.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        state.is_closed = true;
        for connection in mem::take(&mut state.connections) {
            if let Some(connection) = connection.upgrade() {
                let _ = connection.shutdown(Shutdown::Both); // it may have ended
            }
        }
        drop(state);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Call {
    /// What the request is for.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut headers = lines.filter_map(|line| line.split_once(": "));
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// A text of the body.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body[name].as_str().expect(name).to_owned()
    }

    /// Which transaction it is about.
    #[track_caller]
    pub fn transaction(&self) -> String {
        self.text("transaction")
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call; how to answer it.
    fn take(&self, head: String, body: String) -> Reply {
        let mut state = self.state();
        let reply = state.script.pop_front();
        let reply = reply.unwrap_or_else(|| state.usual.clone());
        let is_taken = matches!(reply, Reply::Status(200..=299) | Reply::Endless);
        state.calls.push(Call {
            head,
            body,
            is_taken,
        });
        self.called.notify_all();
        reply
    }
}

fn accept(listener: &TcpListener, desk: &Arc<Desk>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else {
            continue;
        };
        let mut state = desk.state();
        if state.is_closed {
            return;
        }
        let connection = Arc::new(connection);
        state.connections.push(Arc::downgrade(&connection));
        drop(state);
        let desk = Arc::clone(desk);
        thread::spawn(move || serve(&connection, &desk));
    }
}

/// Until either side has ended the connection.
fn serve(mut connection: &TcpStream, desk: &Desk) -> Option<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let (head, body) = read(&mut reader)?;
        let empty = match desk.take(head, body) {
            Reply::Status(status) => format!("HTTP/1.1 {status} -\r\n"),
            Reply::Redirect(url) => format!("HTTP/1.1 307 -\r\nLocation: {url}\r\n"),
            Reply::Endless => {
                let head = "HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n";
                connection.write_all(head.as_bytes()).ok()?;
                loop {
                    connection.write_all(b"4\r\nmore\r\n").ok()?;
                }
            }
            Reply::Reset => {
                return SockRef::from(connection)
                    .set_linger(Some(Duration::ZERO))
                    .ok();
            }
            Reply::Silence => {
                // Until the other side has had enough.
                let _ = reader.read(&mut [0]);
                return None;
            }
        };
        let answer = format!("{empty}Content-Length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).ok()?;
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
