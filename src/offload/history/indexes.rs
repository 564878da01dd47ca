//! The indexes of the history's collections.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use tokio::time::{Instant, sleep};

use super::database::{Database, Fault};
use super::trouble::Trouble;
use crate::config;

/// How long the making of one index may take, of a collection that has much in it.
const TIMEOUT: Duration = Duration::from_mins(10);

/// What MongoDB answers where there is such an index with other options, or another one of that name.
const CONFLICTS: [i32; 2] = [85, 86];

/// Makes those that are missing, and tries until it has.
pub(super) async fn make(database: &Database, settings: &config::History, collections: &[String]) {
    let mut trouble = Trouble::new("make an index", settings.backoff);
    for collection in collections {
        for (keys, options) in wanted(settings.retention) {
            let model = IndexModel::builder().keys(keys.clone()).options(options);
            let model = model.build();
            loop {
                let making = make_one(database, collection, model.clone());
                match database.within(TIMEOUT, making).await {
                    Ok(()) => break,
                    Err(Fault::Driver(error)) if is_conflict(&error.kind) => {
                        tracing::warn!(
                            "history: {collection} has an index of its own on {keys}, which stays: {error}"
                        );
                        break;
                    }
                    Err(fault) => sleep(trouble.lasts(Instant::now(), &fault)).await,
                }
            }
            trouble.is_over(Instant::now());
        }
    }
}

async fn make_one(database: &Database, collection: &str, model: IndexModel) -> Result<(), Fault> {
    let collection = database.collection(collection).await?;
    collection.create_index(model).await?;
    Ok(())
}

fn wanted(retention: Duration) -> Vec<(Document, Option<IndexOptions>)> {
    let mut wanted = vec![
        (doc! {"transaction": 1, "timestamp": 1}, None),
        (doc! {"queue": 1, "tenant": 1, "timestamp": 1}, None),
    ];
    if !retention.is_zero() {
        // MongoDB counts in seconds.
        let seconds = retention.as_millis().div_ceil(1000);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let options = IndexOptions::builder()
            .expire_after(Duration::from_secs(seconds))
            .build();
        wanted.push((doc! {"timestamp": 1}, Some(options)));
    }
    wanted
}

fn is_conflict(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Command(error) if CONFLICTS.contains(&error.code))
}
