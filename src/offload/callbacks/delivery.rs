//! From the spool to producers: the task that reads, posts, tries again and gives up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep_until, timeout_at};
use tracing::{debug, error, info};

use super::callback::Callback;
use super::client::Client;
use super::failure::Failure;
use super::kept::Kept;
use super::source::{self, Told};
use super::tally::Tally;
use super::window::{Waiting, Window};
use crate::config;
use crate::mailbox::{QueueName, TransactionId};
use crate::offload::jitter::jittered;
use crate::offload::notice::{self, Notice};
use crate::offload::spool::{Position, Reader};

/// What is read of the spool at once.
const READ_BYTES: usize = 64 * 1024;

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// How long what needs a lookup is put off when there are too many of them.
const LOOKUPS_WAIT: Duration = Duration::from_secs(5);

/// How often it is written down how far the spool is dealt with.
const SAVE_INTERVAL: Duration = Duration::from_millis(250);

/// How long to leave the spool alone after it could not be read or its cursor not be written.
const TROUBLE_WAIT: Duration = Duration::from_secs(1);

/// What callbacks on their way are given at a stop. Those that take longer are posted again after the next start.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Tells producers of what the spool has, until it is told to stop.
pub(in crate::offload) async fn run(
    reader: Reader,
    client: Client,
    settings: config::Callbacks,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) {
    let mut delivery = Delivery::new(reader, client, settings, tally);
    loop {
        delivery.begin_posts();
        delivery.show();
        delivery.tell_given_up();
        let wake = delivery.wake();
        let may_read = delivery.may_read();
        // All of these may be left off without loss.
        let Delivery { reader, posts, .. } = &mut delivery;
        let news = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(ended) = posts.join_next_with_id() => News::Ended(ended),
            () = reader.wait(), if may_read => News::Entries,
            () = sleep_until(wake.into()) => News::Time,
        };
        match news {
            News::Ended(ended) => delivery.conclude(ended),
            News::Entries => delivery.read().await,
            News::Time => {}
        }
        delivery.save_in_time().await;
    }
    delivery.end().await;
}

/// Also ends when nobody is left who could say it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a post came to.
type Ended = Result<(Id, Result<(), Failure>), JoinError>;

/// What there was to wait for.
enum News {
    Ended(Ended),
    Entries,
    Time,
}

struct Delivery {
    reader: Reader,
    window: Window,
    client: Client,
    kept: Kept,
    posts: JoinSet<Result<(), Failure>>,
    /// What each of the posts is about.
    posted: HashMap<Id, Waiting>,
    settings: config::Callbacks,
    tally: Arc<Tally>,
    saved: Position,
    save_at: Instant,
    read_at: Instant,
    trouble: Notice,
    given_up: Option<GivenUp>,
    giving_up: Notice,
}

impl Delivery {
    fn new(reader: Reader, client: Client, settings: config::Callbacks, tally: Arc<Tally>) -> Self {
        let saved = reader.cursor();
        let now = Instant::now();
        Self {
            window: Window::new(&settings, saved),
            reader,
            client,
            kept: Kept::new(settings.timeout),
            posts: JoinSet::new(),
            posted: HashMap::new(),
            settings,
            tally,
            saved,
            save_at: now,
            read_at: now,
            trouble: Notice::default(),
            given_up: None,
            giving_up: Notice::default(),
        }
    }

    fn begin_posts(&mut self) {
        let now = Instant::now();
        while let Some(waiting) = self.window.next(now) {
            let callback = waiting.callback.clone();
            let keeps = self.kept.may_keep(callback.target.host(), now);
            let post = self.posts.spawn(self.client.clone().post(callback, keeps));
            self.posted.insert(post.id(), waiting);
        }
    }

    fn show(&self) {
        let oldest = self.window.oldest().unwrap_or_default();
        self.tally.set_waiting(self.window.waiting(), oldest.0);
    }

    fn may_read(&self) -> bool {
        self.window.has_room() && self.read_at <= Instant::now()
    }

