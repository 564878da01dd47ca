//! One thread's consumers and pushers.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Game, Measures, crowd::Role};
use crate::{
    agenda::Hands,
    connection::{Connection, ConnectionError, UnderWay},
    crew::Part,
    event_loop::Load,
    exchange::{Answer, Asked, Request},
    phases::Phases,
    random,
    recent::Recent,
    tally::Tally,
};

/// How often the end of everything is looked for, once all pushes are sent.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How long a borrower may take to ack: far longer than it does.
const ACK_SECONDS: u32 = 60;

pub(super) struct Thread<'a> {
    game: &'a Game<'a>,
    phases: Phases,
    tally: Arc<Tally>,
    recent: Recent,
    measures: Measures,
    pushers: Hands<'a>,
    inspectors: Hands<'a>,
    /// For each connection, the number of what it does.
    doing: Vec<u64>,
    /// Of borrowers, by index, the transactions that they have not acked.
    borrowed: HashMap<usize, Vec<String>>,
}

impl<'a> Thread<'a> {
    pub(super) fn new(game: &'a Game<'a>, part: &Part) -> Self {
        Self {
            game,
            phases: part.phases,
            tally: Arc::clone(&part.tally),
            recent: part.recent.clone(),
            measures: Measures::new(),
            pushers: Hands::new(&game.pushes, part.phases.start),
            inspectors: Hands::new(&game.inspections, part.phases.start),
            doing: vec![0; part.connections],
            borrowed: HashMap::new(),
        }
    }

    /// What it measured.
    pub(super) fn measures(mut self) -> Measures {
        self.measures.lateness.add(self.pushers.lateness());
        self.measures
    }

    fn role(&self, connection: &Connection) -> Role {
        self.game.setup.crowd.role(connection.number())
    }

    fn doing(&self, connection: &Connection) -> u64 {
        let number = self.doing.get(connection.index());
        number.copied().unwrap_or_default()
    }

    fn borrow_or_ack(&self, connection: &mut Connection, queue: u32, now: Instant) {
        let queue = self.game.setup.prefix.queue(queue);
        let request = match self.borrowed.get(&connection.index()) {
            Some(transactions) => Request::Ack {
                queue,
                transactions,
            },
            None => Request::Borrow {
                queue,
                seconds: self.game.setup.wait_seconds,
                ack_seconds: ACK_SECONDS,
            },
        };
        connection.ask(&request, now);
    }

    fn receive(&mut self, payload: &str, role: Role, now: Instant) {
        let (Role::Waiter(queue) | Role::Borrower(queue) | Role::Stream(queue)) = role else {
            return;
        };
        let game = self.game;
        let push = game.setup.payloads.number(payload);
        let message = push.and_then(|push| Some((push, game.message_of(push, queue)?)));
        let Some((push, message)) = message else {
            self.tally.foreign.count();
            return;
        };
        self.tally.received.count();
        let is_first = game.ledger.arrived(message);
        let is_last = is_first && game.is_last(push);
        if push < game.first_measured {
            return;
        }
        let latency = now.saturating_duration_since(self.pushers.due(push));
        self.recent.record(latency);
        let latencies = match role {
            Role::Borrower(_) => &mut self.measures.loans,
            Role::Stream(_) => &mut self.measures.streams,
            _ => &mut self.measures.pops,
        };
        latencies.record(latency);
        if is_last {
            self.measures.lasts.record(latency);
        }
    }

    fn pushed(
        &mut self,
        connection: &Connection,
        answer: &Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        let push = self.doing(connection);
        for message in self.game.messages_of(push) {
            if *answer == Answer::Pushed {
                self.game.ledger.stored(message);
            } else {
                self.game.ledger.settled();
            }
        }
        if *answer == Answer::Pushed {
            self.tally.pushed.count();
            if push >= self.game.first_measured {
                self.measures.pushes.record(now - asked.since);
            }
        } else {
            self.tally.refuse(answer);
        }
        self.pushers.is_free(connection.index(), now);
    }

    fn inspected(&mut self, connection: &Connection, answer: &Answer<'_>, now: Instant) {
        let due = self.inspectors.due(self.doing(connection));
        if *answer != Answer::Described {
            self.tally.refuse(answer);
        } else if due >= self.phases.measured_from {
            self.measures.inspections.record(now - due);
        }
        self.inspectors.is_free(connection.index(), now);
    }

