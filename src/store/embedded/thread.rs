//! What the store's thread runs: batches in, replies out.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{error, info, warn};

use super::{
    OpenError,
    clock::{Clock, Step},
    intake::{Command, Intake, Sleep},
    keep,
    ledger::{Key, Ledger, ReadError, Table, Write, WriteError},
    load::{self, LoadError},
    resolve::{self, ContentError, Resolver},
};
use crate::{
    config,
    mailbox::{
        Handout, LeaseId, Limits, Op, Refusal, Reply, Ticket, UnixMillis,
        engine::{Change, Engine, Output, RecordKey},
    },
    memory::{Account, Charge},
    store::{Delivery, Inbox, Transitions},
    vital::{self, Vital},
};

/// Operations of one batch: enough to make a sync cheap for each, few enough to keep the first of them from waiting
/// long for the last.
const BATCH_OPS_MAX: usize = 4096;

/// Bytes of payload after which a batch is complete.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How often the ledger and the clock are looked after when nothing else happens.
const TICK: Duration = Duration::from_millis(250);

/// How long messages that were handed out may be settled before the thread looks after that by itself. A crash in that
/// time delivers them once more, as it does if it comes before they are settled.
const SETTLING: Duration = Duration::from_millis(2);

/// A trouble that lasts is logged this often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Everything that the thread owns.
pub(super) struct State {
    ledger: Ledger,
    limits: Limits,
    engine: Engine,
    clock: Clock,
    space: Space,
    output: Output,
    /// What the contents of answers may take until they are written.
    answer_memory: Arc<Account>,
    transitions: Arc<Transitions>,
    /// Tickets of the batch that wait for an answer or for a hand-over.
    batch: Vec<Ticket>,
    /// Transactions that the batch removed. One of them may have been handed out earlier in the batch.
    removed: Vec<RecordKey>,
    /// Why the engine is not what is durable: it is to be built again before it is asked anything.
    stale: Option<Arc<str>>,
    /// The last batch could not be kept. What fell due in it falls due again at once, so it is tried in peace.
    is_troubled: bool,
    trouble_logged: Option<Instant>,
    ticked: Instant,
    /// Taken in, and not yet begun.
    taken: VecDeque<Command>,
    /// How many operations the last batch had.
    batch_ops: usize,
    /// Messages have been handed out since the thread last slept.
    has_handed_out: bool,
}

/// The room that is left on the store's disk.
pub(super) struct Space {
    path: PathBuf,
    free_min: u64,
    is_short: bool,
    looked: Option<Instant>,
}

impl Space {
    pub(super) fn new(store: &config::Store) -> Self {
        let free_min = store.min_free.bytes() as u64;
        Self {
            path: store.path.clone(),
            free_min,
            is_short: false,
            looked: None,
        }
    }

    /// Whether there is too little of it, as of a moment ago.
    fn is_short(&mut self) -> bool {
        if self.looked.is_none_or(|looked| looked.elapsed() >= TICK) {
            self.looked = Some(Instant::now());
            // A system that cannot tell is found out by the writes.
            let is_short = rustix::fs::statvfs(&self.path)
                .is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) < self.free_min);
            if is_short && !self.is_short {
                warn!(path = %self.path.display(), "less than store.min_free is left: pushes are refused");
            }
            self.is_short = is_short;
        }
        self.is_short
    }
}

impl State {
    pub(super) fn load(
        ledger: Ledger,
        limits: Limits,
        space: Space,
        answer_memory: Arc<Account>,
        transitions: Arc<Transitions>,
    ) -> Result<Self, OpenError> {
        let begun = Instant::now();
        let loaded = load::load(&ledger, limits, transitions.wanted());
        let engine = loaded.map_err(|error| OpenError::Damaged {
            path: space.path.clone(),
            reason: error.to_string(),
        })?;
        info!(
            transactions = engine.transaction_count(),
            queues = engine.queue_count(),
            seconds = begun.elapsed().as_secs_f64(),
            "loaded the store"
        );
        let clock = Clock::new();
        let (output, batch, ticked) = (Output::default(), Vec::new(), Instant::now());
        Ok(Self {
            ledger,
            limits,
            engine,
            clock,
            space,
            output,
            answer_memory,
            transitions,
            batch,
            removed: Vec::new(),
            stale: None,
            is_troubled: false,
            trouble_logged: None,
            ticked,
            taken: VecDeque::new(),
            batch_ops: 0,
            has_handed_out: false,
        })
    }

    /// Works until told to stop, then closes the ledger.
    pub(super) fn run(mut self, intake: &Intake, inboxes: &[Arc<Inbox>]) {
        let _vital = Vital::thread();
        let mut is_open = true;
        while is_open {
            is_open = self.take_batch(intake);
            self.finish_batch(inboxes);
        }
        intake.close();
        if let Err(error) = self.ledger.close() {
            error!(%error, "the store was not closed properly; it is recovered at the next start");
        }
    }