    /// When something is to be done, whatever happens until then.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let save = (self.window.cursor() > self.saved).then_some(self.save_at);
        let read = (self.read_at > now).then_some(self.read_at);
        let idle = now + notice::EVERY;
        [self.window.next_retry(), save, read]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }

    async fn read(&mut self) {
        let entries = match self.reader.read(READ_BYTES).await {
            Ok(entries) => entries,
            Err(error) => {
                if self.trouble.is_due(Instant::now().into()) {
                    error!(%error, "callbacks wait: the spool cannot be read");
                }
                self.read_at = Instant::now() + TROUBLE_WAIT;
                return;
            }
        };
        for entry in entries {
            let told = source::read(&entry.bytes).unwrap_or_else(|error| {
                self.tally.count_undecodable();
                let position = entry.position.0;
                if self.trouble.is_due(Instant::now().into()) {
                    error!(%error, position, "an entry of the spool is passed over");
                }
                Told::default()
            });
            for (transaction, queue, failure) in told.lost {
                self.give_up(transaction, &queue, None, failure);
            }
            self.window.take_in(told.at, entry.end, told.callbacks);
        }
    }

    fn conclude(&mut self, ended: Ended) {
        let (id, result) = ended.unwrap_or_else(|error| {
            // A bug of ours or of a library, to be met again, and a callback like any other.
            (error.id(), Err(Failure::Exchange("panic".into())))
        });
        let Some(mut waiting) = self.posted.remove(&id) else {
            return;
        };
        let Err(failure) = result else {
            self.tally.count_sent();
            self.window.finish(&waiting);
            return;
        };
        let wait = if matches!(failure, Failure::LookupsBusy) {
            LOOKUPS_WAIT // and no failure of its own: nothing was tried
        } else {
            waiting.failures += 1;
            backoff(self.settings.backoff, waiting.failures)
        };
        let Callback {
            transaction,
            queue,
            target,
            ..
        } = &waiting.callback;
        if failure.is_final() || waiting.failures >= self.settings.attempts {
            self.give_up(*transaction, queue, Some(target.host()), failure);
            self.window.finish(&waiting);
            return;
        }
        let (queue, host, attempts) = (queue.id(), &**target.host(), waiting.failures);
        debug!(target: "callback", %transaction, queue, host, attempts, %failure, "to be tried again");
        self.tally.count_retried();
        self.window.postpone(waiting, Instant::now() + wait);
    }

    fn give_up(
        &mut self,
        transaction: TransactionId,
        queue: &QueueName,
        host: Option<&Arc<str>>,
        failure: Failure,
    ) {
        self.tally.count_failed();
        let (queue, name) = (queue.id(), host.map(|host| &**host));
        debug!(target: "callback", %transaction, queue, host = name, %failure, "given up");
        let before = self.given_up.take().map_or(0, |given_up| given_up.count);
        self.given_up = Some(GivenUp {
            count: before + 1,
            host: host.cloned(),
            failure,
        });
    }

    /// Producers may name as many URLs that are given up as they like: the log has a line for many.
    fn tell_given_up(&mut self) {
        if let Some(given_up) = self
            .given_up
            .take_if(|_| self.giving_up.is_due(Instant::now().into()))
        {
            given_up.tell();
        }
    }

    async fn save_in_time(&mut self) {
        if self.save_at <= Instant::now() {
            self.save().await;
        }
    }

    async fn save(&mut self) {
        let cursor = self.window.cursor();
        if cursor <= self.saved {
            return;
        }
        let wait = match self.reader.done(cursor).await {
            Ok(()) => {
                self.saved = cursor;
                SAVE_INTERVAL
            }
            Err(error) => {
                if self.trouble.is_due(Instant::now().into()) {
                    error!(%error, "what was called back cannot be written down");
                }
                TROUBLE_WAIT
            }
        };
        self.save_at = Instant::now() + wait;
    }

    /// What does not end now is posted again after the next start.
    async fn end(mut self) {
        let until = tokio::time::Instant::now() + STOP_GRACE;
        while let Ok(Some(ended)) = timeout_at(until, self.posts.join_next_with_id()).await {
            self.conclude(ended);
        }
        self.show();
        if let Some(given_up) = self.given_up.take() {
            given_up.tell();
        }
        self.save().await;
    }
}

/// What was given up and is not told yet.
struct GivenUp {
    count: u64,
    /// Of the last one, if it has one.
    host: Option<Arc<str>>,
    /// Of the last one.
    failure: Failure,
}

impl GivenUp {
    fn tell(self) {
        let (count, host, failure) = (self.count, self.host.as_deref(), self.failure);
        info!(target: "callback", count, host, %failure, "given up");
    }
}

/// The wait after so many failures: doubled with each, and shortened by up to a half at random.
fn backoff(first: Duration, failures: usize) -> Duration {
    let doublings = u32::try_from(failures)
        .unwrap_or(u32::MAX)
        .saturating_sub(1);
    let whole = first.saturating_mul(2_u32.saturating_pow(doublings));
    jittered(whole.min(BACKOFF_MAX))
}
