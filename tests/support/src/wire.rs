//! What a client's bytes go over: a socket, or TLS over one.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ClientConnection, Stream};

use super::certificate::certificate;

/// A connection to a server.
pub(crate) struct Wire {
    socket: TcpStream,
    /// None: the bytes are sent as they are.
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Over the socket itself.
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// Over TLS, to whoever has the certificate of the tests; the handshake is done.
    pub(crate) fn secured(mut socket: TcpStream) -> io::Result<Self> {
        let name = socket.peer_addr()?.ip().into();
        let trust = Arc::clone(&certificate().trust);
        let mut tls = ClientConnection::new(trust, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let tls = Some(Box::new(tls));
        Ok(Self { socket, tls })
    }

    /// Whether it is TLS.
    pub(crate) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// What it goes over.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Says that no more will be sent.
    pub(crate) fn finish_sending(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush()?;
        self.socket.shutdown(Shutdown::Write)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).read(buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).flush(),
            None => self.socket.flush(),
        }
    }
}
