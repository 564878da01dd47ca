//! A small inbox server with a vice: the part of popbox's protocol that the load generator uses.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// What a server does wrong, with every so many pushes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vice {
    None,
    LosesEvery(u64),
    RepeatsEvery(u64),
    RefusesEvery(u64),
}

/// A running server. Its threads end with the test.
pub(crate) struct Inbox {
    address: SocketAddr,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, VecDeque<Value>>,
    pushes: u64,
}

struct Shared {
    vice: Vice,
    state: Mutex<State>,
    pushed: Condvar,
}

impl Inbox {
    pub(crate) fn start(vice: Vice) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            vice,
            state: Mutex::default(),
            pushed: Condvar::new(),
        });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that goes away is none of its business.
                thread::spawn(move || stream.and_then(|stream| shared.serve(&stream)));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
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
                    line => lines.push(line.to_ascii_lowercase()),
                }
            }
            let length = lines
                .iter()
                .find_map(|it| it.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut body)?;
            let path = lines[0].split(' ').nth(1).unwrap();
            let (status, answer) = match path.strip_prefix("/queue/") {
                Some(rest) => (200, self.take(rest)),
                None if path == "/trans" => self.push(&serde_json::from_slice(&body).unwrap()),
                None => (200, json!({"ok": true})),
            };
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            // In two parts, of which the first alone means nothing.
            (&*stream).write_all(head.as_bytes())?;
            (&*stream).write_all(answer.as_bytes())?;
        }
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
        let queue = push["queue"][0]["id"].as_str().unwrap().to_owned();
        for _ in 0..copies {
            let queue = state.queues.entry(queue.clone()).or_default();
            queue.push_back(push["payload"].clone());
        }
        self.pushed.notify_all();
        (200, json!({"ok": true, "data": "id"}))
    }

    /// A pop or a peek: `<queue>/pop?timeout=1&max=1`.
    fn take(&self, request: &str) -> Value {
        let (queue, rest) = request.split_once('/').unwrap();
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
                return json!({"ok": true, "data": taken, "transactions": []});
            }
            state = self.pushed.wait_timeout(state, end - now).unwrap().0;
        }
    }
}
