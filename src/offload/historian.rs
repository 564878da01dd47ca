//! How workers read history back.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};
use tracing::warn;

use super::{
    history::{History, Past, Span, Unavailable},
    notice::Notice,
};
use crate::{
    config::User,
    mailbox::{QueueName, TransactionId},
    runtime::Inbox,
    vital::Vital,
};

/// Inquiries under way; one more is refused.
const INQUIRIES_MAX: usize = 8;

/// How long nothing is read after a read that failed: whoever asks meanwhile would only wait as well.
const RESPITE: Duration = Duration::from_secs(2);

/// What to read back.
#[derive(Clone, Debug)]
pub enum Inquiry {
    /// What happened to a transaction.
    OfTransaction {
        /// Which one.
        id: TransactionId,
        /// Which part of it.
        span: Span,
        /// Who may see nothing of other tenants than their own; none: all of it is asked for.
        reader: Option<Arc<User>>,
        /// How long it is worth waiting for.
        wait_max: Duration,
    },
    /// What happened in a queue.
    OfQueue {
        /// Which one.
        queue: QueueName,
        /// Which part of it.
        span: Span,
    },
}

impl Inquiry {
    /// The same for somebody who may not see everything.
    #[must_use]
    pub fn for_reader(self, user: &Arc<User>) -> Self {
        match self {
            Self::OfTransaction {
                id, span, wait_max, ..
            } => Self::OfTransaction {
                id,
                span,
                reader: Some(Arc::clone(user)),
                wait_max,
            },
            // A queue is its tenant's, which is looked at before.
            of_queue @ Self::OfQueue { .. } => of_queue,
        }
    }
}

/// Events in the order of time, or why there are none.
pub type Memories = Result<Past, Unread>;

/// Why history cannot be read now. What exactly is wrong is for the log: it may name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There is none.
    #[error("history is off")]
    Off,
    /// Others are reading it, as many as may.
    #[error("history is busy")]
    Busy,
    /// MongoDB does not answer.
    #[error("history is unavailable")]
    Away,
}

/// What was read back for somebody.
#[derive(Debug)]
pub struct Recollection {
    /// The number under which it was asked for.
    pub number: u64,
    /// What there was.
    pub memories: Memories,
    /// Held for as long as that is not settled, so that no more is in memory than there are places.
    _place: Option<OwnedSemaphorePermit>,
}

impl Recollection {
    /// There is nothing to be had.
    pub fn none(number: u64, reason: Unread) -> Self {
        Self {
            number,
            memories: Err(reason),
            _place: None,
        }
    }
}

/// A worker's way to history.
#[derive(Clone)]
pub struct Historian {
    pool: Handle,
    history: Arc<History>,
    inboxes: Arc<[Arc<Inbox<Recollection>>]>,
    places: Arc<Semaphore>,
    troubles: Arc<Mutex<Troubles>>,
}

/// When there were some.
#[derive(Default)]
struct Troubles {
    failed: Option<Instant>,
    notice: Notice,
}

impl Historian {
    pub(super) fn new(
        pool: Handle,
        history: Arc<History>,
        inboxes: Vec<Arc<Inbox<Recollection>>>,
    ) -> Self {
        Self {
            pool,
            history,
            inboxes: inboxes.into(),
            places: Arc::new(Semaphore::new(INQUIRIES_MAX)),
            troubles: Arc::default(),
        }
    }

    /// Reads something back; what there was comes into the inbox of that worker. Whoever does not want it any more
    /// is to abort that.
    pub fn ask(&self, worker: u16, number: u64, inquiry: Inquiry) -> Option<AbortHandle> {
        let place = match self.take_place() {
            Ok(place) => place,
            Err(reason) => {
                self.answer(worker, Recollection::none(number, reason));
                return None;
            }
        };
        let this = self.clone();
        let reading = self.pool.spawn(async move {
            // Without an answer its client would wait for ever.
            let _vital = Vital::thread();
            let recollection = Recollection {
                number,
                memories: this.read(inquiry).await,
                _place: Some(place),
            };
            this.answer(worker, recollection);
        });
        Some(reading.abort_handle())
    }