    /// Applies what has come, or what falls due if nothing comes; whether to go on.
    fn take_batch(&mut self, intake: &Intake) -> bool {
        if self.taken.is_empty() {
            if self.batch_ops > 0 {
                intake.linger();
            }
            let (sleep, patience) = self.sleep();
            intake.take(&mut self.taken, BATCH_OPS_MAX, sleep, patience);
        }
        self.renew();
        let now = self.clock.now();
        let mut bytes = 0;
        self.batch_ops = 0;
        while self.batch_ops < BATCH_OPS_MAX && bytes <= BATCH_BYTES_MAX {
            let Some(command) = self.taken.pop_front() else {
                // What has come meanwhile shares the sync with the rest.
                let rest = BATCH_OPS_MAX - self.batch_ops;
                intake.take(&mut self.taken, rest, Sleep::Awake, Duration::ZERO);
                if self.taken.is_empty() {
                    break;
                }
                continue;
            };
            let Command::Do(ticket, op) = command else {
                return false;
            };
            self.batch_ops += 1;
            bytes += op.payload_bytes();
            self.apply(now, ticket, op);
        }
        if self.stale.is_none() {
            self.engine.advance(now, &mut self.output);
        }
        true
    }

    /// How to sleep if nothing comes, and how long. What was just handed out is about to be settled.
    fn sleep(&mut self) -> (Sleep, Duration) {
        let patience = self.patience();
        if std::mem::take(&mut self.has_handed_out) {
            (Sleep::Light, patience.min(SETTLING))
        } else {
            (Sleep::Sound, patience)
        }
    }

    fn apply(&mut self, now: UnixMillis, ticket: Ticket, op: Op) {
        let refusal: Option<Arc<str>> = if self.stale.is_some() {
            self.stale.clone()
        } else if !op.takes_space() {
            None
        } else if self.space.is_short() {
            Some("the disk is full".into())
        } else if self.ledger.is_congested() {
            Some("the disk does not keep up".into())
        } else {
            None
        };
        if let Some(reason) = refusal {
            let refused = Reply::Refused(Refusal::Unavailable(reason));
            self.output.replies.push((ticket, refused));
            return;
        }
        self.batch.push(ticket);
        self.engine.apply(now, ticket, op, &mut self.output);
    }

    /// Until when there is nothing to do if nothing comes.
    fn patience(&self) -> Duration {
        if self.is_troubled {
            return TICK;
        }
        let now = self.clock.now();
        let due = self.engine.next_deadline().map_or(TICK, |deadline| {
            Duration::from_millis(deadline.0.saturating_sub(now.0))
        });
        due.min(TICK)
    }

    /// Makes the batch durable and answers it.
    fn finish_batch(&mut self, inboxes: &[Arc<Inbox>]) {
        let mut outgoing: Vec<Vec<Delivery>> = inboxes.iter().map(|_| Vec::new()).collect();
        // What goes back may be handed to the next waiter, and that is another thing to keep and to answer. Each time
        // round somebody has been answered, so it comes to an end.
        loop {
            let returned = match self.keep() {
                Ok(()) => {
                    self.transitions.tell(self.output.transitions.drain(..));
                    self.answer(&mut outgoing)
                }
                Err(reason) => {
                    self.give_up_batch(&reason, &mut outgoing);
                    Vec::new()
                }
            };
            if returned.is_empty() {
                break;
            }
            let now = self.clock.now();
            for handout in &returned {
                self.engine.take_back(now, handout, &mut self.output);
            }
        }
        self.batch.clear();
        self.removed.clear();
        for (inbox, deliveries) in inboxes.iter().zip(&mut outgoing) {
            inbox.deliver(deliveries);
        }
        if self.ticked.elapsed() >= TICK {
            self.ticked = Instant::now();
            self.follow_clock();
        }
        self.ledger.tick();
    }

