//! What the workers and the store have to do with the pool of history and callbacks.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    config::Config,
    offload::{
        Event, Historian, Messages, NewStates, Offload, Recollection, Reporter, StartError, Tallies,
    },
    runtime::Inbox,
    store::{self, Transitions},
};

/// The pool, if there is anything for it to do.
pub(super) struct Pool {
    offload: Option<Offload>,
    inboxes: Vec<Arc<Inbox<Recollection>>>,
}

/// A worker's part in it.
pub(super) struct Link {
    /// Where what was read back from history comes.
    pub(super) recollections: Arc<Inbox<Recollection>>,
    pub(super) historian: Option<Historian>,
    pub(super) reporter: Option<Reporter>,
    pub(super) tallies: Option<Arc<Tallies>>,
}

impl Pool {
    /// Starts what the configuration asks for; each worker has an inbox.
    pub(super) fn start(
        config: &Config,
        address: SocketAddr,
        inboxes: Vec<Arc<Inbox<Recollection>>>,
    ) -> Result<Self, StartError> {
        let offload = Offload::start(config, &agent(config, address), &inboxes)?;
        Ok(Self { offload, inboxes })
    }

    /// A part for each worker.
    pub(super) fn links(&self) -> impl Iterator<Item = Link> {
        self.inboxes.iter().map(|inbox| Link {
            recollections: Arc::clone(inbox),
            historian: self.offload.as_ref().and_then(Offload::historian),
            reporter: self.offload.as_ref().map(Offload::reporter),
            tallies: self.offload.as_ref().map(Offload::tallies),
        })
    }

    /// What the store has to tell goes into history, if there is one.
    pub(super) fn transitions(&self) -> Transitions {
        let reporter = self.offload.as_ref().map(Offload::reporter);
        let Some(reporter) = reporter.filter(|it| it.interest().history) else {
            return Transitions::default();
        };
        Transitions::told_to(Arc::new(move |queue, transactions, state| {
            let transactions = transactions.into_iter().map(|id| (id, None)).collect();
            reporter.tell(Event::States(NewStates {
                at: store::time_of_day(),
                state,
                messages: Messages::OfQueue {
                    queue,
                    transactions,
                },
            }));
        }))
    }

    /// Stops it; nobody has anything to tell any more.
    pub(super) fn close(mut self) {
        if let Some(offload) = self.offload.take() {
            offload.close();
        }
    }
}

/// Where there is to be no waiting.
impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(offload) = self.offload.take() {
            offload.abandon();
        }
    }
}

/// What this server is called in its events.
fn agent(config: &Config, address: SocketAddr) -> String {
    let name = || {
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy().into_owned();
        format!("{host}:{}", address.port())
    };
    config
        .offload
        .agent
        .as_deref()
        .map_or_else(name, Into::into)
}
