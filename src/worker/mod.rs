//! One thread per core: listeners, connections, timers, waiting pops.
//!
//! [`serve`] starts and stops it all. Each thread runs a single-threaded runtime on `io_uring` (or epoll where that is
//! refused) with a listener of its own on the shared address, and owns the connections that it takes in. Threads share
//! nothing but a few counters; the store's replies come through each thread's [`Inbox`](crate::store::Inbox).
//!
//! Nothing here blocks, and nothing waits for a read or write in flight: tasks wait for readiness, for a bell that is
//! rung when a reply or a deadline is there, and look at everything when they wake.

mod addresses;
mod admission;
mod cargo;
mod certificate;
mod connection;
mod desk;
mod entrances;
mod exchange;
mod linger;
mod listener;
mod open_files;
mod pool;
mod questions;
mod server;
mod subscription;
mod thread;
mod transport;
mod witness;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use addresses::Addresses;
use certificate::Certificate;
use desk::Desk;
use questions::{Question, Questions};
pub use server::serve;
use slab::Slab;
use uuid::Uuid;

use crate::{
    api::{self, Refusals},
    auth::{Guard, Outcome},
    config, http,
    mailbox::TransactionId,
    memory::Account,
    offload::{Event, Historian, Inquiry, Recollection, Reporter, Unread},
    runtime::{Bell, Timers},
};

/// What the connections of one thread have in common.
struct Worker {
    index: u16,
    shared: Arc<Shared>,
    doors: Vec<Rc<Door>>,
    limits: config::Limits,
    decoder_limits: http::Limits,
    handshake_timeout: Duration,
    desk: Rc<Desk>,
    timers: Rc<Timers>,
    guard: Arc<Guard>,
    /// Logins that are being checked.
    checks: Rc<Questions<Outcome>>,
    /// What is being read back from history.
    recalls: Rc<Questions<Recollection>>,
    historian: Option<Historian>,
    /// Whom requests are told, if history has them.
    reporter: Option<Reporter>,
    access_log: bool,
    /// Connections of this thread.
    connections: Cell<usize>,
    /// No new connection and no new wait.
    draining: Cell<bool>,
    /// Every connection's bell, to wake them all.
    bells: RefCell<Slab<Rc<Bell>>>,
    /// Rung when a connection ends.
    departure_bell: Bell,
    /// Lent to one connection at a time, for as long as it does not wait: so that no connection holds one.
    read_buffer: RefCell<Box<[u8]>>,
    write_buffer: RefCell<Vec<u8>>,
    date: RefCell<Date>,
}

/// An address that clients come to.
struct Door {
    settings: api::Settings,
    /// What it shows of itself; none: it is for plain HTTP.
    certificate: Option<Arc<Certificate>>,
    /// Rung when it is to close.
    bell: Bell,
}

/// What the threads have in common.
struct Shared {
    draining: AtomicBool,
    connections: AtomicUsize,
    connections_max: usize,
    /// Those that are not through with their handshake.
    handshakes: AtomicUsize,
    handshakes_max: usize,
    body_memory: Arc<Account>,
    /// The store's, for answers.
    answer_memory: Arc<Account>,
    addresses: Arc<Addresses>,
    refusals: Arc<Refusals>,
}

/// The `Date` header of a second.
#[derive(Default)]
struct Date {
    second: u64,
    text: Rc<str>,
}

impl Worker {
    /// The `Date` header of now.
    fn date(&self) -> Rc<str> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let mut date = self.date.borrow_mut();
        if date.second != now.as_secs() {
            date.second = now.as_secs();
            date.text = httpdate::fmt_http_date(UNIX_EPOCH + now).into();
        }
        Rc::clone(&date.text)
    }

    /// Counts an answer that a limit is the reason for.
    fn note_refusal(&self, response: &http::Response) {
        if let Some(limit) = response.limit {
            self.shared.refusals.note(limit);
        }
    }

    /// What a request is called in history, if that has requests.
    fn deed(
        &self,
        request: &http::Request,
        action: &api::Action,
        settings: &api::Settings,
    ) -> Option<api::Deed> {
        let interest = self.reporter.as_ref()?.interest();
        let wanted = interest.history.then_some(interest.postdata)?;
        api::Deed::of(request, action, settings, wanted)
    }

    /// Tells of an event.
    fn tell(&self, event: Event) {
        if let Some(reporter) = &self.reporter {
            reporter.tell(event);
        }
    }

    /// Asks history; the bell rings when it has answered.
    fn recall(&self, inquiry: Inquiry, bell: &Rc<Bell>) -> Question<Recollection> {
        let mut question = self.recalls.open(bell);
        let number = question.number();
        match &self.historian {
            Some(historian) => question.answered_by(historian.ask(self.index, number, inquiry)),
            None => self
                .recalls
                .receive(number, Recollection::none(number, Unread::Off)),
        }
        question
    }

    /// Stops taking in connections and ends every wait.
    fn drain(&self) {
        self.draining.set(true);
        for door in &self.doors {
            door.bell.ring();
        }
        self.departure_bell.ring();
        // Collected first: whoever is woken may leave.
        let bells: Vec<_> = self
            .bells
            .borrow()
            .iter()
            .map(|(_, bell)| Rc::clone(bell))
            .collect();
        for bell in bells {
            bell.ring();
        }
    }
}

/// A new id from the operating system's randomness, stretched by a generator of the thread.
fn new_transaction_id() -> TransactionId {
    TransactionId::from_random(Uuid::new_v4().into_bytes())
}
