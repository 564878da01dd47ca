//! Callbacks from the spool to receivers on this machine.

mod cursor;
mod exchange;
mod order;
mod receiver;
mod window;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::config;
use crate::mailbox::{QueueName, Realm, State, Tenant, TransactionId, UnixMillis};
use crate::offload::spool::{self, Limits, Writer};
use crate::offload::{Event, Messages, NewStates};
use receiver::{OK, Receiver};

/// Nothing takes that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// 2026-11-21T16:33:25.157Z
const AT: UnixMillis = UnixMillis(1_795_278_805_157);

/// Callbacks to this machine, tried again at once.
fn settings() -> config::Callbacks {
    config::Callbacks {
        allow_private: true,
        backoff: Duration::from_millis(1),
        timeout: PATIENCE * 2,
        ..config::Callbacks::default()
    }
}

fn id(number: u8) -> TransactionId {
    TransactionId::from_random([number; 16])
}

fn queue(id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant(Some("org".into())), id)
}

/// A transaction is delivered to all of its queues.
fn delivered(transaction: u8, url: &str, queues: &[&str]) -> Event {
    Event::States(NewStates {
        at: AT,
        state: State::Delivered,
        messages: Messages::OfTransaction {
            id: id(transaction),
            callback: Some(url.into()),
            queues: queues.iter().map(|id| queue(id)).collect(),
        },
    })
}

/// The task under test, with the spool that it reads.
struct Pool {
    writer: Writer,
    tally: Arc<Tally>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Pool {
    fn start(folder: &Path, settings: config::Callbacks) -> Self {
        let client = Client::new(&settings).unwrap();
        Self::start_with(folder, settings, client)
    }

    fn start_with(folder: &Path, settings: config::Callbacks, client: Client) -> Self {
        let limits = Limits {
            bytes_max: 1 << 30,
            segment_bytes: 1 << 20,
        };
        let (writer, mut readers) = spool::open(folder, limits, &["callbacks"]).unwrap();
        let tally = Arc::new(Tally::default());
        let (stop, stopped) = watch::channel(false);
        let reader = readers.remove(0);
        let task = tokio::spawn(run(reader, client, settings, Arc::clone(&tally), stopped));
        Self {
            writer,
            tally,
            stop,
            task,
        }
    }

    fn tell(&mut self, event: &Event) {
        self.append(&postcard::to_allocvec(event).unwrap());
    }

    fn append(&mut self, entry: &[u8]) {
        self.writer.append(entry).unwrap();
        self.writer.flush().unwrap();
    }

    async fn eventually(&self, what: &str, holds: impl Fn(&Tally) -> bool) {
        let poll = async {
            while !holds(&self.tally) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let held = timeout(PATIENCE, poll).await;
        assert!(held.is_ok(), "{what}: {:?}", self.tally);
    }

    async fn stop(self) -> Arc<Tally> {
        self.stop.send(true).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
        self.tally
    }
}

#[test]
fn a_url_is_one_whatever_becomes_of_it() {
    for text in [
        "http://a",
        "https://a/b?c",
        "ftp://a",
        "http://127.0.0.1",
        "a:b",
    ] {
        assert!(is_url(text), "{text}");
    }
    for text in ["", "a", "/a", "http://", "http://[", "example.com/a"] {
        assert!(!is_url(text), "{text}");
    }
}