    /// Begins all pushes that are due and that somebody is free for; when to look again.
    fn push(&mut self, connections: &mut [Connection], now: Instant) -> Option<Instant> {
        loop {
            let task = match self.pushers.take(now) {
                Ok(task) => task,
                Err(look_at) => return look_at,
            };
            let request = Request::Push {
                queues: self.game.queues_of(task.number),
                payloads: &self.game.setup.payloads,
                number: task.number,
            };
            if let Some(doing) = self.doing.get_mut(task.hand) {
                *doing = task.number;
            }
            if let Some(pusher) = connections.get_mut(task.hand) {
                pusher.ask(&request, Instant::now());
            }
        }
    }

    /// The same for looks at queues.
    fn inspect(&mut self, connections: &mut [Connection], now: Instant) -> Option<Instant> {
        loop {
            let task = match self.inspectors.take(now) {
                Ok(task) => task,
                Err(look_at) => return look_at,
            };
            let consumers = self.game.setup.crowd.consumers();
            // Others than those that are pushed to at this moment.
            let queue = random::below(consumers, !self.game.seed, task.number);
            let queue = self.game.setup.prefix.queue(queue);
            if let Some(doing) = self.doing.get_mut(task.hand) {
                *doing = task.number;
            }
            if let Some(inspector) = connections.get_mut(task.hand) {
                inspector.ask(&Request::Describe { queue }, now);
            }
        }
    }
}

impl Load for Thread<'_> {
    fn ready(&mut self, connection: &mut Connection, now: Instant) {
        let setup = self.game.setup;
        match self.role(connection) {
            Role::Waiter(queue) => {
                let request = Request::Wait {
                    queue: setup.prefix.queue(queue),
                    seconds: setup.wait_seconds,
                };
                connection.ask(&request, now);
            }
            Role::Borrower(queue) => self.borrow_or_ack(connection, queue, now),
            Role::Stream(queue) => {
                let queue = setup.prefix.queue(queue);
                connection.ask(&Request::Subscribe { queue }, now);
            }
            Role::Pusher => self.pushers.is_free(connection.index(), now),
            Role::Inspector => self.inspectors.is_free(connection.index(), now),
        }
    }

    fn answered(
        &mut self,
        connection: &mut Connection,
        answer: Answer<'_>,
        asked: UnderWay,
        now: Instant,
    ) {
        let role = self.role(connection);
        match role {
            Role::Pusher => return self.pushed(connection, &answer, asked, now),
            Role::Inspector => return self.inspected(connection, &answer, now),
            Role::Waiter(_) | Role::Borrower(_) | Role::Stream(_) => {}
        }
        match answer {
            Answer::Messages(payloads) | Answer::Lent(payloads, _) if payloads.is_empty() => {
                self.tally.empty.count();
            }
            Answer::Messages(payloads) => {
                for payload in &payloads {
                    self.receive(payload, role, now);
                }
            }
            Answer::Lent(payloads, transactions) => {
                for payload in &payloads {
                    self.receive(payload, role, now);
                }
                self.borrowed.insert(connection.index(), transactions);
            }
            Answer::Acked { failed } => {
                self.tally.unacked.add(failed as u64);
                self.borrowed.remove(&connection.index());
                if self.phases.is_measured(now) {
                    self.measures.acks.record(now - asked.since);
                }
            }
            Answer::Subscribed => return,
            refusal => {
                self.tally.refuse(&refusal);
                return connection.pause();
            }
        }
        // A stream goes on by itself.
        if asked.kind != Asked::Stream {
            self.ready(connection, now);
        }
    }

    fn dropped(&mut self, connection: &mut Connection, _why: ConnectionError) {
        self.tally.dropped.count();
        self.pushers.is_gone(connection.index());
        self.inspectors.is_gone(connection.index());
        if connection.asked() == Some(Asked::Push) {
            self.tally.unknown.count();
            for _ in self.game.messages_of(self.doing(connection)) {
                self.game.ledger.settled();
            }
        }
    }

    fn turn(
        &mut self,
        connections: &mut [Connection],
        now: Instant,
    ) -> ControlFlow<(), Option<Instant>> {
        let is_over = self.phases.is_over(now);
        let given_up_at = self.phases.given_up_at();
        let is_given_up = given_up_at.is_some_and(|given_up_at| now >= given_up_at);
        let is_done = is_over && self.game.ledger.is_complete() && self.borrowed.is_empty();
        if is_given_up || is_done {
            return ControlFlow::Break(());
        }
        let look_at = if is_over {
            Some(now + LOOK_INTERVAL)
        } else {
            self.phases.measured_until
        };
        let push_at = self.push(connections, now);
        let inspect_at = self.inspect(connections, now);
        let next = [look_at, push_at, inspect_at].into_iter().flatten().min();
        ControlFlow::Continue(next)
    }
}
