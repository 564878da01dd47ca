//! The store that is moved into.

use std::{
    future::poll_fn, io, os::fd::AsFd as _, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration,
};

use crate::{
    config::{Config, StoreKind},
    mailbox::{Op, Refusal, Reply, Ticket},
    runtime::{self, Alone, Timers, Watch},
    store::{self, Delivery, Inbox, OpenStore, Store},
};

/// How long the store may be silent while it owes replies.
const SILENCE_MAX: Duration = Duration::from_mins(5);

/// How long servers of a store may take to be within reach.
const REACH_MAX: Duration = Duration::from_secs(30);

/// How often to look whether they are.
const REACH_LOOK: Duration = Duration::from_millis(10);

/// The store does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Silent {
    /// It has had its time.
    #[error("no reply for {} s", SILENCE_MAX.as_secs())]
    TooLong,
    /// The system does not let us wait.
    #[error("cannot wait for a reply: {0}")]
    Wait(io::Error),
}

/// Why the store cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not open.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// Its servers are out of reach.
    #[error("{0}")]
    OutOfReach(Arc<str>),
    /// The system does not let us wait for it.
    #[error("cannot wait for the store: {0}")]
    Wait(io::Error),
}

/// What answers operations: a store, or what stands for one in a test.
pub(super) trait Answers {
    /// Has all of them done, one after the other, and gives the reply to each.
    fn ask(&mut self, ops: Vec<Op>) -> Result<Vec<Reply>, Silent>;
}

/// The configured store.
pub(super) struct Target {
    store: OpenStore,
    runtime: Alone,
    entrance: Entrance,
    /// Operations that are on their way at once. A store of many servers does not keep the order of more than one.
    window: usize,
}

/// The way into the store, within the runtime.
struct Entrance {
    store: Box<dyn Store>,
    inbox: Arc<Inbox>,
    watch: Watch,
    timers: Rc<Timers>,
    next_number: u64,
}

impl Target {
    pub(super) fn open(config: &Config) -> Result<Self, OpenError> {
        let inbox = Arc::new(Inbox::new().map_err(OpenError::Wait)?);
        let store = OpenStore::open(config, &[Arc::clone(&inbox)], &Arc::default())?;
        let (gate, health) = (store.gate(), store.health());
        let mut runtime = Alone::new().map_err(OpenError::Wait)?;
        let entrance = runtime.block_on(async {
            let timers = Rc::new(Timers::new().map_err(OpenError::Wait)?);
            let own = Rc::clone(&timers);
            runtime::spawn(async move {
                // Without it a wait has no end but its answer.
                drop(own.run().await);
            });
            let into = Arc::clone(&inbox);
            let receive = Box::new(move |delivery| into.deliver(&mut vec![delivery]));
            let watch = inbox.as_fd().try_clone_to_owned().and_then(Watch::new);
            let entrance = Entrance {
                store: gate.enter(&timers, receive),
                inbox,
                watch: watch.map_err(OpenError::Wait)?,
                timers,
                next_number: 0,
            };
            let deadline = entrance.timers.now().plus(REACH_MAX);
            while health.reached().try_recv().is_err() {
                if entrance.timers.now() >= deadline {
                    let trouble = health.trouble();
                    return Err(OpenError::OutOfReach(trouble.unwrap_or_default()));
                }
                entrance.timers.sleep(REACH_LOOK).await;
            }
            Ok(entrance)
        })?;
        Ok(Self {
            store,
            runtime,
            entrance,
            window: match config.store.kind {
                StoreKind::Embedded => usize::MAX,
                StoreKind::Redis => 1,
            },
        })
    }

    /// Makes everything durable and lets go of the store.
    pub(super) fn close(self) {
        self.store.close();
    }
}

impl Answers for Target {
    fn ask(&mut self, ops: Vec<Op>) -> Result<Vec<Reply>, Silent> {
        let entrance = &mut self.entrance;
        self.runtime.block_on(entrance.ask(ops, self.window))
    }
}

impl Entrance {
    async fn ask(&mut self, ops: Vec<Op>, window: usize) -> Result<Vec<Reply>, Silent> {
        let mut replies = Replies {
            first: self.next_number,
            in_order: ops.iter().map(|_| None).collect(),
            owed: 0,
        };
        for op in ops {
            let number = self.next_number;
            self.next_number += 1;
            while replies.owed >= window {
                replies.note(self.wait().await?);
            }
            loop {
                let ticket = Ticket { worker: 0, number };
                match self.store.submit(ticket, op.clone()) {
                    Ok(()) => replies.owed += 1,
                    // Our own operations are in the way.
                    Err(Refusal::Full(_)) if replies.owed > 0 => {
                        replies.note(self.wait().await?);
                        continue;
                    }
                    Err(refusal) => replies.put(number, Reply::Refused(refusal)),
                }
                break;
            }
        }
        while replies.owed > 0 {
            replies.note(self.wait().await?);
        }
        Ok(replies.in_order.into_iter().flatten().collect())
    }

    /// Waits until there are replies.
    async fn wait(&self) -> Result<Vec<Delivery>, Silent> {
        let mut deliveries = Vec::new();
        let mut late = pin!(self.timers.sleep(SILENCE_MAX));
        loop {
            self.inbox.arm();
            self.inbox.take(&mut deliveries);
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            let mut readable = pin!(self.watch.readable());
            poll_fn(|context| {
                if let Poll::Ready(ready) = readable.as_mut().poll(context) {
                    return Poll::Ready(ready.map_err(Silent::Wait));
                }
                let late = late.as_mut().poll(context);
                late.map(|()| Err(Silent::TooLong))
            })
            .await?;
        }
    }
}

/// Replies as they come in.
struct Replies {
    /// The number of the first operation.
    first: u64,
    in_order: Vec<Option<Reply>>,
    owed: usize,
}

impl Replies {
    fn note(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            self.owed = self.owed.saturating_sub(1);
            self.put(delivery.number, delivery.reply);
        }
    }

    fn put(&mut self, number: u64, reply: Reply) {
        let place = usize::try_from(number - self.first).ok();
        if let Some(place) = place.and_then(|at| self.in_order.get_mut(at)) {
            *place = Some(reply);
        }
    }
}
