//! A small HTTP/1.1 client over a blocking socket. Every read has a deadline, so that no test hangs.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::eventually;
use super::wire::Wire;

/// For one answer, from its first byte awaited to its last read.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to be sent once or often.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    version: &'static str,
}

/// A GET.
pub fn get(target: impl Into<String>) -> Request {
    Request::new("GET", target)
}

/// A HEAD.
pub fn head(target: impl Into<String>) -> Request {
    Request::new("HEAD", target)
}

/// A DELETE.
pub fn delete(target: impl Into<String>) -> Request {
    Request::new("DELETE", target)
}

/// A POST of JSON.
pub fn post(target: impl Into<String>, body: &Value) -> Request {
    Request::new("POST", target).json(body)
}

/// A PUT of JSON.
pub fn put(target: impl Into<String>, body: &Value) -> Request {
    Request::new("PUT", target).json(body)
}

impl Request {
    /// Without headers or a body.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            version: "HTTP/1.1",
        }
    }

    /// With a body of JSON, and a header that says so.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json")
            .body(body.to_string())
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a login.
    pub fn login(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &basic(user, password))
    }

    /// Of the older version.
    pub fn http_1_0(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// Whether its answer has no body.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether it is `POST /trans`, or that of a tenant.
    pub fn is_push(&self) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let path: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        self.method == "POST"
            && match path.as_slice() {
                [trans] => is(trans, "trans"),
                [org, _, trans] => is(org, "org") && is(trans, "trans"),
                _ => false,
            }
    }

    fn has(&self, header: &str) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(header))
    }

    /// With a length, whatever the method; `Host` unless the test gave one.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        if !self.has("host") {
            head.push_str("Host: ");
            head.push_str(host);
            head.push_str("\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        if !self.body.is_empty() || ["POST", "PUT"].contains(&self.method.as_str()) {
            head.push_str("Content-Length: ");
            head.push_str(&self.body.len().to_string());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What an `Authorization` header says of a user.
fn basic(user: &str, password: &str) -> String {
    let login = Base64::encode_string(format!("{user}:{password}").as_bytes());
    format!("Basic {login}")
}

/// An answer, or the head of one.
pub struct Response {
    /// Such as 200.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// All of it, unless only the head was asked for.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a header's comma-separated list has `word`, in any case.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.header(name).is_some_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    }

    /// Whether the server will end the connection.
    pub fn closes(&self) -> bool {
        self.lists("connection", "close")
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The status, the content type, and every byte of the body.
    #[track_caller]
    pub fn assert_is(&self, status: u16, body: &str) {
        self.assert_json_head(status);
        assert_eq!(self.text(), body);
    }

    /// The status, the content type, and what the body says.
    #[track_caller]
    pub fn assert_says(&self, status: u16, body: &Value) {
        self.assert_json_head(status);
        assert_eq!(&self.json(), body);
    }

    /// The answer to who has shown no right login.
    #[track_caller]
    pub fn assert_unauthorized(&self) {
        self.assert_asks_for_login(401, "Unauthorized");
    }

    /// The answer to who has to say first who it is, or says it in vain.
    #[track_caller]
    pub fn assert_asks_for_login(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{self:?}"
        );
        assert_eq!(
            self.header("www-authenticate"),
            Some("Basic realm=\"PopBox\""),
            "{self:?}"
        );
        assert_eq!(self.text(), text);
    }

    /// A JSON answer of that status; for what the contract leaves open.
    #[track_caller]
    pub fn assert_json_head(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/json; charset=utf-8"),
            "{self:?}"
        );
    }

    /// A refusal with exactly these errors, in this order.
    #[track_caller]
    pub fn assert_errors(&self, status: u16, errors: &[&str]) {
        self.assert_is(status, &serde_json::json!({ "errors": errors }).to_string());
    }

    /// A refusal that says why in a list of texts.
    #[track_caller]
    pub fn assert_some_error(&self, status: u16) {
        self.assert_json_head(status);
        let json = self.json();
        let errors = json["errors"].as_array().expect("a list of errors");
        assert!(!errors.is_empty(), "{self:?}");
        assert!(errors.iter().all(Value::is_string), "{self:?}");
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(600)
            .collect();
        write!(out, "{} {:?} {body:?}", self.status, self.headers)
    }
}

