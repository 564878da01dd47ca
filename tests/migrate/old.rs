//! An old server's Redis: a real one, filled by hand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;

/// A Redis server with nothing in it.
pub(crate) struct Old {
    port: u16,
    connection: BufReader<TcpStream>,
    _process: Process,
    _folder: TempDir,
}

impl Old {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings of its own.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        for _ in 0..20 {
            // Somebody else may take the port before Redis does; then it ends, and another one is tried.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let mut command = Command::new("redis-server");
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
            command.args(["--save", "", "--appendonly", "no", "--dir"]);
            command.arg(folder.path()).args(settings);
            let ready = Process::start_until(&mut command, "Ready to accept connections");
            if let Some((process, _)) = ready {
                let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let patience = Some(Duration::from_secs(10));
                stream.set_read_timeout(patience).unwrap();
                return Self {
                    port,
                    connection: BufReader::new(stream),
                    _process: process,
                    _folder: folder,
                };
            }
        }
        panic!("redis-server does not start");
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same with a login and a database.
    pub(crate) fn address_of(&self, login: &str, database: u32) -> String {
        format!("redis://{login}@127.0.0.1:{}/{database}", self.port)
    }

    /// One command a line, words separated by blanks.
    #[track_caller]
    pub(crate) fn fill(&mut self, commands: &str) {
        for line in commands.lines() {
            let words: Vec<_> = line.split_whitespace().map(str::as_bytes).collect();
            if !words.is_empty() {
                self.command(&words);
            }
        }
    }

    /// One command whose words may have any bytes.
    #[track_caller]
    pub(crate) fn command(&mut self, words: &[&[u8]]) {
        self.send(words);
        self.expect_done();
    }

    /// Sends a command whose answer is to be awaited by [`Self::expect_done`].
    pub(crate) fn send(&mut self, words: &[&[u8]]) {
        let mut frame = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            frame.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            frame.extend_from_slice(word);
            frame.extend_from_slice(b"\r\n");
        }
        self.connection.get_mut().write_all(&frame).unwrap();
    }

    /// The text at a key.
    #[track_caller]
    pub(crate) fn text(&mut self, key: &str) -> String {
        self.send(&[b"GET", key.as_bytes()]);
        let (mut length, mut text) = (String::new(), String::new());
        self.connection.read_line(&mut length).unwrap();
        assert!(
            length.starts_with('$') && length.trim() != "$-1",
            "{key}: {length}"
        );
        self.connection.read_line(&mut text).unwrap();
        text.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect_done(&mut self) {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        assert!(line.starts_with(['+', ':']), "{line}");
    }
}