    /// Writes the changes of the batch into the ledger.
    fn keep(&mut self) -> Result<(), String> {
        let promised = std::mem::take(&mut self.output.promised);
        if self.output.changes.is_empty() {
            self.is_troubled = self.stale.is_some();
            return Ok(());
        }
        let mut writes = Vec::with_capacity(2 * self.output.changes.len());
        for change in self.output.changes.drain(..) {
            if let Change::Removed { key, .. } = &change {
                self.removed.push(*key);
            }
            keep::keep(change, &mut writes, |writes, key| {
                // It may have been written earlier in this very batch.
                let kept_at = Key::from(&keep::record_key(key)[..]);
                let is_it = |it: &&Write| it.table == Table::Records && it.key == kept_at;
                match writes
                    .iter()
                    .rev()
                    .find(is_it)
                    .and_then(|it| it.value.as_ref())
                {
                    Some(value) => Ok(keep::decode_record(value)?),
                    None => resolve::record(&self.ledger, key),
                }
            })
            .map_err(|error: ContentError| error.to_string())?;
        }
        match self.ledger.append(writes, promised) {
            Ok(()) => {
                self.is_troubled = false;
                Ok(())
            }
            Err(WriteError::Broken(error)) => {
                // What is on the disk is unknown. A new start finds out.
                error!(%error, "the store cannot be written any more");
                vital::abort();
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Answers with contents instead of keys. What cannot be read, or not be held at the moment, is refused, and what
    /// was handed out by it is to go back.
    fn answer(&mut self, outgoing: &mut [Vec<Delivery>]) -> Vec<Handout<RecordKey>> {
        let mut returned = Vec::new();
        let contents = Resolver {
            ledger: &self.ledger,
            removed: &self.removed,
        };
        for (ticket, reply) in std::mem::take(&mut self.output.replies) {
            let mut charge = Charge::new(&self.answer_memory);
            let with_contents = match reply {
                Reply::Messages(handout) => {
                    self.has_handed_out |= handout.lease != LeaseId::default();
                    let messages = contents.messages(&handout, &mut charge);
                    if messages.is_err() {
                        returned.push(handout);
                    }
                    messages.map(Reply::Messages)
                }
                Reply::Transaction(Some(view)) => {
                    let view = contents.view(view, &mut charge);
                    view.map(Reply::Transaction)
                }
                Reply::Transaction(None) => Ok(Reply::Transaction(None)),
                Reply::Callbacks(keys) => {
                    let callbacks = contents.callbacks(keys);
                    callbacks.map(Reply::Callbacks).map_err(Into::into)
                }
                Reply::Done => Ok(Reply::Done),
                Reply::Pushed(id) => Ok(Reply::Pushed(id)),
                Reply::DeadLetters(dead) => Ok(Reply::DeadLetters(dead)),
                Reply::Moved { moved, left } => Ok(Reply::Moved { moved, left }),
                Reply::Found(found) => Ok(Reply::Found(found)),
                Reply::Released(count) => Ok(Reply::Released(count)),
                Reply::Acked(acked) => Ok(Reply::Acked(acked)),
                Reply::Queue(info) => Ok(Reply::Queue(info)),
                Reply::States(states) => Ok(Reply::States(states)),
                Reply::Group(members) => Ok(Reply::Group(members)),
                Reply::Secured(is_made) => Ok(Reply::Secured(is_made)),
                Reply::Credentials(credentials) => Ok(Reply::Credentials(credentials)),
                Reply::Refused(refusal) => Ok(Reply::Refused(refusal)),
            };
            let reply = with_contents.unwrap_or_else(|error| Reply::Refused(error.into()));
            send(outgoing, ticket, reply, charge.unless_empty());
        }
        returned
    }

    /// The batch could not be kept: nothing of it has happened.
    fn give_up_batch(&mut self, reason: &str, outgoing: &mut [Vec<Delivery>]) {
        let is_time = |at: Instant| at.elapsed() >= LOG_INTERVAL;
        if self.trouble_logged.is_none_or(is_time) {
            self.trouble_logged = Some(Instant::now());
            warn!(
                reason,
                operations = self.batch.len(),
                "a batch is refused; not every further one is told"
            );
        }
        let refusal = Refusal::Unavailable(reason.into());
        let answered = std::mem::take(&mut self.output).replies;
        // Whoever asked in this batch, was handed something in it, or waits since before.
        let mut tickets: Vec<Ticket> = self.batch.drain(..).collect();
        tickets.extend(answered.iter().map(|(ticket, _)| *ticket));
        tickets.extend(self.engine.waiting_tickets());
        tickets.sort_unstable();
        tickets.dedup();
        for ticket in tickets {
            send(outgoing, ticket, Reply::Refused(refusal.clone()), None);
        }
        self.is_troubled = true;
        self.stale = Some(reason.into());
        self.renew();
    }

    /// Builds the engine again from what is durable, if it is not the same any more. While the tables are out of
    /// reach, which a full disk can do to them, that has to wait.
    fn renew(&mut self) {
        if self.stale.is_none() {
            return;
        }
        match load::load(&self.ledger, self.limits, self.transitions.wanted()) {
            Ok(mut engine) => {
                engine.number_after(&self.engine);
                self.engine = engine;
                self.stale = None;
            }
            Err(LoadError::Read(ReadError::Unavailable | ReadError::Io(_))) => {}
            Err(error) => {
                error!(%error, "the store cannot be read any more");
                vital::abort();
            }
        }
    }

    fn follow_clock(&mut self) {
        if let Some(step) = self.clock.follow() {
            warn!(
                ?step,
                "the time of day was set; leases and delays keep their length"
            );
            match step {
                Step::Forward(millis) => self.engine.shift(millis, 0),
                Step::Back(millis) => self.engine.shift(0, millis),
            }
        }
    }
}

fn send(outgoing: &mut [Vec<Delivery>], ticket: Ticket, reply: Reply, contents: Option<Charge>) {
    if let Some(deliveries) = outgoing.get_mut(usize::from(ticket.worker)) {
        deliveries.push(Delivery {
            number: ticket.number,
            reply,
            contents,
        });
    }
}