    fn take_place(&self) -> Result<OwnedSemaphorePermit, Unread> {
        let failed = self.troubles().failed;
        if failed.is_some_and(|failed| failed.elapsed() < RESPITE) {
            return Err(Unread::Away);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| Unread::Busy)
    }

    async fn read(&self, inquiry: Inquiry) -> Memories {
        let found = match inquiry {
            Inquiry::OfTransaction {
                id,
                span,
                reader,
                wait_max,
            } => {
                let tenants = reader.as_ref().and_then(|reader| reader.tenants.as_deref());
                let reading = self.history.of_transaction(id, tenants, span);
                // To others it may still come in time.
                let read = tokio::time::timeout(wait_max, reading).await;
                read.map_err(|_| Unread::Away)?
            }
            Inquiry::OfQueue { queue, span } => self.history.of_queue(&queue, span).await,
        };
        found.map_err(|error| {
            self.note(&error);
            Unread::Away
        })
    }

    fn note(&self, error: &Unavailable) {
        let now = Instant::now();
        let mut troubles = self.troubles();
        troubles.failed = Some(now);
        if troubles.notice.is_due(now.into()) {
            warn!("{error}; not every further read that fails is told");
        }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        // Nothing can be broken about times.
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, worker: u16, recollection: Recollection) {
        if let Some(inbox) = self.inboxes.get(usize::from(worker)) {
            inbox.deliver(&mut vec![recollection]);
        }
    }
}

impl fmt::Debug for Historian {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Historian").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config;

    /// Longer than any test waits.
    const NEVER: Duration = Duration::from_mins(5);

    /// Whoever asks a MongoDB that says nothing.
    struct Stage {
        historian: Historian,
        inbox: Arc<Inbox<Recollection>>,
        _listener: TcpListener,
    }

    impl Stage {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let uri = format!("mongodb://{}/", listener.local_addr().unwrap());
            let settings = config::History {
                uri: Some(uri.parse().unwrap()),
                timeout: NEVER,
                ..config::History::default()
            };
            let history = Arc::new(History::new(settings, String::new()));
            let inbox = Arc::new(Inbox::new().unwrap());
            let inboxes = vec![Arc::clone(&inbox)];
            Self {
                historian: Historian::new(Handle::current(), history, inboxes),
                inbox,
                _listener: listener,
            }
        }

        fn ask(&self, wait_max: Duration) -> Option<AbortHandle> {
            let inquiry = Inquiry::OfTransaction {
                id: TransactionId::from_random([0; 16]),
                span: Span::default(),
                reader: None,
                wait_max,
            };
            self.historian.ask(0, 0, inquiry)
        }

        async fn answer(&self) -> Recollection {
            let mut answers = Vec::new();
            while answers.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.inbox.take(&mut answers);
            }
            answers.remove(0)
        }

        fn is_free(&self) -> bool {
            self.historian.places.available_permits() == INQUIRIES_MAX
        }
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_the_inquiry_is_dropped() {
        let stage = Stage::new();
        let inquiries: Vec<_> = (0..INQUIRIES_MAX).map(|_| stage.ask(NEVER)).collect();
        assert!(stage.ask(NEVER).is_none());
        assert_eq!(stage.answer().await.memories, Err(Unread::Busy));
        for inquiry in inquiries {
            inquiry.unwrap().abort();
        }
        while !stage.is_free() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_answer_is_settled() {
        let stage = Stage::new();
        // Worth waiting for no longer than this.
        stage.ask(Duration::from_millis(1));
        let answer = stage.answer().await;
        assert_eq!(answer.memories, Err(Unread::Away));
        assert!(!stage.is_free());
        drop(answer);
        assert!(stage.is_free());
    }

    #[tokio::test]
    async fn a_failure_is_the_answer_for_a_while() {
        let stage = Stage::new();
        stage.historian.troubles().failed = Some(Instant::now());
        assert!(stage.ask(NEVER).is_none());
        assert_eq!(stage.answer().await.memories, Err(Unread::Away));
        stage.historian.troubles().failed = Instant::now().checked_sub(RESPITE);
        assert!(stage.ask(NEVER).is_some());
    }
}
