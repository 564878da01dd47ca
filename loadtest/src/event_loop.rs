//! One thread's share of the connections, and the loop that serves them.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

use crate::{
    connection::{Blueprint, Connection, ConnectionError, Readiness, Room, UnderWay},
    exchange::Answer,
};

/// What a command does with its connections.
pub(crate) trait Load {
    /// The connection is open and idle: at the beginning, and whenever it was opened anew or a pause is over.
    fn ready(&mut self, connection: &mut Connection, now: Instant);

    /// The answer to what was `asked`. The connection is idle again, unless this is of a stream, which goes on.
    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    );

    /// The connection is gone, and with it the request that is under way. It is opened anew in a moment.
    fn dropped(&mut self, connection: &mut Connection, why: ConnectionError);

    /// Comes after every round of answers: what else is to be done, and when to come again at the latest (none: with
    /// the next answer). A break ends the run of this thread.
    fn turn(
        &mut self,
        connections: &mut [Connection],
        now: Instant,
    ) -> ControlFlow<(), Option<Instant>>;
}

/// Connections that are being opened at a time: no more than the backlog of any server has room for.
const OPENING_MAX: usize = 64;

/// How long a connection stays away that was dropped, or that the server had no room for.
const PAUSE: Duration = Duration::from_millis(100);

/// How long no connection may come to be open before a run is given up that has not begun.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Connections that are served in one round.
const ROUND_MAX: usize = 256;

/// The connections of one thread.
pub(crate) struct EventLoop {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    room: Room,
    events: Vec<epoll::Event>,
    /// Those that are paused, in the order in which their pauses end.
    paused: VecDeque<(Instant, usize)>,
    to_open: VecDeque<usize>,
    opening: usize,
}

impl EventLoop {
    /// With connections that are still to be opened.
    pub(crate) fn new(blueprints: Vec<Blueprint>) -> Result<Self, Errno> {
        let connections: Vec<Connection> = (0..)
            .zip(blueprints)
            .map(|(index, blueprint)| Connection::new(blueprint, index))
            .collect();
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            to_open: (0..connections.len()).collect(),
            connections,
            room: Room::new(),
            events: Vec::with_capacity(ROUND_MAX),
            paused: VecDeque::new(),
            opening: 0,
        })
    }

    /// Opens all connections; the first one that fails is why it does.
    pub(crate) fn open_all(&mut self) -> Result<(), ConnectionError> {
        let mut opening = Opening {
            missing: self.connections.len(),
            progress_at: Instant::now(),
            failure: None,
        };
        self.run(&mut opening)?;
        opening.failure.map_or(Ok(()), Err)
    }

    /// Serves the connections until `load` breaks.
    pub(crate) fn run<L: Load>(&mut self, load: &mut L) -> Result<(), Errno> {
        for connection in &mut self.connections {
            if connection.is_idle() {
                load.ready(connection, Instant::now());
            }
        }
        loop {
            self.open_some(load);
            let now = Instant::now();
            let ControlFlow::Continue(turn_at) = load.turn(&mut self.connections, now) else {
                return Ok(());
            };
            let pause_ends = self.paused.front().map(|(end, _)| *end);
            let deadline = [turn_at, pause_ends].into_iter().flatten().min();
            self.wait(deadline.map(|deadline| deadline.saturating_duration_since(now)))?;
            let mut events = std::mem::take(&mut self.events);
            for event in events.drain(..) {
                self.attend(event, load);
            }
            self.events = events;
            self.end_pauses(load);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn attend<L: Load>(&mut self, event: epoll::Event, load: &mut L) {
        let flags = event.flags;
        let readiness = Readiness {
            reads: flags.contains(epoll::EventFlags::IN),
            writes: flags.contains(epoll::EventFlags::OUT),
            ends: flags.intersects(
                epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR,
            ),
        };
        let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let was_open = connection.is_open();
        match connection.attend(readiness, &mut self.room, load) {
            Ok(()) => {
                if !was_open && connection.is_open() {
                    self.opening = self.opening.saturating_sub(1);
                }
                self.begin_pause(index);
            }
            Err(why) => {
                if !was_open {
                    self.opening = self.opening.saturating_sub(1);
                }
                self.drop_connection(index, why, load);
            }
        }
    }

    fn drop_connection<L: Load>(&mut self, index: usize, why: ConnectionError, load: &mut L) {
        if let Some(connection) = self.connections.get_mut(index) {
            load.dropped(connection, why);
            connection.close();
            connection.pause();
        }
        self.begin_pause(index);
    }

    /// Begins the pause of a connection that wants one.
    fn begin_pause(&mut self, index: usize) {
        let connection = self.connections.get_mut(index);
        if connection.is_some_and(Connection::begin_pause) {
            self.paused.push_back((Instant::now() + PAUSE, index));
        }
    }

    fn end_pauses<L: Load>(&mut self, load: &mut L) {
        while let Some(&(end, index)) = self.paused.front() {
            let now = Instant::now();
            if end > now {
                return;
            }
            self.paused.pop_front();
            let Some(connection) = self.connections.get_mut(index) else {
                continue;
            };
            connection.end_pause();
            if connection.is_closed() {
                self.to_open.push_back(index);
            } else if connection.is_idle() {
                load.ready(connection, now);
            }
        }
    }

    /// Opens connections, but not too many at a time.
    fn open_some<L: Load>(&mut self, load: &mut L) {
        while self.opening < OPENING_MAX {
            let Some(index) = self.to_open.pop_front() else {
                return;
            };
            let Some(connection) = self.connections.get_mut(index) else {
                continue;
            };
            // Every change is reported once: it is told once what to watch, whatever is under way.
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(index as u64);
            let opened = connection.open().and_then(|socket| {
                epoll::add(&self.epoll, socket, data, flags).map_err(ConnectionError::from)
            });
            match opened {
                Ok(()) => self.opening += 1,
                Err(why) => self.drop_connection(index, why, load),
            }
        }
    }
}

/// Waits until all connections are open, and does nothing with them.
struct Opening {
    missing: usize,
    /// When the last one was opened.
    progress_at: Instant,
    failure: Option<ConnectionError>,
}

impl Load for Opening {
    fn ready(&mut self, _: &mut Connection, now: Instant) {
        self.progress_at = now;
        self.missing = self.missing.saturating_sub(1);
    }

    fn answered(&mut self, _: &mut Connection, _: Answer<'_>, _: UnderWay, _: Instant) {}

    fn dropped(&mut self, _: &mut Connection, why: ConnectionError) {
        self.failure.get_or_insert(why);
    }

    fn turn(&mut self, _: &mut [Connection], now: Instant) -> ControlFlow<(), Option<Instant>> {
        let stuck_at = self.progress_at + STUCK_AFTER;
        if now >= stuck_at && self.missing > 0 {
            let missing = self.missing;
            self.failure
                .get_or_insert(ConnectionError::Stuck { missing });
        }
        if self.missing == 0 || self.failure.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(Some(stuck_at))
    }
}
