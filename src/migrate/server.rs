//! A Redis server that is read from: a connection, commands out, replies in.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use redis_protocol::resp2::{decode::decode_bytes_mut, encode::extend_encode, types::BytesFrame};

use crate::config::RedisAddress;

/// For each address that the host's name stands for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may be silent while it owes a reply. A server that loads a large file answers at once, with an
/// error; one that blocks for so long is not well.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Bytes of one reply: the largest string that Redis keeps, and the others of its hash.
const REPLY_BYTES_MAX: usize = 768 << 20;

/// Lists in lists of a reply: SCAN's is one, in the other.
const NESTING_MAX: usize = 2;

/// Bytes that are read in one go.
const READ_BYTES: usize = 64 << 10;

/// What a server answered. [`Reply::Error`] is the server's own word about one command; the connection goes on.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    Text(Bytes),
    Integer(i64),
    Nothing,
    List(Vec<Reply>),
    Error(Box<str>),
}

/// A server cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {trouble}")]
pub struct ServerError {
    address: RedisAddress,
    trouble: Trouble,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot find the host: {0}")]
    Find(io::Error),
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no answer for {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("it does not speak the protocol of Redis: {0}")]
    Protocol(String),
    #[error("it answered {0} with {1:?}")]
    Refused(&'static str, Box<str>),
    #[error("it answered {0} with something else than was asked for")]
    Unexpected(&'static str),
}

/// A connection to a server. Commands are sent many at a time; replies come in their order.
#[derive(Debug)]
pub(super) struct Server {
    address: RedisAddress,
    stream: TcpStream,
    input: BytesMut,
}

impl Server {
    /// Connects, logs in, and chooses the database.
    pub(super) fn connect(address: RedisAddress) -> Result<Self, ServerError> {
        let stream = match connect(&address) {
            Ok(stream) => stream,
            Err(trouble) => return Err(ServerError { address, trouble }),
        };
        let mut server = Self {
            address,
            stream,
            input: BytesMut::new(),
        };
        if let Some(password) = server.address.password.clone() {
            let user = server.address.user.clone();
            let words: Vec<_> = [Some("AUTH"), user.as_deref(), Some(&password)]
                .into_iter()
                .flatten()
                .map(str::as_bytes)
                .collect();
            server.do_simple("AUTH", &words)?;
        }
        let database = server.address.database.to_string();
        server.do_simple("SELECT", &[b"SELECT", database.as_bytes()])?;
        Ok(server)
    }

    fn do_simple(&mut self, name: &'static str, words: &[&[u8]]) -> Result<(), ServerError> {
        self.send([words])?;
        match self.receive()? {
            Reply::Error(error) => Err(self.refused(name, error)),
            _ => Ok(()),
        }
    }

    /// Sends commands; each is owed a reply. So many at most that they and the server's answers to them fit in buffers
    /// of the system and of Redis, which takes in commands while it waits for us to read.
    pub(super) fn send<'words>(
        &mut self,
        commands: impl IntoIterator<Item = impl AsRef<[&'words [u8]]>>,
    ) -> Result<(), ServerError> {
        let mut output = BytesMut::new();
        for command in commands {
            let words = command.as_ref().iter();
            let words = words.map(|word| BytesFrame::BulkString(Bytes::copy_from_slice(word)));
            let frame = BytesFrame::Array(words.collect());
            extend_encode(&mut output, &frame, false)
                .map_err(|error| self.failed(Trouble::Protocol(error.to_string())))?;
        }
        self.stream
            .write_all(&output)
            .map_err(|error| self.failed(broken(error)))
    }

    /// The next reply.
    pub(super) fn receive(&mut self) -> Result<Reply, ServerError> {
        let mut allowance = REPLY_BYTES_MAX;
        self.read_reply(NESTING_MAX, &mut allowance)
            .map_err(|trouble| self.failed(trouble))
    }

    /// Reads a list element by element: none of it is looked at twice, and its depth is bounded.
    fn read_reply(&mut self, nesting: usize, allowance: &mut usize) -> Result<Reply, Trouble> {
        let protocol = |reason: &str| Trouble::Protocol(reason.to_owned());
        loop {
            let before = self.input.len();
            if self.input.first() == Some(&b'*') {
                if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                    let line = self.input.split_to(end);
                    self.input.advance(2);
                    let length = line
                        .get(1..)
                        .and_then(|digits| std::str::from_utf8(digits).ok());
                    return match length.and_then(|digits| digits.parse::<i64>().ok()) {
                        Some(-1) => Ok(Reply::Nothing),
                        Some(length @ 0..) if nesting > 0 => {
                            // Not allocated ahead: the length is only a claim.
                            let mut list = Vec::new();
                            for _ in 0..length {
                                list.push(self.read_reply(nesting - 1, allowance)?);
                            }
                            Ok(Reply::List(list))
                        }
                        _ => Err(protocol("a list that is none")),
                    };
                }
            } else if !self.input.is_empty() {
                let decoded = decode_bytes_mut(&mut self.input)
                    .map_err(|error| Trouble::Protocol(error.to_string()))?;
                if let Some((frame, length, _)) = decoded {
                    *allowance = allowance
                        .checked_sub(length)
                        .ok_or_else(|| protocol("a reply without end"))?;
                    return match frame {
                        BytesFrame::SimpleString(text) | BytesFrame::BulkString(text) => {
                            Ok(Reply::Text(text))
                        }
                        BytesFrame::Integer(number) => Ok(Reply::Integer(number)),
                        BytesFrame::Null => Ok(Reply::Nothing),
                        BytesFrame::Error(error) => Ok(Reply::Error((*error).into())),
                        BytesFrame::Array(_) => Err(protocol("a list within a word")),
                    };
                }
            }
            if before > *allowance {
                return Err(protocol("a reply without end"));
            }
            self.fill()?;
        }
    }

    /// Reads what has come, or waits for some.
    fn fill(&mut self) -> Result<(), Trouble> {
        let length = self.input.len();
        // As much again as there is: a long reply is looked at a few times only.
        self.input.resize(length + length.max(READ_BYTES), 0);
        let room = self.input.get_mut(length..).unwrap_or_default();
        let read = loop {
            match self.stream.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.input
            .truncate(length + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(Trouble::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(broken(error)),
        }
    }

    /// The server does not want to do what it was asked.
    pub(super) fn refused(&self, command: &'static str, error: Box<str>) -> ServerError {
        self.failed(Trouble::Refused(command, error))
    }

    /// The server answered, but not what was asked.
    pub(super) fn unexpected(&self, command: &'static str, reply: Reply) -> ServerError {
        match reply {
            Reply::Error(error) => self.refused(command, error),
            _ => self.failed(Trouble::Unexpected(command)),
        }
    }

    fn failed(&self, trouble: Trouble) -> ServerError {
        ServerError {
            address: self.address.clone(),
            trouble,
        }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &RedisAddress {
        &self.address
    }
}

impl Reply {
    /// Whether the key holds something of another type than the command is for.
    pub(super) fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Error(error) if error.starts_with("WRONGTYPE"))
    }

    /// The reply, if it is a list of texts.
    pub(super) fn into_texts(self) -> Result<Vec<Bytes>, Self> {
        match self {
            Self::List(list) if list.iter().all(|it| matches!(it, Self::Text(_))) => Ok(list
                .into_iter()
                .filter_map(|it| match it {
                    Self::Text(text) => Some(text),
                    _ => None,
                })
                .collect()),
            other => Err(other),
        }
    }
}

fn connect(address: &RedisAddress) -> Result<TcpStream, Trouble> {
    let places = (&*address.host, address.port)
        .to_socket_addrs()
        .map_err(Trouble::Find)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for place in places {
        match TcpStream::connect_timeout(&place, CONNECT_TIMEOUT).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE_MAX))?;
            stream.set_write_timeout(Some(SILENCE_MAX))?;
            Ok(stream)
        }) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Trouble::Connect(last))
}

