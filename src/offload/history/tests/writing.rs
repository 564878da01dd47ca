//! What was told is in MongoDB, once and in order.

use std::collections::HashMap;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use popbox_test_support::{Mongo, Random};

use super::stage::{Stage, action, now, plain, settings, sink, state, states, transaction};
use crate::config::{self, Field, Sink, SinkEvent};
use crate::mailbox::{State, UnixMillis};
use crate::offload::{Event, Messages, NewStates};

/// Of each transaction, its queues and states in order.
type Lives = HashMap<String, Vec<(String, String)>>;

/// Random events about a few transactions and queues, and what becomes of each.
fn random_events(random: &mut Random, count: usize) -> (Vec<Event>, Lives) {
    let (mut events, mut lives) = (Vec::new(), Lives::new());
    let start = now().0;
    for number in 0..count {
        let at = UnixMillis(start + number as u64 / 10);
        let state = State::ALL[random.below(State::ALL.len())];
        let queues = (0..=random.below(5)).map(|it| plain(&format!("q{it}")));
        let id = transaction(u8::try_from(random.below(40)).unwrap());
        let event = if random.below(3) > 0 {
            states(id, at, state, queues.collect())
        } else {
            let ids =
                (0..random.below(20)).map(|it| (transaction(u8::try_from(it).unwrap()), None));
            let queue = plain("other");
            let transactions = ids.collect();
            let messages = Messages::OfQueue {
                queue,
                transactions,
            };
            Event::States(NewStates {
                at,
                state,
                messages,
            })
        };
        if let Event::States(it) = &event {
            for (id, queue, _) in it.messages.each() {
                let life = lives.entry(id.to_string()).or_default();
                life.push((queue.id().to_owned(), state.word().to_owned()));
            }
        }
        events.push(event);
    }
    (events, lives)
}

fn lives_of(documents: &[Document]) -> Lives {
    let mut lives = Lives::new();
    for document in documents {
        let text = |name| document.get_str(name).unwrap().to_owned();
        let life = lives.entry(text("transaction")).or_default();
        life.push((text("queue"), text("state")));
    }
    lives
}

/// Before it is started and while it runs, in several goes.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_in_once_and_in_order() {
    const ACTIONS: u64 = 4;
    let mut random = Random::of(20_261);
    let mongo = Mongo::shared();
    let settings = config::History {
        sinks: vec![
            sink(SinkEvent::NewState, "states"),
            sink(SinkEvent::Action, "actions"),
        ],
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    let (events, lives) = random_events(&mut random, 300);
    let mut running = events.iter().enumerate();
    for (_, event) in running.by_ref().take(100) {
        stage.tell(event);
    }
    stage.start();
    for (number, event) in running {
        stage.tell(event);
        if number % 50 == 0 {
            stage.tell(&action(now(), None));
            stage.stop().await;
            stage.start();
        }
    }
    let messages: usize = lives.values().map(Vec::len).sum();
    stage.until_there_are(messages as u64 + ACTIONS).await;
    let documents = stage.documents("states").await;
    assert_eq!(lives_of(&documents), lives);
    assert_eq!(stage.history.tally().failed(), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_have_more_messages_than_a_batch() {
    let mongo = Mongo::shared();
    let settings = config::History {
        batch: 300,
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    let queues = (0..1_000).map(|number| plain(&format!("q{number:04}")));
    stage.tell(&states(
        transaction(1),
        now(),
        State::Pending,
        queues.collect(),
    ));
    stage.until_there_are(1_000).await;
    let documents = stage.documents("popbox_ev").await;
    let queues: Vec<_> = documents
        .iter()
        .map(|it| it.get_str("queue").unwrap())
        .collect();
    assert_eq!(queues.len(), 1_000);
    assert!(queues.is_sorted());
    assert_eq!(stage.history.tally().sent(), 1_000);
    stage.end().await;
}

/// As after a crash before the spool knew how far it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_again_is_there_once() {
    let mongo = Mongo::shared();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    for number in 0..20 {
        stage.tell(&state(number, State::Pending));
    }
    stage.start();
    stage.until_there_are(20).await;
    let before = stage.documents("popbox_ev").await;
    stage.stop().await;
    stage.forget_cursor();
    stage.start();
    stage.tell(&state(21, State::Pending));
    stage
        .until("everything was written again", |history| {
            history.tally().sent() == 21
        })
        .await;
    stage.until_there_are(21).await;
    let after = stage.documents("popbox_ev").await;
    assert_eq!((before.len(), after.len()), (20, 21));
    assert_eq!(after[..20], before);
    assert_eq!(
        (
            stage.history.tally().failed(),
            stage.history.tally().retried()
        ),
        (0, 0)
    );
    stage.end().await;
}

/// Else the spool would keep them for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_sink_wants_is_done_with() {
    let mongo = Mongo::shared();
    let settings = config::History {
        sinks: vec![Sink {
            filter: vec![(Field::Error, vec!["late".to_owned()])],
            ..sink(SinkEvent::Action, "late")
        }],
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    stage.tell(&action(now(), Some("early")));
    stage.tell(&state(1, State::Pending));
    stage
        .until("all is done with", |history| history.tally().behind() == 0)
        .await;
    stage.tell(&action(now(), Some("late")));
    stage.tell(&action(now(), None));
    stage.until_there_are(1).await;
    let documents = stage.documents("late").await;
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].get_str("error").unwrap(), "late");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_is_refused_for_good_is_left_out_and_the_rest_goes_on() {
    let mongo = Mongo::shared();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    let no_dead = doc! {"state": {"$ne": "Dead"}};
    let database = stage.database().await;
    let without = stage.collection("popbox_ev").await;
    without.drop().await.unwrap();
    database
        .create_collection("popbox_ev")
        .validator(no_dead)
        .await
        .unwrap();
    stage.start();
    stage.tell_bytes(b"\xff no event");
    for wanted in [State::Pending, State::Dead, State::Blocked, State::Dead] {
        stage.tell(&state(1, wanted));
    }
    stage
        .until("all is tried", |history| history.tally().failed() == 3)
        .await;
    stage.until_there_are(2).await;
    let tally = stage.history.tally();
    let counts = (tally.sent(), tally.failed(), tally.retried());
    assert_eq!(counts, (2, 3, 0));
    assert_eq!(stage.documents("popbox_ev").await.len(), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_elses_index_may_have_once_is_left_out_and_not_taken_for_a_repeat() {
    let mongo = Mongo::shared();
    let settings = settings(&mongo);
    let mut stage = Stage::new(mongo, settings);
    let unique = IndexOptions::builder().unique(true).build();
    let theirs = IndexModel::builder()
        .keys(doc! {"transaction": 1, "state": 1})
        .options(unique);
    let collection = stage.collection("popbox_ev").await;
    collection.create_index(theirs.build()).await.unwrap();
    stage.start();
    for wanted in [State::Pending, State::Dead, State::Dead] {
        stage.tell(&state(1, wanted));
    }
    stage.until_there_are(2).await;
    let tally = stage.history.tally();
    let counts = (tally.sent(), tally.failed(), tally.retried());
    assert_eq!(counts, (2, 1, 0));
    stage.end().await;
}
