//! A Redis server of a test's own.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    ops::Range,
    os::unix::process::CommandExt,
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::BytesMut;
use redis_protocol::resp3::{decode::complete::decode_bytes_mut, types::BytesFrame};

use crate::{
    config::RedisAddress,
    store::redis::connection::{encode_command, into_bytes, into_list},
};

/// Ports that are tried, all of them below those that systems give to outgoing connections.
const PORTS: Range<u32> = 12_000..32_000;
const ATTEMPTS: u32 = 100;

/// Servers of this process so far.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// It ends when this is dropped, and with the thread that started it.
pub(super) struct Server {
    process: Child,
    port: u16,
    /// For what tests themselves ask of it.
    connection: RefCell<TcpStream>,
    /// Nobody reads it; if it were closed, the server would notice.
    _log: BufReader<ChildStdout>,
}

impl Server {
    pub(super) fn start() -> Self {
        for _ in 0..ATTEMPTS {
            // Far from those of other processes and near to those of this one.
            let number = process::id().wrapping_mul(97) + STARTED.fetch_add(1, Ordering::Relaxed);
            let port = PORTS.start + number % (PORTS.end - PORTS.start);
            if let Some(server) = Self::start_on(u16::try_from(port).unwrap()) {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    fn start_on(port: u16) -> Option<Self> {
        let mut command = Command::new("redis-server");
        let port_text = port.to_string();
        command
            .args(["--port", &port_text, "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "no", "--dir", "/", "--logfile", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        die_with_us(&mut command);
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!(
                    "redis-server is missing; install it (on Debian: apt-get install redis-server)"
                )
            }
            Err(error) => panic!("redis-server: {error}"),
        };
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Ready to accept connections") {
            line.clear();
            if log.read_line(&mut line).unwrap() == 0 {
                process.wait().unwrap();
                return None;
            }
        }
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let server = Self {
            process,
            port,
            connection: RefCell::new(connection),
            _log: log,
        };
        server.ask(&["HELLO", "3"]);
        Some(server)
    }

    pub(super) fn address(&self) -> RedisAddress {
        RedisAddress {
            port: self.port,
            ..RedisAddress::default()
        }
    }

    /// Asks it directly.
    pub(super) fn ask(&self, parts: &[&str]) -> BytesFrame {
        let mut command = Vec::new();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        encode_command(&parts, &mut command);
        let mut connection = self.connection.borrow_mut();
        connection.write_all(&command).unwrap();
        let mut input = BytesMut::new();
        loop {
            let mut bytes = [0; 4096];
            let count = connection.read(&mut bytes).unwrap();
            assert!(count > 0, "redis-server has ended");
            input.extend_from_slice(&bytes[..count]);
            if let Some((frame, ..)) = decode_bytes_mut(&mut input).unwrap() {
                let is_error = matches!(
                    frame,
                    BytesFrame::SimpleError { .. } | BytesFrame::BlobError { .. }
                );
                assert!(!is_error, "{frame:?}");
                return frame;
            }
        }
    }

    /// Asks it for a list of texts.
    pub(super) fn texts(&self, parts: &[&str]) -> Vec<String> {
        let texts = into_list(self.ask(parts)).unwrap().into_iter();
        let text = |it| String::from_utf8(into_bytes(it).unwrap().unwrap().into()).unwrap();
        texts.map(text).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[allow(
    unsafe_code,
    reason = "prctl in the child is the only way; it is async-signal-safe"
)]
fn die_with_us(command: &mut Command) {
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}