fn broken(error: io::Error) -> Trouble {
    match error.kind() {
        // What the system makes of a timeout.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Trouble::Silent,
        _ => Trouble::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    /// What a server that first takes SELECT and then says `bytes`, piece by piece, is understood to say.
    fn heard(pieces: Vec<Vec<u8>>) -> Result<Reply, ServerError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let speaker = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 23]).unwrap();
            stream.write_all(b"+OK\r\n").unwrap();
            for piece in pieces {
                // Whoever has understood enough to complain has gone.
                let _ = stream.write_all(&piece);
            }
        });
        let address = format!("redis://127.0.0.1:{port}").parse().unwrap();
        let reply = Server::connect(address).and_then(|mut server| server.receive());
        speaker.join().unwrap();
        reply
    }

    #[test]
    fn replies_are_understood_however_they_are_cut() {
        let text = |text: &'static str| Reply::Text(Bytes::from_static(text.as_bytes()));
        let scan = b"*2\r\n$1\r\n7\r\n*3\r\n$2\r\na\n\r\n$0\r\n\r\n$-1\r\n";
        let expected = || {
            let keys = Reply::List(vec![text("a\n"), text(""), Reply::Nothing]);
            Reply::List(vec![text("7"), keys])
        };
        for cut in 0..scan.len() {
            let pieces = vec![scan[..cut].to_vec(), scan[cut..].to_vec()];
            assert_eq!(heard(pieces).unwrap(), expected(), "cut at {cut}");
        }
        let bytes = scan.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(heard(bytes).unwrap(), expected());
        for (bytes, expected) in [
            (&b":-5\r\n"[..], Reply::Integer(-5)),
            (b"+OK\r\n", text("OK")),
            (b"*-1\r\n", Reply::Nothing),
            (b"*0\r\n", Reply::List(Vec::new())),
            (b"-WRONGTYPE x\r\n", Reply::Error("WRONGTYPE x".into())),
        ] {
            assert_eq!(heard(vec![bytes.to_vec()]).unwrap(), expected);
        }
        let long = "x".repeat(1 << 20);
        let frame = format!("${}\r\n{long}\r\n", long.len()).into_bytes();
        assert_eq!(heard(vec![frame]).unwrap(), Reply::Text(long.into()));
    }

    #[test]
    fn what_is_no_redis_is_said_to_be_none() {
        for (bytes, reason) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "the protocol"),
            (b"*1\r\n*1\r\n*1\r\n*1\r\n", "a list that is none"),
            (b"*x\r\n", "a list that is none"),
            (b"*-2\r\n", "a list that is none"),
            (b"$-2\r\n", "the protocol"),
            (b"$5\r\nab", "closed the connection"),
            (b"*9999999999\r\n:1\r\n", "closed the connection"),
            (b"", "closed the connection"),
        ] {
            let error = heard(vec![bytes.to_vec()]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let address = format!("redis://u:secret@127.0.0.1:{port}/3").parse();
        let error = Server::connect(address.unwrap()).unwrap_err().to_string();
        let start = format!("redis://127.0.0.1:{port}/3: cannot connect: ");
        assert!(error.starts_with(&start), "{error}");
    }
}
