//! One connection over the proxy: a thread for each direction, which holds a single piece at a time.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Direction, End, Wires};

/// What a thread holds at most. What is more stays in the kernel's buffers, and then with the sender.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// How often a write that is not taken looks whether its link has been ended: a reset wakes readers only.
const WRITE_PATIENCE: Duration = Duration::from_millis(50);

/// How long connecting to the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was taken in.
pub(super) struct Link {
    number: u64,
    wires: Arc<Wires>,
}

/// Why nothing more comes in a direction.
enum Stop {
    /// The sender has said so; the other direction may go on.
    Finished,
    /// The whole link is over.
    Ended(End),
}

impl Link {
    pub(super) fn new(number: u64, wires: Arc<Wires>) -> Self {
        Self { number, wires }
    }

    /// Passes on what comes, until both sides have finished or the link is ended.
    pub(super) fn run(&self, client: &TcpStream) {
        let end = match self.connect(client) {
            Ok(Some(server)) => self.pass_both_ways(client, &server),
            Ok(None) => End::Closed,
            // So a client learns of a server that refuses: it has been taken in already.
            Err(_) => End::Reset,
        };
        self.wires.end_link(self.number, end);
    }

    /// The connection to the server; none if the link was ended before.
    fn connect(&self, client: &TcpStream) -> io::Result<Option<TcpStream>> {
        if !self
            .wires
            .wait_while(self.number, |state| state.is_swallowing)
        {
            return Ok(None);
        }
        let server = TcpStream::connect_timeout(&self.wires.server, CONNECT_TIMEOUT)?;
        for socket in [client, &server] {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(WRITE_PATIENCE))?;
        }
        let goes_on = self.wires.add_socket(self.number, &server)?;
        Ok(goes_on.then_some(server))
    }

    fn pass_both_ways(&self, client: &TcpStream, server: &TcpStream) -> End {
        thread::scope(|scope| {
            scope.spawn(|| self.pass(Direction::ToClient, server, client));
            self.pass(Direction::ToServer, client, server);
        });
        End::Closed
    }

    fn pass(&self, direction: Direction, from: &TcpStream, to: &TcpStream) {
        match self.pass_pieces(direction, from, to) {
            Stop::Finished => drop(to.shutdown(Shutdown::Write)),
            Stop::Ended(end) => self.wires.end_link(self.number, end),
        }
    }

    fn pass_pieces(&self, direction: Direction, mut from: &TcpStream, to: &TcpStream) -> Stop {
        let mut buffer = [0; PIECE_BYTES_MAX];
        loop {
            let piece = match from.read(&mut buffer) {
                Ok(0) => return self.wait_to_finish(direction),
                Ok(count) => &buffer[..count],
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Stop::Ended(End::Reset),
            };
            let delay = self.wires.state().delay;
            if !delay.is_zero() && !self.wires.pause(self.number, delay) {
                return Stop::Ended(End::Closed);
            }
            if let Err(stop) = self.deliver(direction, piece, to) {
                return stop;
            }
        }
    }

    /// The end of a stream is held by a stalled wire like everything else.
    fn wait_to_finish(&self, direction: Direction) -> Stop {
        if self
            .wires
            .wait_while(self.number, |state| state.is_stalled(direction))
        {
            Stop::Finished
        } else {
            Stop::Ended(End::Closed)
        }
    }

    fn deliver(&self, direction: Direction, piece: &[u8], mut to: &TcpStream) -> Result<(), Stop> {
        let (piece, is_last) = self.share(direction, piece);
        let mut rest = piece;
        while !rest.is_empty() {
            let goes_on = self
                .wires
                .wait_while(self.number, |state| state.is_stalled(direction));
            if !goes_on {
                return Err(Stop::Ended(End::Closed));
            }
            match to.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(Stop::Ended(End::Reset)),
                },
            }
        }
        if is_last {
            return Err(Stop::Ended(End::Reset));
        }
        Ok(())
    }

    /// What of a piece goes through, and whether it is the last before a reset.
    fn share<'a>(&self, direction: Direction, piece: &'a [u8]) -> (&'a [u8], bool) {
        let mut state = self.wires.state();
        if direction == Direction::ToServer {
            return (piece, false);
        }
        match &mut state.reset_after {
            Some(left) if *left <= piece.len() => {
                let share = &piece[..*left];
                state.reset_after = None;
                (share, true)
            }
            Some(left) => {
                *left -= piece.len();
                (piece, false)
            }
            None => (piece, false),
        }
    }
}
