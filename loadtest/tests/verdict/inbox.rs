//! A small inbox server with a vice: the part of popbox's protocol that the load generator uses.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding as _};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};
use serde_json::{Value, json};

/// What a server does wrong, with every so many pushes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vice {
    None,
    LosesEvery(u64),
    RepeatsEvery(u64),
    RefusesEvery(u64),
    /// Not with every so many pushes, but after so many messages of a stream.
    EndsStreamsAfter(u64),
    /// To no push after so many.
    AnswersNoMoreAfter(u64),
}

/// A running server. Its threads end with the test.
pub(crate) struct Inbox {
    address: SocketAddr,
    /// If it is encrypted.
    certificate: Option<String>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, VecDeque<Value>>,
    /// What was borrowed, by the transaction to be acked.
    lent: HashMap<String, Value>,
    pushes: u64,
    acks: u64,
    streams: u64,
    clients: HashSet<String>,
    looks: u64,
    /// Secured queues, with the logins of their users.
    secured: HashMap<String, String>,
    /// How often one was to be made.
    makes: u64,
}

struct Shared {
    vice: Vice,
    is_secured: bool,
    state: Mutex<State>,
    pushed: Condvar,
}

impl Inbox {
    pub(crate) fn start(vice: Vice) -> Self {
        Self::begin(vice, None)
    }

    /// Over TLS, with queues that have to be made and belong to somebody.
    pub(crate) fn start_secured(vice: Vice) -> Self {
        let names = ["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.key_pair.serialize_der());
        let config =
            ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key.into())
                .unwrap();
        Self::begin(vice, Some((made.cert.pem(), Arc::new(config))))
    }

    fn begin(vice: Vice, tls: Option<(String, Arc<ServerConfig>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            vice,
            is_secured: tls.is_some(),
            state: Mutex::default(),
            pushed: Condvar::new(),
        });
        let (certificate, config) = tls.unzip();
        let inbox = Self {
            address,
            certificate,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, config) = (Arc::clone(&shared), config.clone());
                // A client that goes away is none of its business.
                thread::spawn(move || shared.take_in(stream?, config));
            }
        });
        inbox
    }

    /// How many messages were acked, and how many are still lent.
    pub(crate) fn acked_and_lent(&self) -> (u64, usize) {
        let state = self.shared.state.lock().unwrap();
        (state.acks, state.lent.len())
    }

    /// How many streams were begun, and how often a queue was looked at.
    pub(crate) fn streams_and_looks(&self) -> (u64, u64) {
        let state = self.shared.state.lock().unwrap();
        (state.streams, state.looks)
    }

    /// The addresses that connections came from.
    pub(crate) fn clients(&self) -> HashSet<String> {
        self.shared.state.lock().unwrap().clients.clone()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = self.certificate.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.address)
    }

    /// What it shows, as PEM.
    pub(crate) fn certificate(&self) -> &str {
        self.certificate.as_deref().unwrap()
    }
}

