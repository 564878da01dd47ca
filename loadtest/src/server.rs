//! A server under load, and what it says of itself.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use rustls::Stream;
use serde::Deserialize;

use crate::{
    exchange::{Asked, Dialogue, Protocol},
    login::Login,
    target::Target,
    tls::Tls,
};

/// A target, and how this run comes to it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) target: Target,
    /// What is used if it is encrypted.
    pub(crate) tls: Tls,
    /// What every request of HTTP has, with the ends of its lines.
    pub(crate) headers: String,
}

/// How long it may take for each step.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer is not read any further.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The answer to `GET /`, as far as it matters. Other servers than popbox may say nothing of the kind.
#[derive(Deserialize)]
struct Introduction {
    name: Option<String>,
    version: Option<String>,
}

impl Server {
    /// As this login comes to it, if any.
    pub(crate) fn new(target: Target, tls: Tls, login: Option<&Login>) -> Self {
        let authorization = login.map(Login::header).unwrap_or_default();
        Self {
            headers: format!("Host: {}\r\n{authorization}", target.host),
            target,
            tls,
        }
    }

    /// Its name and version; what it is for sure, where it does not tell.
    pub(crate) fn introduction(&self) -> String {
        match self.target.protocol {
            Protocol::Redis => "a Redis".to_owned(),
            Protocol::Nchan => "an nchan".to_owned(),
            Protocol::Beanstalk => "a beanstalkd".to_owned(),
            Protocol::Webdis => "a webdis".to_owned(),
            Protocol::Popbox => self
                .ask()
                .ok()
                .and_then(|answer| read(&answer))
                .unwrap_or_else(|| "does not tell its version".to_owned()),
        }
    }

    fn ask(&self) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.target.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match &self.target.encrypted {
            None => talk(&mut stream, &self.headers),
            Some(name) => {
                let mut session = self.tls.session(name).map_err(io::Error::other)?;
                talk(&mut Stream::new(&mut session, &mut stream), &self.headers)
            }
        }
    }
}

fn talk(stream: &mut (impl Read + Write), headers: &str) -> io::Result<Vec<u8>> {
    let request =
        format!("GET / HTTP/1.1\r\n{headers}Accept: application/json\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut room) = (Vec::new(), [0; 4_096]);
    // Not every server closes the connection as it is asked to.
    while !is_whole(&answer) && answer.len() < ANSWER_BYTES_MAX {
        let received = stream.read(&mut room)?;
        if received == 0 {
            break;
        }
        answer.extend_from_slice(room.get(..received).unwrap_or_default());
    }
    Ok(answer)
}

fn is_whole(answer: &[u8]) -> bool {
    let mut body = Vec::new();
    let decoded = Dialogue::Popbox.decode(Asked::Greet, answer, &mut body);
    !matches!(decoded, Ok(None))
}

fn read(answer: &[u8]) -> Option<String> {
    let body_at = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let introduction: Introduction = serde_json::from_slice(answer.get(body_at..)?).ok()?;
    Some(format!("{} {}", introduction.name?, introduction.version?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_version_are_read_and_nothing_is_made_up() {
        let answer = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"ok\":true,\"name\":\"popbox\",\"version\":\"0.1.0\"}";
        assert_eq!(read(answer).as_deref(), Some("popbox 0.1.0"));
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n{\"ok\":true}",
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
        ] {
            assert_eq!(read(answer), None);
        }
    }
}
