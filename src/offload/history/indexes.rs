//! The indexes of the history's collections.

use std::collections::VecDeque;
use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use tokio::time::Instant;

use super::database::{Database, Fault};
use super::trouble::Trouble;
use crate::config;

/// What MongoDB answers where there is such an index with other options, or another one of that name.
const CONFLICTS: [i32; 2] = [85, 86];

/// Indexes that are still to be made.
pub(super) struct Indexes {
    /// Each with its collection.
    missing: VecDeque<(String, IndexModel)>,
    trouble: Trouble,
    /// When it is tried again.
    due: Option<Instant>,
}

impl Indexes {
    /// Those that each collection is to have.
    pub(super) fn new(settings: &config::History, collections: &[String]) -> Self {
        let missing = collections.iter().flat_map(|collection| {
            let models = models(settings.retention).into_iter();
            models.map(|model| (collection.clone(), model))
        });
        Self {
            missing: missing.collect(),
            trouble: Trouble::new("make an index", settings.backoff),
            due: None,
        }
    }

    /// Makes those that are missing. If that fails, it is for a later call: documents are not to wait for it.
    pub(super) async fn make(&mut self, database: &Database) {
        while let Some((collection, model)) = self.missing.front() {
            if self.due.is_some_and(|due| Instant::now() < due) {
                return;
            }
            let making = make_one(database, collection, model.clone());
            match database.within(making).await {
                Ok(()) => self.trouble.is_over(Instant::now()),
                Err(Fault::Driver(error)) if is_conflict(&error.kind) => tracing::warn!(
                    "history: {collection} has an index of its own on {}, which stays: {error}",
                    model.keys
                ),
                Err(fault) => {
                    let wait = self.trouble.lasts(Instant::now(), &fault);
                    self.due = Some(Instant::now() + wait);
                    return;
                }
            }
            self.missing.pop_front();
        }
    }
}

async fn make_one(database: &Database, collection: &str, model: IndexModel) -> Result<(), Fault> {
    let collection = database.collection(collection).await?;
    collection.create_index(model).await?;
    Ok(())
}

/// What is looked up is in the order that it is asked for in, so that a page costs as much as it has, however long the
/// history.
fn models(retention: Duration) -> Vec<IndexModel> {
    let model = |keys: Document| IndexModel::builder().keys(keys).build();
    let mut models = vec![
        model(doc! {"transaction": 1, "timestamp": 1, "_id": 1}),
        model(doc! {"queue": 1, "tenant": 1, "realm": 1, "timestamp": 1, "_id": 1}),
    ];
    if !retention.is_zero() {
        // MongoDB counts in seconds.
        let seconds = retention.as_secs() + u64::from(retention.subsec_nanos() > 0);
        let options = IndexOptions::builder().expire_after(Duration::from_secs(seconds));
        let keys = doc! {"timestamp": 1};
        let model = IndexModel::builder().keys(keys).options(options.build());
        models.push(model.build());
    }
    models
}

fn is_conflict(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Command(error) if CONFLICTS.contains(&error.code))
}
