//! Which indexes there are.

use std::time::{Duration, Instant};

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use popbox_test_support::Mongo;

use super::stage::{PATIENCE, Stage, settings, sink, state};
use crate::config::{self, SinkEvent};
use crate::mailbox::State;

/// The keys of each index of a collection but that of ids, with the seconds that it keeps documents.
async fn indexes(stage: &Stage, collection: &str) -> Vec<(Document, Option<u64>)> {
    let collection = stage.collection(collection).await;
    // An error means that there is no collection yet.
    let Ok(mut cursor) = collection.list_indexes().await else {
        return Vec::new();
    };
    let mut indexes = Vec::new();
    while cursor.advance().await.unwrap() {
        let model = cursor.deserialize_current().unwrap();
        let seconds = model.options.and_then(|options| options.expire_after);
        indexes.push((model.keys, seconds.map(|it| it.as_secs())));
    }
    indexes.retain(|(keys, _)| *keys != doc! {"_id": 1});
    indexes
}

/// Waits until a collection has so many.
async fn until_there_are(
    stage: &Stage,
    count: usize,
    collection: &str,
) -> Vec<(Document, Option<u64>)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let indexes = indexes(stage, collection).await;
        if indexes.len() >= count {
            return indexes;
        }
        assert!(Instant::now() < deadline, "{indexes:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_collection_has_them_once() {
    let mongo = Mongo::shared();
    let settings = config::History {
        retention: Duration::from_millis(86_400_500),
        sinks: vec![sink(SinkEvent::NewState, "a"), sink(SinkEvent::Action, "b")],
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    for number in 0..2 {
        stage.start();
        stage.tell(&state(number, State::Pending));
        for collection in ["a", "b"] {
            let expected = [
                (doc! {"transaction": 1, "timestamp": 1, "_id": 1}, None),
                (
                    doc! {"queue": 1, "tenant": 1, "realm": 1, "timestamp": 1, "_id": 1},
                    None,
                ),
                (doc! {"timestamp": 1}, Some(86_401)),
            ];
            let indexes = until_there_are(&stage, 3, collection).await;
            assert_eq!(indexes.len(), 3, "{indexes:?}");
            for index in expected {
                assert!(indexes.contains(&index), "{index:?} in {indexes:?}");
            }
        }
        stage.stop().await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_there_with_another_retention_stays() {
    let mongo = Mongo::shared();
    let settings = config::History {
        retention: Duration::from_hours(1),
        sinks: vec![sink(SinkEvent::NewState, "a"), sink(SinkEvent::Action, "b")],
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    let options = IndexOptions::builder()
        .expire_after(Duration::from_secs(5_000))
        .build();
    let theirs = IndexModel::builder()
        .keys(doc! {"timestamp": 1})
        .options(options)
        .build();
    stage
        .collection("a")
        .await
        .create_index(theirs)
        .await
        .unwrap();
    stage.start();
    stage.tell(&state(1, State::Pending));
    // Those of the next collection are made all the same.
    until_there_are(&stage, 3, "b").await;
    let of_a = until_there_are(&stage, 3, "a").await;
    assert!(
        of_a.contains(&(doc! {"timestamp": 1}, Some(5_000))),
        "{of_a:?}"
    );
    stage.until_there_are(1).await;
    stage.end().await;
}

/// One who may only write has no index made, and is not held up by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_make_them_that_is_missing_holds_up_nothing() {
    let mongo = Mongo::own();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    stage
        .fail(
            1_000_000,
            doc! {"failCommands": ["createIndexes"], "errorCode": 13},
        )
        .await;
    stage.start();
    stage.tell(&state(1, State::Pending));
    stage.until_there_are(1).await;
    stage
        .fail(1, doc! {"failCommands": ["createIndexes"], "errorCode": 13})
        .await;
    // It is tried again with what is written then.
    for number in 2..=100 {
        stage.tell(&state(number, State::Pending));
        stage.until_there_are(number.into()).await;
        if indexes(&stage, "popbox_ev").await.len() == 2 {
            return stage.end().await;
        }
    }
    panic!("no indexes were made");
}
