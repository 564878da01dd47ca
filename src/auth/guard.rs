//! Checks logins on threads of its own, and remembers those that were right.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use blake2::{Blake2s256, Digest as _};
use crossbeam::channel::{Receiver, Sender, bounded};
use tracing::error;

use super::{
    Login,
    failures::Failures,
    known::Known,
    network::Network,
    record::random,
    verification::{Right, Verification, credentials},
};
use crate::{
    config::{Auth, User},
    mailbox::{QueueName, Realm},
    runtime::Inbox,
    vital::Vital,
};

/// Who wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The worker whose inbox gets the verdict.
    pub worker: u16,
    /// By which the worker knows what the verdict is on.
    pub number: u64,
    /// Whence the client comes.
    pub address: IpAddr,
}

/// What somebody logs in to.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A secured queue, of whose user this is kept. The admin's login is right for each.
    Queue {
        /// Which.
        queue: QueueName,
        /// As [`Record::parse`](super::Record::parse) reads it.
        record: Box<str>,
    },
    /// What users of the configuration may do, the admin too.
    User,
}

/// Who somebody turned out to be.
#[derive(Clone, Debug)]
pub enum Grant {
    /// The admin.
    Admin,
    /// The user of the queue.
    Queue,
    /// A user of the configuration.
    User(Arc<User>),
}

/// What is known at once of a login.
#[derive(Debug)]
pub enum Check {
    /// It was found right lately.
    Known(Grant),
    /// Too many were wrong; more can be tried after that time.
    Limited {
        /// At most a minute.
        retry_after: Duration,
    },
    /// More are being checked than may be.
    Busy,
    /// A [`Verdict`] will come.
    Pending,
}

/// What came of something that took its time.
#[derive(Debug)]
pub struct Verdict {
    /// The asker's.
    pub number: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a check, or of making credentials.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The login is right.
    Right {
        /// Whose it is.
        grant: Grant,
        /// What is to be kept of the queue's user instead of what an old server kept.
        renewed: Option<Box<str>>,
    },
    /// It is not.
    Wrong,
    /// What is to be kept of the new queue's user.
    Hashed(Box<str>),
    /// The system gave no randomness.
    Failed,
}

/// Stands for a subject and a login without holding them.
type Fingerprint = [u8; 32];

/// An address, or its network, and a subject.
type FailureKey = (Network, Fingerprint);

/// Checks logins; shared by all workers.
#[derive(Debug)]
pub struct Guard {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
}

#[derive(Debug)]
struct Shared {
    verification: Verification,
    inboxes: Vec<Arc<Inbox<Verdict>>>,
    /// What fingerprints are made with: of no use to whoever does not know this process.
    secret: [u8; 32],
    ledger: Mutex<Ledger>,
}

/// What is going on, and what went on lately.
#[derive(Debug)]
struct Ledger {
    known: Known<Fingerprint, Grant>,
    failures: Failures<FailureKey>,
    /// Who waits for which check. The first has begun it; as many as have a request under way may join.
    flights: HashMap<Fingerprint, Vec<Asker>>,
}

#[derive(Debug)]
enum Job {
    Check {
        subject: Subject,
        login: Login,
    },
    Make {
        asker: Asker,
        user: Box<str>,
        password: Box<str>,
    },
}

impl Guard {
    /// Starts the threads that check. Verdicts go to the inboxes, one for each worker.
    pub fn new(auth: &Auth, inboxes: &[Arc<Inbox<Verdict>>]) -> io::Result<Arc<Self>> {
        let mut secret = [0; 32];
        random(&mut secret)?;
        let shared = Arc::new(Shared {
            verification: Verification::new(auth),
            inboxes: inboxes.to_vec(),
            secret,
            ledger: Mutex::new(Ledger {
                known: Known::new(auth.verified_life, auth.max_verified),
                failures: Failures::new(auth.max_failures),
                flights: HashMap::new(),
            }),
        });
        let (jobs, taken) = bounded(auth.max_verifications);
        for index in 0..auth.verifiers {
            let (shared, taken) = (Arc::clone(&shared), taken.clone());
            thread::Builder::new()
                .name(format!("verifier-{index}"))
                .spawn(move || shared.work(&taken))?;
        }
        Ok(Arc::new(Self { shared, jobs }))
    }

    /// Whether the login was found right for that queue lately, so that not even the store has to be asked.
    pub fn known(&self, queue: &QueueName, login: &Login) -> bool {
        let fingerprint = self.shared.fingerprint(Some(queue), Some(login));
        let ledger = self.shared.ledger();
        ledger.known.find(&fingerprint, Instant::now()).is_some()
    }