impl Shared {
    fn take_in(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let client = stream.peer_addr()?.ip().to_string();
        self.state.lock().unwrap().clients.insert(client);
        match tls {
            None => self.serve(stream),
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                self.serve(StreamOwned::new(session, stream))
            }
        }
    }

    fn serve(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                match line.trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let header = |name| lines.iter().find_map(|it| it.strip_prefix(name));
            let length = header("Content-Length: ");
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body)?;
            let path = lines[0].split(' ').nth(1).unwrap();
            let (queue, rest) = path
                .strip_prefix("/queue/")
                .map_or(("", ""), |rest| rest.split_once('/').unwrap_or((rest, "")));
            if rest.starts_with("subscribe") {
                return self.stream(queue, reader.into_inner());
            }
            let is_owned = self.is_secured && !queue.is_empty();
            let login = header("Authorization: Basic ");
            let refusal = is_owned.then(|| self.refusal(queue, login)).flatten();
            let (status, answer) = match (!queue.is_empty()).then_some(rest) {
                _ if refusal.is_some() => refusal.unwrap(),
                Some("") => (200, self.describe(queue)),
                Some("ack") => (200, self.ack(&serde_json::from_slice(&body).unwrap())),
                Some(rest) => (200, self.take(queue, rest)),
                None if path == "/trans" && self.is_tired() => continue,
                None if path == "/trans" => self.push(&serde_json::from_slice(&body).unwrap()),
                None if path == "/queue" => self.make(&serde_json::from_slice(&body).unwrap()),
                None => (200, json!({"ok": true, "name": "inbox", "version": "7.0"})),
            };
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            // In two parts, of which the first alone means nothing.
            reader.get_mut().write_all(head.as_bytes())?;
            reader.get_mut().write_all(answer.as_bytes())?;
        }
    }

    /// Why a request to a secured queue is refused, if it is.
    fn refusal(&self, queue: &str, login: Option<&str>) -> Option<(u16, Value)> {
        let state = self.state.lock().unwrap();
        match state.secured.get(queue) {
            None => Some((500, json!("ERROR: Secure Queue does not exist"))),
            Some(owner) if login == Some(owner) => None,
            Some(_) => Some((401, json!("Unauthorized"))),
        }
    }

    /// Makes a secured queue, but is too busy for each third.
    fn make(&self, body: &Value) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        state.makes += 1;
        if state.makes.is_multiple_of(3) {
            return (503, json!({"errors": ["busy"]}));
        }
        let text = |name: &str| body[name].as_str().unwrap();
        let login = format!("{}:{}", text("user"), text("password"));
        let login = Base64::encode_string(login.as_bytes());
        state.secured.insert(text("queue").to_owned(), login);
        (200, json!({"ok": true}))
    }

    fn is_tired(&self) -> bool {
        let pushes = self.state.lock().unwrap().pushes;
        matches!(self.vice, Vice::AnswersNoMoreAfter(pushes_max) if pushes >= pushes_max)
    }

    fn push(&self, push: &Value) -> (u16, Value) {
        let mut state = self.state.lock().unwrap();
        state.pushes += 1;
        let is_time = |every: u64| state.pushes.is_multiple_of(every);
        let copies = match self.vice {
            Vice::LosesEvery(every) if is_time(every) => 0,
            Vice::RepeatsEvery(every) if is_time(every) => 2,
            Vice::RefusesEvery(every) if is_time(every) => {
                return (503, json!({"errors": ["full"]}));
            }
            _ => 1,
        };
        let copies_each = std::iter::once(copies).chain(std::iter::repeat(1));
        for (queue, copies) in push["queue"].as_array().unwrap().iter().zip(copies_each) {
            let queue = queue["id"].as_str().unwrap().to_owned();
            let queue = state.queues.entry(queue).or_default();
            queue.extend(std::iter::repeat_n(push["payload"].clone(), copies));
        }
        self.pushed.notify_all();
        (200, json!({"ok": true, "data": "id"}))
    }

    fn ack(&self, body: &Value) -> Value {
        let mut state = self.state.lock().unwrap();
        let transactions = body["transactions"].as_array().unwrap();
        let receipts = transactions.iter().map(|transaction| {
            let known = state.lent.remove(transaction.as_str().unwrap());
            state.acks += 1;
            json!({"err": known.is_none().then_some("unknown"), "data": transaction})
        });
        receipts.collect()
    }

    fn describe(&self, queue: &str) -> Value {
        let mut state = self.state.lock().unwrap();
        state.looks += 1;
        let size = state.queues.get(queue).map_or(0, VecDeque::len);
        json!({"ok": true, "size": size})
    }

    /// Every message as it comes, one to a chunk, until the client is gone or the server has had enough.
    fn stream(&self, queue: &str, mut stream: impl Write) -> io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let mut state = self.state.lock().unwrap();
        state.streams += 1;
        let sent_max = match self.vice {
            Vice::EndsStreamsAfter(messages) => messages,
            _ => u64::MAX,
        };
        let mut sent = 0;
        while sent < sent_max {
            let message = state
                .queues
                .entry(queue.to_owned())
                .or_default()
                .pop_front();
            let Some(message) = message else {
                state = self.pushed.wait(state).unwrap();
                continue;
            };
            let body = json!({"ok": true, "data": [message], "transactions": ["id"]}).to_string();
            let (first, second) = body.split_at(body.len() / 2);
            // A chunk in two parts.
            write!(stream, "{:x}\r\n{first}", body.len())?;
            write!(stream, "{second}\r\n")?;
            sent += 1;
        }
        stream.write_all(b"0\r\n\r\n")
    }

    /// A pop, a poprel or a peek: `pop?timeout=1&max=1`.
    fn take(&self, queue: &str, rest: &str) -> Value {
        let number = |name: &str| -> usize {
            let after = rest.split(['?', '&']).find_map(|it| it.strip_prefix(name));
            after.map_or(0, |it| it.parse().unwrap())
        };
        let (max, is_pop) = (number("max="), rest.starts_with("pop"));
        let end = Instant::now() + Duration::from_secs(number("timeout=") as u64);
        let mut state = self.state.lock().unwrap();
        loop {
            let messages = state.queues.entry(queue.to_owned()).or_default();
            let now = Instant::now();
            if !messages.is_empty() || now >= end {
                let count = messages.len().min(max);
                let taken: Vec<Value> = if is_pop {
                    messages.drain(..count).collect()
                } else {
                    messages.iter().take(count).cloned().collect()
                };
                let mut transactions = Vec::new();
                if rest.starts_with("poprel") {
                    for message in &taken {
                        let id = format!("{queue}-{}-{}", state.acks, state.lent.len());
                        state.lent.insert(id.clone(), message.clone());
                        transactions.push(id);
                    }
                }
                return json!({"ok": true, "data": taken, "transactions": transactions});
            }
            state = self.pushed.wait_timeout(state, end - now).unwrap().0;
        }
    }
}
