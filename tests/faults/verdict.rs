//! What is to be said of a trial: how much of what, and everything that must not be.

use std::fmt::Write as _;
use std::time::Duration;

use super::arrangement::Arrangement;
use super::course::Disturbance;
use super::examination::Examination;
use super::ledger::{Books, Event, Moment, Outcome, State, Transaction, Witness};
use super::outlet::{Outlet, Route, Users};
use super::world::World;

/// How many findings of a kind are told at length.
const TOLD_MAX: usize = 5;

/// Of how many messages that came last the history is told.
const SLOWEST: usize = 3;

/// A recovery that took longer is told with the history of its last probe.
const SLOW_RECOVERY: Duration = Duration::from_secs(4);

/// How much of what came before a message's history is told with it, in milliseconds.
const PRELUDE_MS: u32 = 5_000;

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Acknowledged, not ended, and never received.
    Lost,
    /// Received twice from a plain queue, with nothing between that explains it.
    Twice,
    /// Pushed with a key, and there with two ids.
    PushedTwice,
    /// A repeat of a push was answered with another id.
    Renamed,
    /// Received after its ack was answered, in the answer to a later request.
    Revived,
    /// In a queue with a waiter for longer than the bound.
    Unwoken,
    /// Lent for longer than the bound to somebody who is gone.
    Lent,
    /// Said to have been delivered before, when nothing had happened that could have taken it away.
    Miscounted,
    /// A queue that took no push long after the last fault.
    Closed,
    /// Shown, and not given.
    Stuck,
    /// A queue with a waiter that is gone.
    Ghost,
    /// What has no better name: a payload that is not as it was, a status that has no place there.
    Strange,
}

/// One thing that must not be.
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// A line, and for the first of a kind the history as well.
    pub(crate) text: String,
}

/// How much of what. Messages are counted, a transaction in two queues as two, if not said otherwise.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) pushes: usize,
    pub(crate) acknowledged: usize,
    pub(crate) in_doubt: usize,
    pub(crate) in_doubt_received: usize,
    pub(crate) received: usize,
    pub(crate) again_plain: usize,
    pub(crate) again_reliable: usize,
    pub(crate) ended_unseen: usize,
    pub(crate) gone_with_clients: usize,
    pub(crate) departures: usize,
    pub(crate) out_of_order: usize,
    /// Transactions with a key, and how often these were sent again.
    pub(crate) keyed: usize,
    pub(crate) repeats: usize,
    /// Messages that were seen dead, and how often one was put back.
    pub(crate) died: usize,
    pub(crate) redriven: usize,
    /// How many first deliveries could be judged by their count.
    pub(crate) first_deliveries: usize,
    pub(crate) sampled: usize,
}

/// All of it.
pub(crate) struct Verdict {
    pub(crate) arrangement: Arrangement,
    pub(crate) counts: Counts,
    pub(crate) findings: Vec<Finding>,
    pub(crate) disturbances: Vec<Disturbance>,
    /// How long the machine was too busy with something else for bounds to count.
    pub(crate) storm: Duration,
    /// What came last of all after the load: nothing wrong by itself, but what holds a message up is seen here.
    pub(crate) slowest: Vec<String>,
    /// For each disturbance, messages that came again by it.
    pub(crate) again: Vec<usize>,
}

struct Judge<'a> {
    outlets: &'a [Outlet],
    books: &'a Books,
    disturbances: &'a [Disturbance],
    counts: Counts,
    again: Vec<usize>,
    findings: Vec<Finding>,
}