    /// Checks a login. Where that takes its time, exactly one verdict comes.
    pub fn check(&self, asker: Asker, subject: &Subject, login: &Login) -> Check {
        let shared = &self.shared;
        let now = Instant::now();
        let fingerprint = shared.fingerprint(subject.queue(), Some(login));
        let failure = shared.failure_key(asker.address, subject);
        let mut ledger = shared.ledger();
        if let Some(grant) = ledger.known.find(&fingerprint, now) {
            return Check::Known(grant);
        }
        if let Some(retry_after) = ledger.failures.wait(&failure, now) {
            return Check::Limited { retry_after };
        }
        if let Some(askers) = ledger.flights.get_mut(&fingerprint) {
            askers.push(asker);
            return Check::Pending;
        }
        let job = Job::Check {
            subject: subject.clone(),
            login: login.clone(),
        };
        if self.jobs.try_send(job).is_err() {
            return Check::Busy;
        }
        // Until it turns out to be right, so that trying many at once is no way around the limit.
        ledger.failures.note(failure, now);
        ledger.flights.insert(fingerprint, vec![asker]);
        Check::Pending
    }

    /// Makes what is to be kept of a new user. Where there is room for that, exactly one verdict comes.
    pub fn make(&self, asker: Asker, user: &str, password: &str) -> Check {
        let job = Job::Make {
            asker,
            user: user.into(),
            password: password.into(),
        };
        match self.jobs.try_send(job) {
            Ok(()) => Check::Pending,
            Err(_) => Check::Busy,
        }
    }
}

impl Subject {
    fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Queue { queue, .. } => Some(queue),
            Self::User => None,
        }
    }
}

impl Shared {
    fn work(&self, jobs: &Receiver<Job>) {
        let _vital = Vital::thread();
        for job in jobs {
            match job {
                Job::Check { subject, login } => self.check(&subject, &login),
                Job::Make {
                    asker,
                    user,
                    password,
                } => {
                    let outcome = match credentials(&user, password.as_bytes()) {
                        Ok(credentials) => Outcome::Hashed(credentials),
                        Err(error) => {
                            error!(%error, "a password cannot be hashed");
                            Outcome::Failed
                        }
                    };
                    self.tell(asker, outcome);
                }
            }
        }
    }

    fn check(&self, subject: &Subject, login: &Login) {
        let right = match subject {
            Subject::Queue { record, .. } => self.verification.of_queue(record, login),
            Subject::User => self.verification.of_users(login),
        };
        let fingerprint = self.fingerprint(subject.queue(), Some(login));
        let now = Instant::now();
        let mut ledger = self.ledger();
        let askers = ledger.flights.remove(&fingerprint).unwrap_or_default();
        let outcome = if let Some(Right { grant, renewed }) = right {
            ledger.known.note(fingerprint, grant.clone(), now);
            if let Some(first) = askers.first() {
                let failure = self.failure_key(first.address, subject);
                ledger.failures.take_back(&failure);
            }
            Outcome::Right { grant, renewed }
        } else {
            // The first has been counted.
            for asker in askers.iter().skip(1) {
                let failure = self.failure_key(asker.address, subject);
                ledger.failures.note(failure, now);
            }
            Outcome::Wrong
        };
        drop(ledger);
        for asker in askers {
            self.tell(asker, outcome.clone());
        }
    }

    fn tell(&self, asker: Asker, outcome: Outcome) {
        if let Some(inbox) = self.inboxes.get(usize::from(asker.worker)) {
            let number = asker.number;
            inbox.deliver(&mut vec![Verdict { number, outcome }]);
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // A verifier that panics ends the process.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a queue, or of what users of the configuration may do, and of a login to it.
    fn fingerprint(&self, queue: Option<&QueueName>, login: Option<&Login>) -> Fingerprint {
        let mut digest = Blake2s256::new_with_prefix(self.secret);
        // Each with its length in front, so that no two meet.
        let mut add = |part: Option<&[u8]>| {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            digest.update(length.to_le_bytes());
            digest.update(part.unwrap_or_default());
        };
        let realm = queue.map(|queue| match queue.realm() {
            Realm::Plain => &b"p"[..],
            Realm::Secured => b"s",
        });
        let tenant = queue.and_then(|queue| queue.tenant().0.as_deref());
        add(realm);
        add(tenant.map(str::as_bytes));
        add(queue.map(|queue| queue.id().as_bytes()));
        add(login.map(|login| login.user.as_bytes()));
        add(login.map(|login| &*login.password));
        digest.finalize().into()
    }

    fn failure_key(&self, address: IpAddr, subject: &Subject) -> FailureKey {
        (
            Network::of(address),
            self.fingerprint(subject.queue(), None),
        )
    }
}
