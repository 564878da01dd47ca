//! How workers read history back.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Semaphore};
use tracing::warn;

use super::history::{History, Past, Span, Unavailable};
use crate::{
    config::User,
    mailbox::{QueueName, TransactionId},
    runtime::Inbox,
};

/// Inquiries under way; one more is refused.
const INQUIRIES_MAX: usize = 8;

/// A trouble that lasts is logged this often.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

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
            Self::OfTransaction { id, span, .. } => Self::OfTransaction {
                id,
                span,
                reader: Some(Arc::clone(user)),
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
}

/// A worker's way to history.
#[derive(Clone)]
pub struct Historian {
    pool: Handle,
    history: Arc<History>,
    inboxes: Arc<[Arc<Inbox<Recollection>>]>,
    places: Arc<Semaphore>,
    told: Arc<Mutex<Option<Instant>>>,
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
            told: Arc::default(),
        }
    }

    /// Reads something back; what there was comes into the inbox of that worker.
    pub fn ask(&self, worker: u16, number: u64, inquiry: Inquiry) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.answer(worker, number, Err(Unread::Busy));
            return;
        };
        let this = self.clone();
        self.pool.spawn(async move {
            let memories = this.read(inquiry).await;
            this.answer(worker, number, memories);
            drop(place);
        });
    }

    async fn read(&self, inquiry: Inquiry) -> Memories {
        let found = match inquiry {
            Inquiry::OfTransaction { id, span, reader } => {
                let tenants = reader.as_ref().and_then(|reader| reader.tenants.as_deref());
                self.history.of_transaction(id, tenants, span).await
            }
            Inquiry::OfQueue { queue, span } => self.history.of_queue(&queue, span).await,
        };
        found.map_err(|error| {
            self.tell(&error);
            Unread::Away
        })
    }

    fn tell(&self, error: &Unavailable) {
        // Nothing can be broken about a time.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= LOG_INTERVAL) {
            *told = Some(Instant::now());
            warn!("{error}; not every further read that fails is told");
        }
    }

    fn answer(&self, worker: u16, number: u64, memories: Memories) {
        if let Some(inbox) = self.inboxes.get(usize::from(worker)) {
            inbox.deliver(&mut vec![Recollection { number, memories }]);
        }
    }
}

impl fmt::Debug for Historian {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Historian").finish_non_exhaustive()
    }
}
