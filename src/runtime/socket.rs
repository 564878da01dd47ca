//! A client's socket: wait until it is ready, then read or write without waiting.
//!
//! A read or write that is handed to the kernel and then dropped can lose bytes that the kernel had taken. Waiting for
//! readiness loses nothing when it is dropped, holds no buffer, and lets one buffer serve all connections of a thread.

use std::{
    future::poll_fn,
    io, mem,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream as StdTcpStream},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes};
use monoio::net::TcpStream;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt::socket_error};
use socket2::{Domain, Protocol, Socket as RawSocket, TcpKeepalive, Type};

use super::Timers;

/// A rest of fewer bytes than these is copied, so that the buffer can be used again.
const COPIED_MAX: usize = 256 << 10;

/// A server that we are connected to is asked whether it is still there after so long without a word.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// A connected socket.
pub struct Socket {
    stream: TcpStream,
}

impl Socket {
    /// Takes over an accepted connection, which must not block.
    pub fn new(accepted: OwnedFd) -> io::Result<Self> {
        let stream = TcpStream::from_std(StdTcpStream::from(accepted))?;
        Ok(Self { stream })
    }

    /// Connects, unless that takes longer than `patience`.
    pub async fn connect(
        address: SocketAddr,
        timers: &Timers,
        patience: Duration,
    ) -> io::Result<Self> {
        let raw = RawSocket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        raw.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER);
        raw.set_tcp_keepalive(&keepalive)?;
        match raw.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let socket = Self::new(raw.into())?;
        socket.connected(timers, patience).await?;
        Ok(socket)
    }

    async fn connected(&self, timers: &Timers, patience: Duration) -> io::Result<()> {
        let mut writable = pin!(self.writable());
        let mut late = pin!(timers.sleep(patience));
        poll_fn(|context| {
            if let Poll::Ready(ready) = writable.as_mut().poll(context) {
                return Poll::Ready(ready);
            }
            let late = late.as_mut().poll(context);
            late.map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await?;
        Ok(socket_error(self.descriptor())??)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and outlives the borrow; the runtime's streams do not implement
        // `AsFd` themselves.
        #[allow(unsafe_code)]
        unsafe {
            BorrowedFd::borrow_raw(self.stream.as_raw_fd())
        }
    }

    /// The address at the other end; the unspecified one where the other end is gone.
    pub fn peer(&self) -> IpAddr {
        let address = rustix::net::getpeername(self.descriptor()).ok().flatten();
        let address = address.and_then(|address| SocketAddr::try_from(address).ok());
        address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
    }

    /// Resolves when there is something to read, the end of the stream included.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.readable(false).await
    }

    /// Resolves when there is room to write.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream.writable(false).await
    }

    /// Reads what is there: `WouldBlock` if nothing, 0 at the end of the stream.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(self.descriptor(), buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }

    /// Whether the client has closed its side or is gone altogether, with nothing left to read before that.
    pub fn is_closed(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        match rustix::net::recv(self.descriptor(), &mut byte[..], flags) {
            Ok((count, _)) => count == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }

    /// Writes what there is room for; how much that was.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(self.descriptor(), bytes, flags).map_err(io::Error::from) {
            Err(error) if is_temporary(&error) => Ok(0),
            sent => sent,
        }
    }

    /// Writes what there is room for; what is left.
    pub fn send_from(&self, buffer: &mut Vec<u8>) -> io::Result<Bytes> {
        let sent = self.send(buffer)?;
        Ok(take_rest(buffer, sent))
    }

    /// Says that nothing more will be written. A client that is gone already does not mind.
    pub fn finish_writing(&self) {
        let _ = rustix::net::shutdown(self.descriptor(), Shutdown::Write);
    }
}

/// What is left of a buffer of which so much is sent. A large rest takes the buffer with it rather than be copied.
pub fn take_rest(buffer: &mut Vec<u8>, sent: usize) -> Bytes {
    let rest = buffer.get(sent..).unwrap_or_default();
    if rest.len() < COPIED_MAX {
        return Bytes::copy_from_slice(rest);
    }
    let mut whole = Bytes::from(mem::take(buffer));
    whole.advance(sent.min(whole.len()));
    whole
}

/// Whether there is nothing wrong: it is only not the time for it.
pub fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
