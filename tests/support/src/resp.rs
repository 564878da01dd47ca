//! A connection to a Redis server, with as much of its protocol (RESP2) as tests need.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::READ_TIMEOUT;

/// What a Redis server answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisReply {
    /// Such as `OK`.
    Status(String),
    /// A refusal.
    Error(String),
    /// A number.
    Integer(i64),
    /// A string.
    Bytes(Vec<u8>),
    /// Nothing.
    Nil,
    /// Several of them.
    List(Vec<RedisReply>),
}

impl RedisReply {
    /// A status or a string, as text.
    #[track_caller]
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) => text.clone(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The elements of a list.
    #[track_caller]
    pub fn list(self) -> Vec<Self> {
        match self {
            Self::List(elements) => elements,
            other => panic!("not a list: {other:?}"),
        }
    }
}

/// A connection that waits for each answer.
pub struct RedisConnection(BufReader<TcpStream>);

impl RedisConnection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, READ_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command and reads the answer to it, which may be an error.
    pub fn call(&mut self, words: &[&str]) -> io::Result<RedisReply> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.0.get_mut().write_all(&command)?;
        self.read()
    }

    fn read(&mut self) -> io::Result<RedisReply> {
        let line = self.read_line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
        Ok(match kind {
            "+" => RedisReply::Status(rest.to_owned()),
            "-" => RedisReply::Error(rest.to_owned()),
            ":" => RedisReply::Integer(rest.parse().map_err(|_| malformed())?),
            "$" => match length(rest)? {
                None => RedisReply::Nil,
                Some(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    RedisReply::Bytes(bytes)
                }
            },
            "*" => match length(rest)? {
                None => RedisReply::Nil,
                Some(length) => RedisReply::List(
                    (0..length)
                        .map(|_| self.read())
                        .collect::<io::Result<_>>()?,
                ),
            },
            _ => return Err(malformed()),
        })
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.strip_suffix("\r\n").ok_or_else(malformed)?;
        Ok(line.to_owned())
    }
}

/// A length, `None` for what is not there.
fn length(text: &str) -> io::Result<Option<usize>> {
    if text == "-1" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| malformed())
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "this is not RESP2")
}
