//! Servers, and workers that use them, on one thread and in one runtime.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use monoio::{LegacyDriver, Runtime, RuntimeBuilder};

use super::server::Server;
use crate::{
    config::Config,
    mailbox::{
        Limits, Op, Reply, Ticket, UnixMillis,
        engine::model_test::{ASKER, Told},
    },
    runtime::{self, Timers},
    store::{
        Delivery, Transitions,
        redis::{Gate, client::Client},
    },
};

/// Which servers there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// One for everything.
    One,
    /// Two for queues, one for transactions.
    Three,
}

/// A thread's runtime and the servers.
pub(super) struct Bench {
    runtime: RefCell<Runtime<LegacyDriver>>,
    timers: Rc<Timers>,
    pub(super) queues: Vec<Server>,
    transactions: Option<Server>,
}

/// Agents with one worker each that use the same servers.
pub(super) struct Agents {
    pub(super) bench: Rc<Bench>,
    config: Config,
    workers: Vec<Worker>,
    tickets: u64,
    /// What they tell of messages.
    told: Arc<Mutex<Vec<Told>>>,
    transitions: Arc<Transitions>,
}

/// A worker of an agent.
pub(super) struct Worker {
    pub(super) client: Rc<Client>,
    received: Rc<RefCell<Vec<Delivery>>>,
}

impl Bench {
    pub(super) fn new(layout: Layout) -> Rc<Self> {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new().build().unwrap();
        let timers = Rc::new(Timers::new().unwrap());
        let running = Rc::clone(&timers);
        runtime.block_on(async {
            runtime::spawn(async move { running.run().await.unwrap() });
        });
        let (queues, transactions) = match layout {
            Layout::One => (1, None),
            Layout::Three => (2, Some(Server::start())),
        };
        Rc::new(Self {
            runtime: RefCell::new(runtime),
            timers,
            queues: (0..queues).map(|_| Server::start()).collect(),
            transactions,
        })
    }

    pub(super) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.borrow_mut().block_on(task)
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.queues.iter().chain(&self.transactions)
    }

    /// The server of transactions.
    pub(super) fn transactions(&self) -> &Server {
        self.transactions.as_ref().unwrap_or(&self.queues[0])
    }
}

impl Agents {
    /// So many, with servers that are empty.
    pub(super) fn start(
        bench: &Rc<Bench>,
        count: usize,
        limits: &Limits,
        now: Option<UnixMillis>,
    ) -> Self {
        for server in bench.servers() {
            server.ask(&["FLUSHALL"]);
        }
        let mut config = Config::default();
        config.redis.queues = bench.queues.iter().map(Server::address).collect();
        config.redis.transactions = bench.transactions.iter().map(Server::address).collect();
        // Tests say themselves when something is to be looked after. A worker is there for five of these.
        config.redis.sweep = Duration::from_hours(24 * 100);
        config.limits.max_queues = limits.queues_per_transaction_max;
        config.limits.max_pop = limits.listed_messages_max;
        config.limits.queue_retention = limits.queue_retention;
        config.limits.max_waiters = limits.waiters_max;
        config.limits.max_deliveries = usize::try_from(limits.deliveries_max).unwrap();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let into = Arc::clone(&told);
        let transitions = Transitions::told_to(Arc::new(move |queue, ids, state| {
            let each = ids.into_iter();
            let told = each.map(|id| Told::of(queue.clone(), id, state));
            into.lock().unwrap().extend(told);
        }));
        let mut agents = Self {
            bench: Rc::clone(bench),
            config,
            workers: Vec::new(),
            tickets: 0,
            told,
            transitions: Arc::new(transitions),
        };
        agents.connect(count, now);
        agents
    }

    fn connect(&mut self, count: usize, now: Option<UnixMillis>) {
        let bench = Rc::clone(&self.bench);
        bench.run(async {
            for _ in 0..count {
                let gate = Gate::open(&self.config, 1, Arc::clone(&self.transitions)).unwrap();
                let received = Rc::new(RefCell::new(Vec::new()));
                let into = Rc::clone(&received);
                let receive = Box::new(move |delivery| into.borrow_mut().push(delivery));
                let client = gate.connect(&bench.timers, receive);
                self.workers.push(Worker { client, received });
            }
            if let Some(now) = now {
                self.set_time(now);
            }
            while !self.workers.iter().all(Worker::is_up) {
                bench.timers.sleep(Duration::from_millis(1)).await;
            }
            self.calm().await;
        });
    }

    /// All end without a word, and as many others come.
    pub(super) fn crash(&mut self, now: Option<UnixMillis>) {
        let gone = std::mem::take(&mut self.workers);
        let bench = Rc::clone(&self.bench);
        bench.run(async {
            for connection in gone.iter().flat_map(Worker::connections) {
                connection.close().await;
            }
        });
        // It takes the servers a moment to see it; until then what they hand over to them is lost.
        for server in bench.servers() {
            while !server.texts(&["PUBSUB", "CHANNELS"]).is_empty() {}
        }
        self.connect(gone.len(), now);
    }

