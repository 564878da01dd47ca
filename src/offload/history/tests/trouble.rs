//! MongoDB is away, refuses, or is slow to say so.

use std::time::{Duration, Instant};

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use popbox_test_support::{Direction, Mongo, Proxy, soon};

use super::super::Span;
use super::stage::{Stage, action, now, settings, state, transaction};
use crate::config;
use crate::mailbox::State;

/// A history whose MongoDB does not answer is not waited for long.
fn impatient(mongo: &Mongo) -> config::History {
    config::History {
        timeout: Duration::from_millis(500),
        ..settings(mongo)
    }
}

/// Of which transactions there are documents, each once and in the order of the log.
async fn transactions(stage: &Stage) -> Vec<String> {
    let documents = stage.documents("popbox_ev").await;
    let id = |document: &Document| document.get_str("transaction").unwrap().to_owned();
    documents.iter().map(id).collect()
}

fn expected(count: u8) -> Vec<String> {
    (0..count)
        .map(|number| transaction(number).to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_mongodb_that_is_away_at_the_start_and_later() {
    let mongo = Mongo::own_that_is_down();
    let settings = impatient(&mongo);
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    let mut told = 0;
    let mut tell = |stage: &mut Stage| {
        for _ in 0..10 {
            stage.tell(&state(told, State::Pending));
            told += 1;
        }
    };
    tell(&mut stage);
    stage
        .until("it has tried", |history| history.tally().retried() > 0)
        .await;
    assert!(stage.history.tally().oldest().is_some());
    stage.mongo.start();
    stage.until_there_are(10).await;
    assert_eq!(transactions(&stage).await, expected(10));

    stage.mongo.stop();
    let before = stage.history.tally().retried();
    tell(&mut stage);
    stage
        .until("it has tried", |history| history.tally().retried() > before)
        .await;
    assert!(stage.history.tally().behind() > 0);
    stage.mongo.start();
    stage.until_there_are(20).await;
    assert_eq!(transactions(&stage).await, expected(20));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodb_that_is_away_holds_up_neither_a_stop_nor_who_looks() {
    let mongo = Mongo::own_that_is_down();
    let settings = config::History {
        backoff: Duration::from_mins(1),
        ..impatient(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    stage.tell(&state(0, State::Pending));
    let started = Instant::now();
    let looked = stage
        .history
        .of_transaction(transaction(0), None, Span::default());
    let error = looked.await.unwrap_err().to_string();
    assert!(error.starts_with("the history is unavailable: "), "{error}");
    soon(started);
    stage
        .until("it has tried", |history| history.tally().retried() > 0)
        .await;
    let started = Instant::now();
    stage.stop().await;
    soon(started);
    stage.mongo.start();
    stage.start();
    stage.until_there_are(1).await;
    assert_eq!(transactions(&stage).await, expected(1));
    stage.end().await;
}

/// The driver itself tries some of them once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_as_a_whole_is_written_again() {
    let mongo = Mongo::own();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    let failures = [
        doc! {"failCommands": ["insert"], "errorCode": 13},
        doc! {"failCommands": ["insert"], "errorCode": 189},
        doc! {"failCommands": ["insert"], "closeConnection": true},
        doc! {"failCommands": ["insert"], "writeConcernError": {"code": 64, "errmsg": "waiting"}},
    ];
    for (number, failure) in (0..).zip(failures) {
        let before = stage.history.tally().retried();
        stage.fail(3, failure.clone()).await;
        stage.tell(&state(number, State::Pending));
        stage.until_there_are(u64::from(number) + 1).await;
        assert!(stage.history.tally().retried() > before, "{failure}");
    }
    assert_eq!(transactions(&stage).await, expected(4));
    assert_eq!(stage.history.tally().failed(), 0);
    stage.end().await;
}

/// Here a place is wanted where some documents have a word: what keeps them out is not in them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_now_is_written_again_alone() {
    let mongo = Mongo::shared();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    let place = IndexModel::builder().keys(doc! {"state": "2dsphere"});
    let collection = stage.collection("popbox_ev").await;
    let place = collection.create_index(place.build()).await.unwrap();
    stage.tell(&state(0, State::Pending));
    stage.tell(&action(now(), None));
    stage.tell(&state(1, State::Pending));
    stage.start();
    stage
        .until("it has tried often", |history| {
            history.tally().retried() > 5
        })
        .await;
    let counts = |stage: &Stage| {
        let tally = stage.history.tally();
        (tally.sent(), tally.failed())
    };
    assert_eq!(counts(&stage), (1, 0));
    collection.drop_index(place.index_name).await.unwrap();
    stage.until_there_are(3).await;
    assert_eq!(counts(&stage), (3, 0));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_is_slow_cut_or_dead_loses_and_repeats_nothing() {
    let mongo = Mongo::own();
    let proxy = Proxy::to(mongo.address());
    let settings = config::History {
        uri: Some(Mongo::uri_at(proxy.address()).parse().unwrap()),
        ..impatient(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    let wounds: [fn(&Proxy); 6] = [
        |_| {},
        |proxy| proxy.delay(Duration::from_millis(20)),
        |proxy| proxy.reset_after(10),
        |proxy| proxy.stall(Direction::ToServer),
        // What is written then is there before anybody knows.
        |proxy| proxy.stall(Direction::ToClient),
        Proxy::cut,
    ];
    let mut told = 0;
    for (number, wound) in wounds.into_iter().enumerate() {
        let before = stage.history.tally().retried();
        wound(&proxy);
        for _ in 0..20 {
            stage.tell(&state(told, State::Pending));
            told += 1;
        }
        if number > 2 {
            stage
                .until("it has tried", |history| history.tally().retried() > before)
                .await;
        }
        proxy.heal();
        stage.until_there_are(told.into()).await;
    }
    assert_eq!(transactions(&stage).await, expected(told));
    assert_eq!(stage.history.tally().failed(), 0);
    stage.end().await;
}