/// Why there is no (whole) answer.
#[derive(Debug)]
pub enum Broken {
    /// Ended or reset by the server; whether any byte of an answer had come.
    Closed {
        /// Whether some of it had come.
        midway: bool,
    },
    /// It did not come in time.
    TimedOut,
    /// It is not HTTP.
    Malformed(#[allow(dead_code, reason = "shown when a test fails")] String),
}

/// One connection; on a layout of two agents, another one for pushes.
pub struct Client {
    wire: Wire,
    /// Received and not yet taken.
    received: Vec<u8>,
    host: String,
    /// The login of requests that have none of their own.
    authorization: Option<String>,
    /// Where pushes go, if that is elsewhere.
    pushing_to: Option<SocketAddr>,
    /// The connection to there, opened by the first of them.
    pusher: Option<Box<Client>>,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        match Self::try_connect(addr) {
            Ok(client) => client,
            Err(error) => panic!("connect to {addr}: {error}"),
        }
    }

    /// Connects, if it can.
    pub fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, READ_TIMEOUT)?;
        Self::over(stream, addr, |stream| Ok(Wire::plain(stream)))
    }

    /// Connects over TLS to a server with the certificate of the tests.
    #[track_caller]
    pub fn connect_secured(addr: SocketAddr) -> Self {
        match Self::try_connect_secured(addr) {
            Ok(client) => client,
            Err(error) => panic!("connect to {addr} over TLS: {error}"),
        }
    }

    /// The same, if it can.
    pub fn try_connect_secured(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, READ_TIMEOUT)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Self::over(stream, addr, Wire::secured)
    }

    /// The same from another address of this machine.
    #[track_caller]
    pub fn connect_secured_from(source: IpAddr, addr: SocketAddr) -> Self {
        Self::over(stream_from(source, addr), addr, Wire::secured).unwrap()
    }

    /// Connects from another address of this machine.
    #[track_caller]
    pub fn connect_from(source: IpAddr, addr: SocketAddr) -> Self {
        let plain = |stream| Ok(Wire::plain(stream));
        Self::over(stream_from(source, addr), addr, plain).unwrap()
    }

    /// A connection whose receive buffer holds little: the server soon cannot write to it.
    #[track_caller]
    pub fn connect_narrow(addr: SocketAddr) -> Self {
        Self::try_connect_narrow(addr).unwrap()
    }

    /// The same, if it can.
    pub fn try_connect_narrow(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect_timeout(&addr.into(), READ_TIMEOUT)?;
        Self::over(socket.into(), addr, |stream| Ok(Wire::plain(stream)))
    }

    fn over(
        stream: TcpStream,
        addr: SocketAddr,
        wire: impl FnOnce(TcpStream) -> io::Result<Wire>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self {
            wire: wire(stream)?,
            received: Vec::new(),
            host: addr.to_string(),
            authorization: None,
            pushing_to: None,
            pusher: None,
        })
    }

    /// With an agent of its own for pushes that are called one by one; whatever else is sent stays on this connection.
    pub fn pushing_to(mut self, addr: SocketAddr) -> Self {
        self.pushing_to = Some(addr);
        self
    }

    /// With this login in every request that has none of its own, those for pushes too.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(basic(user, password));
        self
    }

    /// Who a request goes to: this client, or the one for pushes.
    pub fn for_request(&mut self, request: &Request) -> io::Result<&mut Self> {
        if request.is_push() {
            self.for_pushes()
        } else {
            Ok(self)
        }
    }

    /// Who pushes go to.
    pub fn for_pushes(&mut self) -> io::Result<&mut Self> {
        let Some(addr) = self.pushing_to else {
            return Ok(self);
        };
        let pusher = match self.pusher.take() {
            Some(pusher) => pusher,
            None if self.wire.is_secured() => Box::new(Self::try_connect_secured(addr)?),
            None => Box::new(Self::try_connect(addr)?),
        };
        let pusher = self.pusher.insert(pusher);
        pusher.authorization.clone_from(&self.authorization);
        Ok(pusher)
    }

    /// What this client sends as `Host`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Response {
        let client = match self.for_request(request) {
            Ok(client) => client,
            Err(error) => panic!("connect to the agent for pushes: {error}"),
        };
        client.send(request);
        if request.is_head() {
            client.receive_head()
        } else {
            client.receive()
        }
    }

    /// Sends a request.
    #[track_caller]
    pub fn send(&mut self, request: &Request) {
        let bytes = self.bytes_of(request);
        self.send_raw(&bytes);
    }

    /// A request as this client sends it.
    pub fn bytes_of(&self, request: &Request) -> Vec<u8> {
        match &self.authorization {
            Some(login) if !request.has("authorization") => {
                let request = request.clone().header("Authorization", login);
                request.bytes(&self.host)
            }
            _ => request.bytes(&self.host),
        }
    }

    /// Sends bytes.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        if let Err(error) = self.try_send_raw(bytes) {
            panic!("send: {error}");
        }
    }

    /// For what the server may cut off while it is still being sent.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }

    /// Waits for the next answer.
    #[track_caller]
    pub fn receive(&mut self) -> Response {
        match self.try_receive(READ_TIMEOUT) {
            Ok(response) => response,
            Err(broken) => panic!("no answer: {broken:?}"),
        }
    }

    /// The next final answer with its body; interim ones (100) are answers too.
    pub fn try_receive(&mut self, limit: Duration) -> Result<Response, Broken> {
        let deadline = Instant::now() + limit;
        let mut response = self.take_head(deadline)?;
        self.take_body(&mut response, deadline)?;
        Ok(response)
    }

    /// The next answer, taken so many bytes at a time with a pause behind each.
    pub fn receive_slowly(&mut self, bytes: usize, pause: Duration) -> Result<Response, Broken> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut response = self.take_head(deadline)?;
        let length: usize = response
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| Broken::Malformed("no length".to_owned()))?;
        while response.body.len() < length {
            let part = bytes.min(length - response.body.len());
            response.body.extend(self.take(part, deadline)?);
            thread::sleep(pause);
        }
        Ok(response)
    }

    /// The head only: of an answer to HEAD, or of a stream.
    #[track_caller]
    pub fn receive_head(&mut self) -> Response {
        match self.try_receive_head(READ_TIMEOUT) {
            Ok(response) => response,
            Err(broken) => panic!("no head: {broken:?}"),
        }
    }

    /// The rest of an answer whose head was received.
    #[track_caller]
    pub fn receive_body(&mut self, response: &mut Response) {
        if let Err(broken) = self.take_body(response, Instant::now() + READ_TIMEOUT) {
            panic!("no body: {broken:?}");
        }
    }

    fn take_body(&mut self, response: &mut Response, deadline: Instant) -> Result<(), Broken> {
        if response.lists("transfer-encoding", "chunked") {
            while let Some(chunk) = self.take_chunk(deadline)? {
                response.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = response.header("content-length") {
            let length = length
                .parse()
                .map_err(|_| Broken::Malformed(format!("Content-Length: {length}")))?;
            response.body = self.take(length, deadline)?;
        } else if response.status >= 200 && response.status != 204 && response.status != 304 {
            loop {
                match self.fill(deadline) {
                    Ok(()) => {}
                    Err(Broken::Closed { .. }) => break,
                    Err(other) => return Err(other),
                }
            }
            response.body = std::mem::take(&mut self.received);
        }
        Ok(())
    }

    /// The same of a server that may not answer.
    pub fn try_receive_head(&mut self, limit: Duration) -> Result<Response, Broken> {
        self.take_head(Instant::now() + limit)
    }

    /// The next chunk of a stream; `None` is its proper end.
    #[track_caller]
    pub fn receive_chunk(&mut self) -> Option<Vec<u8>> {
        match self.try_receive_chunk(READ_TIMEOUT) {
            Ok(chunk) => chunk,
            Err(broken) => panic!("no chunk: {broken:?}"),
        }
    }

    /// The next chunk of a stream, if it comes in time.
    pub fn try_receive_chunk(&mut self, limit: Duration) -> Result<Option<Vec<u8>>, Broken> {
        self.take_chunk(Instant::now() + limit)
    }

    /// Whether the server closes within `limit`; what it still sends is dropped.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            self.received.clear();
            match self.fill(deadline) {
                Ok(()) => {}
                Err(Broken::Closed { .. }) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Whether nothing at all comes for `limit`: no byte and no end.
    pub fn is_silent_for(&mut self, limit: Duration) -> bool {
        self.received.is_empty()
            && matches!(self.fill(Instant::now() + limit), Err(Broken::TimedOut))
    }

    /// Says that no more will be sent, and still reads.
    pub fn finish_sending(&mut self) {
        self.wire.finish_sending().unwrap();
    }

    /// Goes away, with a reset or politely, and waits until the server's kernel knows: on a busy machine the news
    /// can be on its way for longer than a push of somebody else takes, and then nobody can know.
    pub fn leave(self, with_reset: bool) {
        let ends = (
            self.wire.socket().peer_addr().unwrap(),
            self.wire.socket().local_addr().unwrap(),
        );
        if with_reset {
            self.reset();
        } else {
            drop(self);
        }
        eventually("the end of a connection has arrived", || {
            !is_established(ends.0, ends.1)
        });
    }

    /// Vanishes with a reset instead of a polite end.
    pub fn reset(self) {
        SockRef::from(self.wire.socket())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    fn take_head(&mut self, deadline: Instant) -> Result<Response, Broken> {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                break end;
            }
            self.fill(deadline)?;
        };
        let head = self.take(end + 4, deadline)?;
        parse_head(&head)
    }

    fn take_chunk(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Broken> {
        let line = self.take_line(deadline)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| Broken::Malformed(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !self.take_line(deadline)?.is_empty() {}
            return Ok(None);
        }
        let chunk = self.take(size, deadline)?;
        let end = self.take_line(deadline)?;
        if end.is_empty() {
            Ok(Some(chunk))
        } else {
            Err(Broken::Malformed(format!("chunk followed by {end:?}")))
        }
    }

    fn take_line(&mut self, deadline: Instant) -> Result<String, Broken> {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&self.received, b"\r\n") {
                break end;
            }
            self.fill(deadline)?;
        };
        let line = self.take(end + 2, deadline)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn take(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>, Broken> {
        while self.received.len() < length {
            self.fill(deadline)?;
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    /// Reads more, or says why there is no more.
    fn fill(&mut self, deadline: Instant) -> Result<(), Broken> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::TimedOut);
            }
            self.wire
                .socket()
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            let midway = !self.received.is_empty();
            match self.wire.read(&mut buffer) {
                Ok(0) => return Err(Broken::Closed { midway }),
                Ok(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Broken::TimedOut),
                    ErrorKind::Interrupted => {}
                    // The last is TLS that ends without saying so.
                    ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof => return Err(Broken::Closed { midway }),
                    _ => panic!("read: {error}"),
                },
            }
        }
    }
}

#[track_caller]
fn stream_from(source: IpAddr, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    socket.connect_timeout(&addr.into(), READ_TIMEOUT).unwrap();
    socket.into()
}

fn parse_head(head: &[u8]) -> Result<Response, Broken> {
    let malformed = || Broken::Malformed(String::from_utf8_lossy(head).into_owned());
    let text = std::str::from_utf8(head).map_err(|_| malformed())?;
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(malformed)?;
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect::<Result<_, _>>()?;
    Ok(Response {
        status,
        headers,
        body: Vec::new(),
    })
}

/// Whether the kernel holds a connection between these two ends for one on which both sides may still send, as the
/// end at `local` has it.
fn is_established(local: SocketAddr, remote: SocketAddr) -> bool {
    const ESTABLISHED: &str = "01";
    let name = |end: SocketAddr| match end {
        SocketAddr::V4(end) => {
            let ip = u32::from_le_bytes(end.ip().octets());
            format!("{ip:08X}:{:04X}", end.port())
        }
        SocketAddr::V6(_) => panic!("tests use IPv4"),
    };
    let (local, remote) = (name(local), name(remote));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local)
            && fields.next() == Some(&remote)
            && fields.next() == Some(ESTABLISHED)
    })
}