    /// Makes it this time for everybody.
    pub(super) fn set_time(&self, now: UnixMillis) {
        for worker in &self.workers {
            let Client {
                shards, records, ..
            } = &*worker.client;
            let clocks = shards.iter().map(|it| &it.clock);
            for clock in clocks.chain(records.iter().map(|it| &it.clock)) {
                clock.fix(now);
            }
        }
    }

    /// One that a number chooses.
    pub(super) fn worker(&self, number: u64) -> &Worker {
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        &self.workers[usize::try_from(spread).unwrap() % self.workers.len()]
    }

    /// Waits until nobody has anything to do and everything that was published has come.
    pub(super) async fn calm(&self) {
        loop {
            let was_idle = self.is_idle();
            self.round_trip().await;
            if was_idle && self.is_idle() {
                return;
            }
        }
    }

    /// Answers come in the order of the questions, and before them what was published before they were asked.
    pub(super) async fn round_trip(&self) {
        let connections = self.workers.iter().flat_map(Worker::connections);
        let pings: Vec<_> = connections.map(|it| it.call(&[b"PING"])).collect();
        for ping in pings {
            ping.await.unwrap();
        }
    }

    fn is_idle(&self) -> bool {
        self.workers.iter().all(|it| it.client.is_idle())
    }

    /// Does what fell due, through one of the workers.
    pub(super) async fn sweep(&self, number: u64) {
        let client = &self.worker(number).client;
        for server in 0..client.shards.len() {
            client.sweep_shard(server).await;
        }
        self.calm().await;
        for server in 0..client.records.len() {
            client.claim_delayed(server).await;
        }
        self.calm().await;
    }

    /// Asks the worker that the ticket's number chooses, or for a cancel the one that is asked to cancel.
    pub(super) fn submit(&self, ticket: Ticket, op: Op) {
        let chosen = match &op {
            Op::CancelPop { ticket: waits, .. } => waits,
            _ => &ticket,
        };
        let client = &self.worker(chosen.number).client;
        client.begin(ticket.number, op);
    }

    /// Tickets are numbered in the order of the operations.
    pub(super) fn next_ticket(&self) -> Ticket {
        Ticket {
            worker: ASKER,
            number: self.tickets + 1,
        }
    }

    /// Asks for operations, all at once, each of another worker; gives the replies to them and to others that they
    /// have led to.
    pub(super) fn tell_all(&mut self, ops: impl Iterator<Item = Op>) -> Vec<(Ticket, Reply)> {
        let bench = Rc::clone(&self.bench);
        bench.run(async {
            for op in ops {
                self.submit(self.next_ticket(), op);
                self.tickets += 1;
            }
            self.calm().await;
        });
        self.replies()
    }

    /// All replies that an operation leads to.
    pub(super) fn tell(&mut self, op: Op) -> Vec<Reply> {
        self.answers([op].into_iter())
    }

    /// All replies that operations lead to.
    pub(super) fn answers(&mut self, ops: impl Iterator<Item = Op>) -> Vec<Reply> {
        self.tell_all(ops).into_iter().map(|it| it.1).collect()
    }

    /// The reply to an operation, which is the only one.
    pub(super) fn answer(&mut self, op: Op) -> Reply {
        let mut replies = self.tell(op);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    /// Does what fell due; what comes of it.
    pub(super) fn look_after(&mut self) -> Vec<(Ticket, Reply)> {
        let bench = Rc::clone(&self.bench);
        bench.run(self.sweep(0));
        self.replies()
    }

    /// How many deaths they have told of.
    pub(super) fn deaths(&self) -> u64 {
        self.transitions.deaths()
    }

    /// What they have told of messages since this was asked last.
    pub(super) fn told(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    /// Replies that have come. Those of several workers have no order among them, so it is that of the asking.
    pub(super) fn replies(&self) -> Vec<(Ticket, Reply)> {
        let mut all = Vec::new();
        for worker in &self.workers {
            let deliveries = worker.received.take();
            all.extend(
                deliveries
                    .into_iter()
                    .map(|Delivery { number, reply, .. }| {
                        let ticket = Ticket {
                            worker: ASKER,
                            number,
                        };
                        (ticket, reply)
                    }),
            );
        }
        all.sort_by_key(|it| it.0);
        all
    }
}

impl Worker {
    fn connections(&self) -> impl Iterator<Item = &super::super::Connection> {
        let Client {
            shards, records, ..
        } = &*self.client;
        let shards = shards.iter().map(|it| &it.connection);
        shards.chain(records.iter().map(|it| &it.connection))
    }

    fn is_up(&self) -> bool {
        self.connections().all(super::super::Connection::is_up)
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        let bench = Rc::clone(&self.bench);
        if !std::thread::panicking() {
            bench.run(async {
                for connection in self.workers.iter().flat_map(Worker::connections) {
                    connection.close().await;
                }
            });
        }
    }
}
