//! A worker that asks a store and waits for the replies.

use std::{
    cell::{Cell, RefCell},
    mem,
    os::fd::AsFd as _,
    rc::Rc,
    sync::Arc,
};

use popbox::{
    config::Config,
    mailbox::{Op, QueueName, Refusal, Reply, Ticket},
    runtime::{self, Alone, Bell, Timers, Watch},
    store::{Delivery, Inbox, OpenStore, Store},
};

use crate::message;

/// The queues that are pushed to in turn.
const QUEUES: u64 = 1000;

/// A thread that has entered a store.
pub struct Worker {
    /// None once it is closed.
    store: Option<OpenStore>,
    runtime: Alone,
    entrance: Box<dyn Store>,
    arrivals: Rc<Arrivals>,
    tickets: Cell<u64>,
    pushes: u64,
}

/// Replies that have come.
#[derive(Default)]
struct Arrivals {
    deliveries: RefCell<Vec<Delivery>>,
    bell: Bell,
}

impl Worker {
    /// Opens the store of the configuration, and waits until it is within reach.
    pub fn new(config: &Config) -> Self {
        let inbox = Arc::new(Inbox::new().expect("an event counter"));
        let store = OpenStore::open(config, &[Arc::clone(&inbox)], &Arc::default()).expect("a store that opens");
        let (gate, health) = (store.gate(), store.health());
        let arrivals = Rc::<Arrivals>::default();
        let mut runtime = Alone::new().expect("a runtime");
        let entrance = runtime.block_on(async {
            let timers = Rc::new(Timers::new().expect("a timer"));
            let running = Rc::clone(&timers);
            runtime::spawn(async move { running.run().await.expect("a timer that runs") });
            runtime::spawn(collect(inbox, Rc::clone(&arrivals)));
            let into = Rc::clone(&arrivals);
            let receive = Box::new(move |delivery| {
                into.deliveries.borrow_mut().push(delivery);
                into.bell.ring();
            });
            let entrance = gate.enter(&timers, receive);
            while health.reached().try_recv().is_err() {
                timers.sleep(std::time::Duration::from_millis(1)).await;
            }
            entrance
        });
        Self {
            store: Some(store),
            runtime,
            entrance,
            arrivals,
            tickets: Cell::new(0),
            pushes: 0,
        }
    }

    /// Pushes so many messages at once, each to another queue, and waits until all are stored; to which queues. What
    /// is refused because a disk does not keep up is pushed again, so that the disk's pace counts.
    pub fn push(&mut self, at_once: usize) -> Vec<QueueName> {
        let first = self.pushes;
        self.pushes += at_once as u64;
        let mut left: Vec<u64> = (first..self.pushes).collect();
        while !left.is_empty() {
            let first_ticket = self.tickets.get() + 1;
            let pushes = left
                .iter()
                .map(|&number| message::push(message::id(number), vec![queue_of(number)]));
            let mut refused = Vec::new();
            for (ticket, reply) in self.ask(pushes.collect()) {
                match reply {
                    Reply::Pushed(_) => {}
                    Reply::Refused(Refusal::Unavailable(_)) => {
                        refused.push(left[place(ticket, first_ticket)]);
                    }
                    other => panic!("{other:?}"),
                }
            }
            left = refused;
        }
        (first..self.pushes).map(queue_of).collect()
    }

    /// Pushes so many messages at once, takes as many from the same queues, and settles them. The settling has no
    /// reply: it is asked for and not waited for.
    pub fn push_pop_settle(&mut self, at_once: usize) {
        let queues = self.push(at_once);
        let pops = queues
            .iter()
            .map(|queue| message::pop(queue.clone(), false));
        let first_ticket = self.tickets.get() + 1;
        let settlings: Vec<Op> = self
            .ask(pops.collect())
            .into_iter()
            .map(|(ticket, reply)| {
                let Reply::Messages(handout) = reply else {
                    panic!("{reply:?}");
                };
                assert_eq!(handout.messages.len(), 1);
                Op::Settle {
                    queue: queues[place(ticket, first_ticket)].clone(),
                    lease: handout.lease,
                    transactions: handout.messages.iter().map(|it| it.id).collect(),
                }
            })
            .collect();
        let (entrance, tickets) = (&self.entrance, &self.tickets);
        // A store may be asked within the runtime only.
        self.runtime.block_on(async {
            for settling in settlings {
                entrance.follow_up(next_ticket(tickets), settling);
            }
        });
    }

    /// Has operations done that have a reply each, in the order of the replies.
    fn ask(&mut self, ops: Vec<Op>) -> Vec<(u64, Reply)> {
        let count = ops.len();
        let arrivals = Rc::clone(&self.arrivals);
        let (entrance, tickets) = (&self.entrance, &self.tickets);
        self.runtime.block_on(async {
            for op in ops {
                entrance
                    .submit(next_ticket(tickets), op)
                    .expect("a store with room");
            }
            let mut replies = Vec::with_capacity(count);
            while replies.len() < count {
                arrivals.bell.rung().await;
                let deliveries = mem::take(&mut *arrivals.deliveries.borrow_mut());
                replies.extend(deliveries.into_iter().map(|it| (it.number, it.reply)));
            }
            replies
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}

/// Brings replies from another thread to who waits for them.
async fn collect(inbox: Arc<Inbox>, arrivals: Rc<Arrivals>) {
    let descriptor = inbox.as_fd().try_clone_to_owned().expect("a descriptor");
    let watch = Watch::new(descriptor).expect("a descriptor to watch");
    let mut deliveries = Vec::new();
    loop {
        watch.readable().await.expect("an inbox to wait for");
        inbox.arm();
        inbox.take(&mut deliveries);
        if !deliveries.is_empty() {
            arrivals.deliveries.borrow_mut().append(&mut deliveries);
            arrivals.bell.ring();
        }
    }
}

/// The queue that a push of that number goes to.
fn queue_of(push: u64) -> QueueName {
    message::queue(usize::try_from(push % QUEUES).expect("one of a thousand"))
}

/// Which of the operations that were asked for together has this ticket.
fn place(ticket: u64, first_ticket: u64) -> usize {
    usize::try_from(ticket - first_ticket).expect("one of these")
}

fn next_ticket(tickets: &Cell<u64>) -> Ticket {
    let number = tickets.get() + 1;
    tickets.set(number);
    Ticket { worker: 0, number }
}
