//! A client of the site: it has a connection to some agent, and takes another one when that is away.

use std::thread;
use std::time::{Duration, Instant};

use popbox_test_support::{Broken, Client, Random, Request, Response};

use super::site::Site;
use super::stage::Stage;

/// Before another agent is tried, or the same one again.
const PAUSE_MS: u64 = 20;

/// How often a caller that waits looks whether the trial is over.
const LOOK: Duration = Duration::from_millis(250);

/// For an answer that has begun or is due at once, over stops of the agent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer, whatever has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// No connection: nothing was sent.
    Refused,
    /// The connection ended before an answer, or within it.
    Closed,
    /// Nothing came in time: the caller has left.
    TimedOut,
    /// The trial is over: the caller has left.
    Over,
    /// What came is not HTTP.
    Malformed,
}

pub(crate) struct Caller<'a> {
    site: &'a Site,
    client: Option<Client>,
    /// Whom the next connection is to.
    agent: usize,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(site: &'a Site, random: &mut Random) -> Self {
        Self {
            site,
            client: None,
            agent: random.below(site.agents.len()),
        }
    }

    /// Which agent it talks to.
    pub(crate) fn agent(&self) -> usize {
        self.agent
    }

    /// A request whose answer is due at once.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Response, Away> {
        self.call_within(PATIENCE, request)
    }

    /// The same, given up after that: the server may still do what it was asked for.
    pub(crate) fn call_within(
        &mut self,
        patience: Duration,
        request: &Request,
    ) -> Result<Response, Away> {
        let result = self
            .begin(request)
            .and_then(|client| client.try_receive(patience).map_err(Away::from));
        self.keep_if(result)
    }

    /// A request whose answer may take that long; the wait ends with the trial.
    pub(crate) fn wait_for(
        &mut self,
        request: &Request,
        wait: Duration,
        stage: &Stage,
    ) -> Result<Response, Away> {
        let result = self.begin(request).and_then(|client| {
            await_a_byte(client, wait + PATIENCE, stage)?;
            client.try_receive(PATIENCE).map_err(Away::from)
        });
        self.keep_if(result)
    }

    /// Opens a stream; the head of it, or whatever the server says instead.
    pub(crate) fn open(&mut self, request: &Request) -> Result<u16, Away> {
        let result = self.begin(request).and_then(|client| {
            let head = client.try_receive_head(PATIENCE)?;
            Ok(head.status)
        });
        let result = self.keep_if(result);
        if result.as_ref().is_ok_and(|status| *status != 200) {
            // Its body is still to come.
            self.client = None;
        }
        result
    }

    /// The next chunk of the stream, whenever it comes; none is its proper end.
    pub(crate) fn next_chunk(&mut self, stage: &Stage) -> Result<Option<Vec<u8>>, Away> {
        let Some(client) = &mut self.client else {
            return Err(Away::Closed);
        };
        let result = await_a_byte(client, Duration::MAX, stage)
            .and_then(|()| client.try_receive_chunk(PATIENCE).map_err(Away::from));
        self.keep_if(result)
    }

    /// Goes to another agent with the next request.
    pub(crate) fn leave(&mut self) {
        self.client = None;
        self.agent = (self.agent + 1) % self.site.agents.len();
    }

    /// After a failure that may last.
    pub(crate) fn pause() {
        thread::sleep(Duration::from_millis(PAUSE_MS));
    }

    fn begin(&mut self, request: &Request) -> Result<&mut Client, Away> {
        let client = if let Some(client) = self.client.take() {
            client
        } else {
            let address = self.site.agents[self.agent].address();
            let Ok(client) = Client::try_connect(address) else {
                self.leave();
                Self::pause();
                return Err(Away::Refused);
            };
            client
        };
        let client = self.client.insert(client);
        let bytes = request.bytes(client.host());
        match client.try_send_raw(&bytes) {
            Ok(()) => Ok(client),
            Err(_) => Err(Away::Closed),
        }
    }

    fn keep_if<T>(&mut self, result: Result<T, Away>) -> Result<T, Away> {
        if result.is_err() {
            self.leave();
        }
        result
    }
}

impl From<Broken> for Away {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed { .. } => Self::Closed,
            Broken::TimedOut => Self::TimedOut,
            Broken::Malformed(_) => Self::Malformed,
        }
    }
}

/// Waits until something comes, be it the end of the connection.
fn await_a_byte(client: &mut Client, wait: Duration, stage: &Stage) -> Result<(), Away> {
    let began = Instant::now();
    while client.is_silent_for(LOOK) {
        if stage.is_over() {
            return Err(Away::Over);
        }
        if began.elapsed() > wait {
            return Err(Away::TimedOut);
        }
    }
    Ok(())
}
