//! Links to this server from the outside.

use super::Asked;
use crate::{
    mailbox::{QueueName, Realm, TransactionId},
    web::Paths,
};

/// What links begin with: the host by which the client knows this server.
#[derive(Clone, Debug)]
pub(super) struct Links {
    scheme: &'static str,
    host: Box<str>,
}

/// What a client of HTTP/1.0 that names no host is told.
const UNNAMED_HOST: &str = "localhost";

impl Links {
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        Self {
            scheme: match asked.settings.realm {
                Realm::Plain => "http",
                Realm::Secured => "https",
            },
            host: asked.request.host().unwrap_or(UNNAMED_HOST).into(),
        }
    }

    /// The host and port.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// To a queue, with its tenant.
    pub(super) fn queue(&self, queue: &QueueName) -> String {
        let path = Paths::new(queue.tenant().clone()).queue(queue.id());
        format!("{}://{}{path}", self.scheme, self.host)
    }

    /// To a transaction and its states.
    pub(super) fn transaction(&self, id: TransactionId) -> String {
        format!("{}://{}/trans/{id}?queues=All", self.scheme, self.host)
    }
}
