//! A look at a server before anything is built on it.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
};

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::{decode::decode_bytes_mut, types::BytesFrame};
use tracing::warn;

use super::connection::{Decimal, REPLICA, encode_command};
use crate::config::{self, RedisAddress};

/// The oldest version whose commands and functions do what is asked of them.
const VERSION_MIN: (u32, u32) = (7, 0);

/// The longest answer to be read here.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why a server will not do, however long one waits.
#[derive(Debug, thiserror::Error)]
#[error("the Redis server {address} cannot be used: {reason}")]
pub struct StartError {
    address: RedisAddress,
    reason: String,
}

/// What came of a look.
enum Verdict {
    Good,
    /// It will do, with this against it.
    Doubtful(String),
    Bad(String),
}

/// Looks at a server. One that is out of reach is no error: the workers try until it is there.
pub(super) fn check(address: &RedisAddress, redis: &config::Redis) -> Result<(), StartError> {
    let bad = |reason| StartError {
        address: address.clone(),
        reason,
    };
    match look(address, redis) {
        Ok(Verdict::Good) => Ok(()),
        Ok(Verdict::Doubtful(doubt)) => {
            warn!(server = %address, "{doubt}");
            Ok(())
        }
        Ok(Verdict::Bad(reason)) => Err(bad(reason)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(bad(error.to_string()))
        }
        Err(error) => {
            warn!(server = %address, %error, "a Redis server is out of reach; waiting for it");
            Ok(())
        }
    }
}

fn look(address: &RedisAddress, redis: &config::Redis) -> io::Result<Verdict> {
    let mut talk = Talk::begin(address, redis)?;
    if let Some(password) = &address.password {
        let mut parts: Vec<&[u8]> = vec![b"AUTH"];
        parts.extend(address.user.as_ref().map(String::as_bytes));
        parts.push(password.as_bytes());
        talk.ask(&parts)?;
    }
    if address.database != 0 {
        let database = Decimal::of(address.database.into());
        talk.ask(&[b"SELECT", database.as_bytes()])?;
    }
    let info = match talk.ask(&[b"INFO"]) {
        Ok(info) => String::from_utf8_lossy(&info).into_owned(),
        // It may be that we are not to know.
        Err(error) if error.to_string().contains("NOPERM") => return Ok(Verdict::Good),
        Err(error) => return Err(error),
    };
    Ok(judge(&info))
}

/// What to think of a server that says this of itself.
fn judge(info: &str) -> Verdict {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.trim())
    };
    if let Some(version) = field("redis_version") {
        let mut numbers = version.split('.').map(|it| it.parse::<u32>().unwrap_or(0));
        let version_found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version_found < VERSION_MIN {
            let (major, minor) = VERSION_MIN;
            return Verdict::Bad(format!(
                "its version is {version}; {major}.{minor} is the oldest that will do"
            ));
        }
    }
    if field("cluster_enabled") == Some("1") {
        return Verdict::Bad("it runs in cluster mode, which this version does not support".into());
    }
    if field("role").is_some_and(|role| role != "master") {
        return Verdict::Bad(REPLICA.into());
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" {
        return Verdict::Doubtful(format!(
            "its maxmemory-policy is {policy}: it will drop messages when its memory is full; set it to noeviction"
        ));
    }
    Verdict::Good
}

/// Questions and answers, one by one.
struct Talk {
    stream: TcpStream,
    received: BytesMut,
}

impl Talk {
    fn begin(address: &RedisAddress, redis: &config::Redis) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for socket in (address.host.as_str(), address.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&socket, redis.connect_timeout) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(redis.reply_timeout))?;
                    stream.set_write_timeout(Some(redis.reply_timeout))?;
                    let received = BytesMut::new();
                    return Ok(Self { stream, received });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks; an error that the server answers with is one of permission if it is about who we are.
    fn ask(&mut self, parts: &[&[u8]]) -> io::Result<Bytes> {
        let mut command = Vec::new();
        encode_command(parts, &mut command);
        self.stream.write_all(&command)?;
        loop {
            match decode_bytes_mut(&mut self.received) {
                Ok(Some((BytesFrame::BulkString(text) | BytesFrame::SimpleString(text), ..))) => {
                    return Ok(text);
                }
                Ok(Some((BytesFrame::Error(words), ..))) => {
                    let is_about_us = ["NOAUTH", "WRONGPASS", "ERR"]
                        .iter()
                        .any(|kind| words.starts_with(kind))
                        // There may be room in a moment.
                        && !words.starts_with("ERR max number of clients");
                    return Err(if is_about_us {
                        io::Error::new(io::ErrorKind::PermissionDenied, words.to_string())
                    } else {
                        io::Error::other(words.to_string())
                    });
                }
                Ok(Some(_)) => return Ok(Bytes::new()),
                Ok(None) if self.received.len() <= ANSWER_BYTES_MAX => {}
                Ok(None) | Err(_) => return Err(io::Error::other("it does not speak RESP")),
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self
                    .received
                    .extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\ncluster_enabled:0\r\n\
        maxmemory_policy:noeviction\r\n";

    fn reason(info: &str) -> Option<String> {
        match judge(info) {
            Verdict::Good => None,
            Verdict::Doubtful(doubt) => Some(format!("doubt: {doubt}")),
            Verdict::Bad(reason) => Some(reason),
        }
    }

    #[test]
    fn servers_that_will_not_do_are_told_why() {
        assert_eq!(reason(GOOD), None);
        assert_eq!(reason("nothing that we know"), None);
        let cases = [
            ("7.0.15", "6.2.14", "7.0 is the oldest"),
            ("7.0.15", "7.0.0", ""),
            ("role:master", "role:slave", "replica"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster mode"),
            (
                "noeviction",
                "allkeys-lru",
                "doubt: its maxmemory-policy is allkeys-lru",
            ),
        ];
        for (from, to, expected) in cases {
            let told = reason(&GOOD.replace(from, to)).unwrap_or_default();
            assert!(told.contains(expected), "{to}: {told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{to}: {told}");
        }
    }
}
