//! The database that the history is in. It is connected to when it is first needed.

use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use mongodb::error::Error;
use mongodb::options::{Acknowledgment, ClientOptions};
use mongodb::{Client, Collection};
use tokio::sync::OnceCell;

use crate::config;

/// What MongoDB knows us by, in its log and its list of connections.
const APP_NAME: &str = "popbox";

/// How long taking leave of it may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The database that the history is in.
pub(super) struct Database {
    uri: String,
    name: String,
    timeout: Duration,
    client: OnceCell<Client>,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// MongoDB or its driver says so.
    #[error("{0}")]
    Driver(#[from] Error),
    /// It does not answer.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl Database {
    pub(super) fn new(settings: &config::History) -> Self {
        let uri = settings.uri.as_ref().map_or("", |uri| uri.secret());
        Self {
            uri: uri.to_owned(),
            name: settings.database.clone(),
            timeout: settings.timeout,
            client: OnceCell::new(),
        }
    }

    /// One of its collections.
    pub(super) async fn collection(&self, name: &str) -> Result<Collection<RawDocumentBuf>, Fault> {
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        Ok(client.database(&self.name).collection(name))
    }

    /// Bounds what is done with it. The driver itself would wait for ever for a server that says nothing.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let result = tokio::time::timeout(self.timeout, work).await;
        result.unwrap_or(Err(Fault::Late(self.timeout)))
    }

    /// Ends its connections and background tasks; nothing can be done with it any more.
    pub(super) async fn close(&self) {
        if let Some(client) = self.client.get() {
            let closing = client.clone().shutdown().immediate(true);
            // Where a server does not answer, the driver would wait for it.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing.into_future()).await;
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut options = ClientOptions::parse(&self.uri).await?;
        options.app_name = Some(APP_NAME.to_owned());
        // Half of the time, so that there is some left for telling what is wrong with the servers.
        options.server_selection_timeout = Some(self.timeout / 2);
        options.connect_timeout.get_or_insert(self.timeout / 2);
        // The spool has an event no longer once MongoDB has it, which is to survive a crash there. What is asked for
        // displaces the server's own default, so it is all asked for.
        let concern = options.write_concern.get_or_insert_default();
        concern.w.get_or_insert(Acknowledgment::Majority);
        concern.journal.get_or_insert(true);
        Client::with_options(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for with the options of a connection string.
    async fn concern(options: &str) -> (Option<Acknowledgment>, Option<bool>) {
        let uri = format!("mongodb://127.0.0.1:1/?{options}");
        let database = Database::new(&config::History {
            uri: Some(uri.parse().unwrap()),
            ..config::History::default()
        });
        let collection = database.collection("c").await.unwrap();
        let concern = collection.write_concern().cloned().unwrap();
        database.close().await;
        (concern.w, concern.journal)
    }

    #[tokio::test]
    async fn a_majority_has_to_have_it_on_disk_unless_the_uri_says_otherwise() {
        let majority = Some(Acknowledgment::Majority);
        assert_eq!(concern("").await, (majority.clone(), Some(true)));
        assert_eq!(concern("journal=false").await, (majority, Some(false)));
        let one = Some(Acknowledgment::Nodes(1));
        assert_eq!(concern("w=1").await, (one, Some(true)));
    }
}
