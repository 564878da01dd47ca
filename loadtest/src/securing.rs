//! Queues are made secured queues of the login before they are measured, and known to be its.

use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use crate::{
    connection::{Connection, ConnectionError, UnderWay},
    crew::{self, Part, Plan, RunError},
    event_loop::Load,
    exchange::{Answer, Asked, Refusal, Request},
    login::Login,
    options::Options,
    queue::Prefix,
};

/// Connections that ask for them: few beside what a server lets wait for a hash.
const CONNECTIONS_MAX: usize = 64;

/// What a secured queue that does not exist is answered with, and what a server does for now.
const STATUS_UNKNOWN: u16 = 500;
const STATUSES_LATER: [u16; 2] = [429, 503];

/// After hashing, a server has memory that it is to give back before it is looked at, when it is next asked something.
const CALM: Duration = Duration::from_secs(1);

/// Makes the first so many queues, where there is a login and anything is encrypted. Those that are there stay.
pub(crate) fn secure(options: &Options, prefix: &Prefix, queues: u32) -> Result<(), RunError> {
    let is_encrypted = options.targets.iter().any(|it| it.encrypted.is_some());
    let Some(login) = options.login.as_ref().filter(|_| is_encrypted) else {
        return Ok(());
    };
    // A queue is looked at where its consumer comes to be, as each of several servers remembers logins by itself.
    let targets = options.targets.len();
    let connections = CONNECTIONS_MAX.next_multiple_of(targets);
    let step = u32::try_from(connections).unwrap_or(u32::MAX).min(queues);
    eprintln!("securing {queues} queues");
    let securing = Securing {
        login,
        prefix,
        queues,
        step,
    };
    securing.run(0, options)?;
    thread::sleep(CALM);
    // Of the last ones the logins are known.
    securing.run(queues.saturating_sub(1) / step * step, options)
}

/// What is to be done, for each connection from its first queue on with every so manieth.
struct Securing<'a> {
    login: &'a Login,
    prefix: &'a Prefix,
    queues: u32,
    step: u32,
}

impl Securing<'_> {
    fn run(&self, first: u32, options: &Options) -> Result<(), RunError> {
        let connections = options.connections(self.step as usize);
        let plan = Plan {
            threads: options.threads(connections.len()),
            connections,
            settle: Duration::ZERO,
            warmup: Duration::ZERO,
            duration: None,
            options,
        };
        let outcome = crew::run(plan, |part| Thread::new(self, first, part))?;
        let mut threads = outcome.loads.into_iter();
        let failure = threads.find_map(|thread| thread.failure);
        failure.map_or(Ok(()), |failure| Err(RunError::Unsecured(failure)))
    }
}

/// One thread's connections.
struct Thread<'a> {
    securing: &'a Securing<'a>,
    /// For each connection, its queue, and whether that has been made.
    at: Vec<(u32, bool)>,
    unfinished: usize,
    failure: Option<String>,
}

impl<'a> Thread<'a> {
    fn new(securing: &'a Securing<'a>, first: u32, part: &Part) -> Self {
        // Connections are dealt out to the threads in turn.
        let numbers = (part.thread..).step_by(part.threads);
        let at = numbers.take(part.connections).map(|number| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            (first.saturating_add(number), false)
        });
        Self {
            securing,
            at: at.collect(),
            unfinished: part.connections,
            failure: None,
        }
    }

    fn fail(&mut self, queue: u32, why: impl std::fmt::Display) {
        let queue = self.securing.prefix.queue(queue);
        self.failure
            .get_or_insert_with(|| format!("{queue}: {why}"));
    }
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        let Some(&(queue, _)) = self.at.get(connection.index()) else {
            return;
        };
        if queue >= self.securing.queues {
            self.unfinished = self.unfinished.saturating_sub(1);
            return;
        }
        let queue = self.securing.prefix.queue(queue);
        connection.ask(&Request::Peek { queue }, now);
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        let Some((queue, is_made)) = self.at.get_mut(connection.index()) else {
            return;
        };
        match answer {
            Answer::Messages(_) => {
                (*queue, *is_made) = (queue.saturating_add(self.securing.step), false);
                self.ready(connection, now);
            }
            Answer::Secured => {
                *is_made = true;
                self.ready(connection, now);
            }
            Answer::Refused(Refusal {
                status: Some(status),
                ..
            }) if STATUSES_LATER.contains(&status) => connection.pause(),
            Answer::Refused(Refusal {
                status: Some(STATUS_UNKNOWN),
                ..
            }) if asked.kind == Asked::Peek && !*is_made => {
                let (queue, login) = (self.securing.prefix.queue(*queue), self.securing.login);
                connection.ask(&Request::Secure { queue, login }, now);
            }
            Answer::Refused(why) => {
                let queue = *queue;
                self.fail(queue, why);
            }
            _ => {}
        }
    }

    fn dropped(&mut self, connection: &mut Connection, why: ConnectionError) {
        if let Some(&(queue, _)) = self.at.get(connection.index()) {
            self.fail(queue, why);
        }
    }

    fn turn(&mut self, _: &mut [Connection], _: Instant) -> ControlFlow<(), Option<Instant>> {
        if self.unfinished == 0 || self.failure.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(None)
    }
}
