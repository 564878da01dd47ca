//! A spool, a history that writes what is in it, and a MongoDB that it writes to.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection, Database};
use popbox_test_support::{Mongo, scratch};
use tempfile::TempDir;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use super::super::History;
use crate::config::{self, Sink, SinkEvent};
use crate::mailbox::{QueueName, Realm, State, Tenant, TransactionId, UnixMillis};
use crate::offload::spool::{self, Limits, Reader, Writer};
use crate::offload::{Action, Event, Messages, NewStates};

/// How long something that is to happen may take, on a machine that has other work.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How much one who is stopped may take: less than what was under way would.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// What the reader of the spool is called.
const READER: &str = "history";

pub(super) struct Stage {
    pub(super) mongo: Mongo,
    pub(super) history: Arc<History>,
    settings: config::History,
    spool: Option<Writer>,
    /// Until it runs.
    reader: Option<Reader>,
    running: Option<(JoinHandle<()>, watch::Sender<bool>)>,
    folder: TempDir,
    /// To look with.
    client: OnceCell<Client>,
}

/// What most tests want: quick, and nothing expires.
pub(super) fn settings(mongo: &Mongo) -> config::History {
    config::History {
        uri: Some(mongo.uri().parse().unwrap()),
        database: mongo.database().to_owned(),
        batch: 7,
        batch_age: Duration::from_millis(5),
        retention: Duration::ZERO,
        backoff: Duration::from_millis(100),
        ..config::History::default()
    }
}

pub(super) fn sink(event: SinkEvent, collection: &str) -> Sink {
    Sink {
        event,
        collection: collection.to_owned(),
        filter: Vec::new(),
        take: Vec::new(),
    }
}

impl Stage {
    /// A history that is not yet running.
    pub(super) fn new(mongo: Mongo, settings: config::History) -> Self {
        let history = History::new(settings.clone(), "agent-1".to_owned());
        let mut stage = Self {
            mongo,
            history: Arc::new(history),
            settings,
            spool: None,
            reader: None,
            running: None,
            folder: scratch(),
            client: OnceCell::new(),
        };
        // So that events can be told before it runs.
        stage.reader = Some(stage.open());
        stage
    }

    fn open(&mut self) -> Reader {
        self.spool = None;
        let limits = Limits {
            bytes_max: 1 << 30,
            segment_bytes: 4 << 20,
        };
        let (spool, mut readers) = spool::open(self.folder.path(), limits, &[READER]).unwrap();
        self.spool = Some(spool);
        readers.pop().unwrap()
    }

    pub(super) fn start(&mut self) {
        let reader = self.reader.take().unwrap_or_else(|| self.open());
        let (stop, stopping) = watch::channel(false);
        self.history = Arc::new(History::new(self.settings.clone(), "agent-1".to_owned()));
        let history = Arc::clone(&self.history);
        let run = async move { history.run(reader, stopping).await };
        self.running = Some((tokio::spawn(run), stop));
    }

    pub(super) async fn stop(&mut self) {
        let (run, stop) = self.running.take().unwrap();
        stop.send_replace(true);
        let ended = tokio::time::timeout(STOP_PATIENCE, run).await;
        ended.expect("it stops").unwrap();
    }

    /// Lets the reader begin anew, as after a crash.
    pub(super) fn forget_cursor(&mut self) {
        self.spool = None;
        fs::write(self.folder.path().join(format!("{READER}.cursor")), "").unwrap();
    }

    pub(super) fn tell(&mut self, event: &Event) {
        self.tell_bytes(&postcard::to_allocvec(event).unwrap());
    }

    pub(super) fn tell_bytes(&mut self, bytes: &[u8]) {
        let spool = self.spool.as_mut().unwrap();
        spool.append(bytes).unwrap();
        spool.flush().unwrap();
    }

    /// Waits until it has done so.
    pub(super) async fn until(&self, what: &str, mut holds: impl FnMut(&History) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.history) {
            assert!(Instant::now() < deadline, "still not so: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many documents are there, and nothing is left to be done.
    pub(super) async fn until_there_are(&self, documents: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let tally = self.history.tally();
            let is_done = tally.behind() == 0 && tally.oldest().is_none();
            let count = self.count().await;
            if count == documents && is_done {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{count} documents of {documents}, {tally:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Documents in all collections.
    async fn count(&self) -> u64 {
        let database = self.database().await;
        let mut count = 0;
        for name in &self.history.collections {
            let collection = database.collection::<Document>(name);
            count += collection.count_documents(doc! {}).await.unwrap();
        }
        count
    }

    async fn client(&self) -> &Client {
        let connecting = async || Client::with_uri_str(self.mongo.uri()).await.unwrap();
        self.client.get_or_init(connecting).await
    }

    pub(super) async fn database(&self) -> Database {
        self.client().await.database(self.mongo.database())
    }

    pub(super) async fn collection(&self, name: &str) -> Collection<Document> {
        self.database().await.collection(name)
    }

    /// Everything in a collection, in the order of ids.
    pub(super) async fn documents(&self, collection: &str) -> Vec<Document> {
        let collection = self.collection(collection).await;
        let mut cursor = collection
            .find(doc! {})
            .sort(doc! {"_id": 1})
            .await
            .unwrap();
        let mut documents = Vec::new();
        while cursor.advance().await.unwrap() {
            documents.push(cursor.deserialize_current().unwrap());
        }
        documents
    }

    /// Lets the server answer commands otherwise.
    pub(super) async fn fail(&self, times: i32, data: Document) {
        let client = self.client().await;
        let mode = doc! {"times": times};
        let command = doc! {"configureFailPoint": "failCommand", "mode": mode, "data": data};
        let admin = client.database("admin");
        admin.run_command(command).await.unwrap();
    }

    /// Stops, and leaves nothing in a server that stays.
    pub(super) async fn end(mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        self.database().await.drop().await.unwrap();
    }
}

pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

pub(super) fn plain(id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant(None), id)
}

pub(super) fn transaction(number: u8) -> TransactionId {
    TransactionId::from_random([number; 16])
}

/// A transaction's messages have a new state.
pub(super) fn states(
    id: TransactionId,
    at: UnixMillis,
    state: State,
    queues: Vec<QueueName>,
) -> Event {
    let messages = Messages::OfTransaction {
        id,
        callback: None,
        queues,
    };
    Event::States(NewStates {
        at,
        state,
        messages,
    })
}

/// One message has a new state, now.
pub(super) fn state(number: u8, state: State) -> Event {
    states(transaction(number), now(), state, vec![plain("q")])
}

/// Something was asked for.
pub(super) fn action(at: UnixMillis, error: Option<&str>) -> Event {
    Event::Action(Box::new(Action {
        at,
        action: "USERPOP".into(),
        realm: Realm::Plain,
        tenant: Tenant(None),
        queue: Some("q".into()),
        transaction: None,
        max_msg: None,
        total_msg: None,
        postdata: None,
        error: error.map(Into::into),
    }))
}