/// Judges a trial that is over.
pub(crate) fn judge(
    world: &World,
    arrangement: Arrangement,
    disturbances: Vec<Disturbance>,
    examination: &Examination,
) -> Verdict {
    let books = world.ledger.books();
    let mut judge = Judge {
        outlets: &world.outlets,
        books: &books,
        disturbances: &disturbances,
        counts: Counts {
            departures: books.departures.iter().sum(),
            sampled: examination.sampled,
            redriven: books.redriven,
            ..Counts::default()
        },
        again: vec![0; disturbances.len()],
        findings: Vec::new(),
    };
    judge.messages();
    judge.doubles();
    judge.order();
    judge.probes();
    judge.leftovers(examination);
    let slowest = judge.slowest();
    let Judge {
        counts,
        again,
        mut findings,
        ..
    } = judge;
    findings.sort_by_key(|finding| finding.kind);
    Verdict {
        arrangement,
        counts,
        findings,
        disturbances,
        storm: world.calm.storm(),
        slowest,
        again,
    }
}

impl Judge<'_> {
    fn messages(&mut self) {
        for (number, transaction) in self.books.transactions.iter().enumerate() {
            self.counts.pushes += usize::from(transaction.outcome != Outcome::Unsent);
            if transaction.is_keyed {
                let entries = transaction.entries.iter();
                let sent = entries.filter(|entry| matches!(entry.event, Event::Pushed { .. }));
                self.counts.keyed += 1;
                self.counts.repeats += sent.count().saturating_sub(1);
            }
            for place in 0..transaction.messages.len() {
                self.message(number, transaction, place);
            }
        }
    }

    fn message(&mut self, number: usize, transaction: &Transaction, place: usize) {
        let message = &transaction.messages[place];
        let outlet = &self.outlets[message.outlet];
        let is_acknowledged = transaction.outcome == Outcome::Acknowledged;
        let is_received = message.is_received();
        self.counts.acknowledged += usize::from(is_acknowledged);
        let is_in_doubt = transaction.outcome == Outcome::Unknown;
        self.counts.in_doubt += usize::from(is_in_doubt);
        self.counts.in_doubt_received += usize::from(is_in_doubt && is_received);
        self.counts.received += usize::from(is_received);
        self.counts.died += usize::from(message.has_died());
        if is_acknowledged && !is_received {
            if transaction.may_expire {
                self.counts.ended_unseen += 1;
            } else if outlet.users == Users::Rude && outlet.route == Route::Pop {
                self.counts.gone_with_clients += 1;
            } else {
                self.find(Kind::Lost, number, place);
            }
        }
        self.repeated(number, place);
        self.first_delivery(number, place);
    }

    /// One payload, two transactions: of which only one was told to the producer, if any.
    fn doubles(&mut self) {
        for double in &self.books.doubles {
            let kind = match double.by {
                Witness::Producer => Kind::Renamed,
                Witness::Consumer => Kind::PushedTwice,
            };
            self.find(kind, double.number, 0);
            if let Some(finding) = self.findings.last_mut() {
                finding.text = format!("also {}: {}", double.id, finding.text);
            }
        }
    }

    /// What nobody can have had before must come with a count of 1.
    fn first_delivery(&mut self, number: usize, place: usize) {
        let transaction = &self.books.transactions[number];
        let message = &transaction.messages[place];
        let first = message.entries.iter().find_map(|entry| match entry.event {
            Event::Received { deliveries, .. } => Some((entry.at, deliveries?)),
            _ => None,
        });
        let (Some(pushed), Some((at, deliveries))) = (transaction.entries.first(), first) else {
            return;
        };
        // A client that went away, or a fault, may have hidden an earlier one.
        if self.outlets[message.outlet].users == Users::Rude
            || self.disturbance_between(pushed.at, at).is_some()
        {
            return;
        }
        self.counts.first_deliveries += 1;
        if deliveries != 1 {
            self.find(Kind::Miscounted, number, place);
        }
    }

    fn repeated(&mut self, number: usize, place: usize) {
        let message = &self.books.transactions[number].messages[place];
        let outlet = &self.outlets[message.outlet];
        let receipts: Vec<_> = message.receipts().collect();
        for pair in receipts.windows(2) {
            let [(_, _, asked), (at, _, _)] = pair else {
                continue;
            };
            let cause = self.disturbance_between(*asked, *at);
            if let Some(cause) = cause.filter(|_| !outlet.has_lapses && outlet.users != Users::Rude)
            {
                self.again[cause] += 1;
            }
            if outlet.route.is_reliable() {
                self.counts.again_reliable += 1;
            } else {
                self.counts.again_plain += 1;
                if cause.is_none() && outlet.users != Users::Rude {
                    self.find(Kind::Twice, number, place);
                }
            }
        }
        // When a message of a stream was asked for nobody can tell.
        if outlet.route != Route::Poprel {
            return;
        }
        let acked = message.entries.iter().find_map(|entry| match entry.event {
            Event::Acked { is_known: true } => Some(entry.at),
            _ => None,
        });
        if receipts
            .iter()
            .any(|&(_, _, asked)| acked.is_some_and(|acked| asked > acked))
        {
            self.find(Kind::Revived, number, place);
        }
    }

    /// In queues with one producer and one consumer, whose messages go one by one.
    fn order(&mut self) {
        for (place, outlet) in self.outlets.iter().enumerate() {
            if outlet.producer.is_none() {
                continue;
            }
            let mut seen: Vec<(Moment, usize)> = Vec::new();
            for (number, transaction) in self.books.transactions.iter().enumerate() {
                let message = transaction.messages.first();
                let receipt = message
                    .filter(|message| message.outlet == place && !transaction.is_probe)
                    .and_then(|message| message.receipts().next());
                if let Some((at, _, _)) = receipt {
                    seen.push((at, number));
                }
            }
            // One consumer takes them one by one: equal moments are in order.
            seen.sort();
            let inversions = seen.windows(2).filter(|pair| pair[0].1 > pair[1].1);
            self.counts.out_of_order += inversions.count();
        }
    }

    fn probes(&mut self) {
        for disturbance in self.disturbances {
            let recovery = &disturbance.recovery;
            for &(number, state) in &recovery.missing {
                if state == State::Pending {
                    self.find(Kind::Unwoken, number, 0);
                } else if matches!(state, State::Blocked | State::Dead) {
                    self.find(Kind::Lent, number, 0);
                }
            }
            for &outlet in &recovery.closed {
                let queue = self.outlets[outlet].describe();
                let text = format!("after {}: {queue}", disturbance.name());
                self.findings.push(Finding {
                    kind: Kind::Closed,
                    text,
                });
            }
        }
    }

    fn leftovers(&mut self, examination: &Examination) {
        for &(number, outlet) in &examination.missing {
            let messages = &self.books.transactions[number].messages;
            let place = messages.iter().position(|it| it.outlet == outlet);
            // What was never received is lost, and has been found as that.
            if let Some(place) = place.filter(|&place| messages[place].is_received()) {
                self.find(Kind::Stuck, number, place);
            }
        }
        for &(number, outlet) in &examination.stale {
            let messages = &self.books.transactions[number].messages;
            if let Some(place) = messages.iter().position(|it| it.outlet == outlet) {
                self.find(Kind::Stuck, number, place);
            }
        }
        for &(outlet, count) in &examination.buried {
            let queue = self.outlets[outlet].describe();
            let text = match count {
                Some(count) => format!("{queue} still has {count} dead letters"),
                None => format!("{queue} does not say whether it has dead letters"),
            };
            let kind = Kind::Stuck;
            self.findings.push(Finding { kind, text });
        }
        for (outlet, description) in &examination.stuck {
            let queue = self.outlets[*outlet].describe();
            let text = format!("{queue} says {description}");
            self.findings.push(Finding {
                kind: Kind::Stuck,
                text,
            });
        }
        for &outlet in &examination.ghosts {
            self.findings.push(Finding {
                kind: Kind::Ghost,
                text: self.outlets[outlet].describe(),
            });
        }
        for text in &self.books.strange {
            self.findings.push(Finding {
                kind: Kind::Strange,
                text: text.clone(),
            });
        }
    }

    /// The probes that a recovery waited for, and the messages that were done with last.
    fn slowest(&self) -> Vec<String> {
        let mut ends: Vec<(Moment, usize, usize)> = Vec::new();
        for (number, transaction) in self.books.transactions.iter().enumerate() {
            for (place, message) in transaction.messages.iter().enumerate() {
                let outlet = &self.outlets[message.outlet];
                let entries = message.entries.iter();
                let end = entries
                    .filter(|entry| match entry.event {
                        Event::Received { .. } => !outlet.route.is_reliable(),
                        Event::Acked { .. } => true,
                        _ => false,
                    })
                    .map(|entry| entry.at)
                    .next();
                if let Some(end) = end.filter(|_| transaction.outcome == Outcome::Acknowledged) {
                    ends.push((end, number, place));
                }
            }
        }
        ends.sort_unstable();
        let last = ends.iter().rev().take(SLOWEST).copied();
        let slow_probes = self.disturbances.iter().filter_map(|disturbance| {
            let is_slow = disturbance.recovery.took > SLOW_RECOVERY;
            is_slow.then(|| self.last_probe_of(disturbance)).flatten()
        });
        let told: Vec<_> = slow_probes.chain(last).collect();
        told.iter()
            .map(|&(_, number, place)| {
                let transaction = &self.books.transactions[number];
                let outlet = &self.outlets[transaction.messages[place].outlet];
                let history = self.history(transaction, place);
                format!("message {number} in {}{history}", outlet.describe())
            })
            .collect()
    }

    /// The probe after a disturbance that was received last.
    fn last_probe_of(&self, disturbance: &Disturbance) -> Option<(Moment, usize, usize)> {
        let transactions = self.books.transactions.iter().enumerate();
        let received = transactions.filter_map(|(number, transaction)| {
            let pushed = transaction.entries.first()?.at;
            let (at, _, _) = transaction.messages.first()?.receipts().next()?;
            let is_of_it = transaction.is_probe
                && pushed >= disturbance.healed
                && disturbance.healed.until(at) <= disturbance.recovery.took;
            is_of_it.then_some((at, number, 0))
        });
        received.max()
    }

    /// The last disturbance that lies between, its aftermath included.
    fn disturbance_between(&self, from: Moment, to: Moment) -> Option<usize> {
        self.disturbances.iter().rposition(|disturbance| {
            let over = disturbance.healed.until(from);
            disturbance.began <= to && over <= disturbance.recovery.took
        })
    }

    fn find(&mut self, kind: Kind, number: usize, place: usize) {
        let told = self.findings.iter().filter(|it| it.kind == kind).count();
        let transaction = &self.books.transactions[number];
        let outlet = &self.outlets[transaction.messages[place].outlet];
        let id = transaction.id.as_deref().unwrap_or("of unknown id");
        let mut text = format!("message {number} ({id}) in {}", outlet.describe());
        if told < TOLD_MAX {
            text.push_str(&self.history(transaction, place));
        }
        self.findings.push(Finding { kind, text });
    }

    /// Everything that is known of a message, with the faults before and between.
    fn history(&self, transaction: &Transaction, place: usize) -> String {
        let message = &transaction.messages[place];
        let entries = transaction.entries.iter().chain(&message.entries);
        let mut lines: Vec<(Moment, String)> = entries
            .map(|entry| (entry.at, format!("{:?}", entry.event)))
            .collect();
        let from = lines.iter().map(|(at, _)| *at).min().unwrap_or(Moment(0));
        let to = lines.iter().map(|(at, _)| *at).max().unwrap_or(Moment(0));
        let from = Moment(from.0.saturating_sub(PRELUDE_MS));
        for disturbance in self.disturbances {
            if disturbance.healed >= from && disturbance.began <= to {
                let name = disturbance.name();
                lines.push((disturbance.began, format!("    {name}")));
                lines.push((disturbance.healed, format!("    {name}: healed")));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        let others = transaction.messages.len() - 1;
        let mut text = format!(", and in {others} other queues:");
        for (at, line) in lines {
            let _ = write!(text, "\n      {at} {line}");
        }
        text
    }
}
