//! What is read back.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, doc};
use popbox_test_support::Mongo;
use serde_json::{Value, json};

use super::super::{EVENTS_MAX, Past, Since, Span};
use super::stage::{Stage, plain, settings, sink, states, transaction};
use crate::config::{self, Field, Sink, SinkEvent};
use crate::mailbox::{QueueName, Realm, State, Tenant, UnixMillis};
use crate::offload::{Action, Event};

/// In the future, so that no retention is over.
const START: UnixMillis = UnixMillis(4_102_444_800_007);

fn after(millis: u64) -> UnixMillis {
    UnixMillis(START.0 + millis)
}

fn action(at: UnixMillis, realm: Realm, tenant: &Tenant, postdata: &str) -> Event {
    Event::Action(Box::new(Action {
        at,
        action: "USERPOP".into(),
        realm,
        tenant: tenant.clone(),
        queue: Some("q".into()),
        transaction: None,
        max_msg: Some(1),
        total_msg: None,
        postdata: Some(postdata.into()),
        error: None,
    }))
}

/// A history of these events, when there are so many documents of them.
async fn stage(sinks: Vec<Sink>, events: &[Event], documents: u64) -> Stage {
    let mongo = Mongo::shared();
    let settings = config::History {
        sinks,
        batch: 1_000,
        ..settings(&mongo)
    };
    let mut stage = Stage::new(mongo, settings);
    stage.start();
    for event in events {
        stage.tell(event);
    }
    stage.until_there_are(documents).await;
    stage
}

fn span(since: Option<Since>, limit: usize) -> Span {
    Span { since, limit }
}

fn from(at: UnixMillis) -> Since {
    Since { at, after: None }
}

fn values(past: &Past, field: &str) -> Vec<Value> {
    past.events
        .iter()
        .map(|event| event[field].clone())
        .collect()
}

/// The collections overlap, and one of them has less of each.
#[tokio::test(flavor = "multi_thread")]
async fn collections_are_read_as_one() {
    let sinks = vec![
        sink(SinkEvent::Action, "actions"),
        sink(SinkEvent::NewState, "states"),
        Sink {
            filter: vec![(Field::State, vec!["Dead".to_owned()])],
            take: vec![Field::Queue, Field::Transaction],
            ..sink(SinkEvent::NewState, "dead")
        },
    ];
    let of = |state, at| states(transaction(1), after(at), state, vec![plain("q")]);
    let events = [
        of(State::Pending, 0),
        action(after(1), Realm::Plain, &Tenant(None), ""),
        of(State::Blocked, 1),
        of(State::Dead, 2),
        states(
            transaction(2),
            after(3),
            State::Pending,
            vec![plain("q"), plain("other")],
        ),
    ];
    let stage = stage(sinks, &events, 7).await;
    let past = stage
        .history
        .of_queue(&plain("q"), Span::default())
        .await
        .unwrap();
    assert_eq!(past.next, None);
    let times = values(&past, "timestamp");
    let expected =
        ["007", "008", "008", "009", "010"].map(|it| json!(format!("2100-01-01T00:00:00.{it}Z")));
    assert_eq!(times, expected);
    assert_eq!(
        past.events[1],
        json!({"event": "ACTION", "agent": "agent-1", "action": "USERPOP", "queue": "q", "max_msg": 1,
            "postdata": "", "timestamp": "2100-01-01T00:00:00.008Z"})
    );
    let past = stage
        .history
        .of_transaction(transaction(1), None, Span::default())
        .await
        .unwrap();
    let states = values(&past, "state");
    assert_eq!(states, ["Pending", "Blocked", "Dead"]);
    let past = stage
        .history
        .of_transaction(transaction(9), None, Span::default())
        .await
        .unwrap();
    assert_eq!(
        past,
        Past {
            events: Vec::new(),
            next: None
        }
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_since_the_last_one_misses_nothing() {
    let sinks = vec![
        sink(SinkEvent::NewState, "states"),
        sink(SinkEvent::Action, "actions"),
    ];
    let mut events = Vec::new();
    for number in 0..10 {
        events.push(states(
            transaction(number),
            after(u64::from(number)),
            State::Pending,
            vec![plain("q")],
        ));
        events.push(action(
            after(u64::from(number)),
            Realm::Plain,
            &Tenant(None),
            &number.to_string(),
        ));
    }
    let stage = stage(sinks, &events, 20).await;
    let look = async |since, limit| {
        stage
            .history
            .of_queue(&plain("q"), span(since, limit))
            .await
            .unwrap()
    };
    let whole = look(None, EVENTS_MAX + 1).await;
    assert_eq!((whole.events.len(), &whole.next), (20, &None));
    for (since, limit, expected, has_more) in [
        (None, 7, 0..7, true),
        (None, 20, 0..20, false),
        (None, 0, 0..1, true),
        (Some(from(after(5))), 3, 10..13, true),
        (Some(from(after(5))), 10, 10..20, false),
        (Some(from(after(10))), 10, 20..20, false),
    ] {
        let past = look(since.clone(), limit).await;
        assert_eq!(
            past.events,
            whole.events[expected.clone()],
            "{since:?} {limit}"
        );
        assert_eq!(past.next.is_some(), has_more, "{since:?} {limit}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_one_name_are_kept_apart() {
    let owners = [
        (Realm::Plain, Tenant(None)),
        (Realm::Plain, Tenant(Some("a".into()))),
        (Realm::Plain, Tenant(Some("b".into()))),
        (Realm::Secured, Tenant(None)),
        (Realm::Secured, Tenant(Some("a".into()))),
    ];
    let mut events = Vec::new();
    for (number, (realm, tenant)) in (0..).zip(&owners) {
        let queue = QueueName::new(*realm, tenant.clone(), "q");
        events.push(states(
            transaction(number),
            after(0),
            State::Pending,
            vec![queue],
        ));
        events.push(action(after(1), *realm, tenant, &number.to_string()));
    }
    let sinks = vec![Sink {
        take: vec![Field::Transaction, Field::Queue, Field::Postdata],
        ..sink(SinkEvent::Any, "events")
    }];
    let stage = stage(sinks, &events, 10).await;
    for (number, (realm, tenant)) in (0..).zip(&owners) {
        let queue = QueueName::new(*realm, tenant.clone(), "q");
        let past = stage
            .history
            .of_queue(&queue, Span::default())
            .await
            .unwrap();
        assert_eq!(past.events.len(), 2, "{queue:?}");
        assert_eq!(
            past.events[0]["transaction"],
            transaction(number).to_string()
        );
        assert_eq!(past.events[1]["postdata"], number.to_string());
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_some_tenants_is_given_as_many_of_its_events_as_it_asks_for() {
    let owners = [None, Some("a"), Some("b"), None, Some("a"), Some("b")];
    let owners = owners.map(|name| Tenant(name.map(Into::into)));
    let mut events = Vec::new();
    for (number, tenant) in (0..).zip(&owners) {
        let queue = QueueName::new(Realm::Plain, tenant.clone(), "q");
        let state = states(transaction(1), after(number), State::Pending, vec![queue]);
        events.push(state);
    }
    let stage = stage(vec![sink(SinkEvent::NewState, "states")], &events, 6).await;
    let look = async |tenants: &[&str], span| {
        let tenants: Vec<_> = tenants.iter().map(ToString::to_string).collect();
        let looking = stage
            .history
            .of_transaction(transaction(1), Some(&tenants), span);
        let past = looking.await.unwrap();
        (values(&past, "tenant"), past.next)
    };
    let nobody = Value::Null;
    for (tenants, expected) in [
        (&["a"][..], vec![json!("a"); 2]),
        (
            &["b", ""],
            vec![nobody.clone(), json!("b"), nobody.clone(), json!("b")],
        ),
        (&[""], vec![nobody.clone(); 2]),
        (&["c"], vec![]),
        (&[], vec![]),
    ] {
        assert_eq!(look(tenants, Span::default()).await, (expected, None));
    }
    // What is others' takes no place, and is not where to go on.
    let (first, next) = look(&["b"], span(None, 1)).await;
    assert_eq!(first, ["b"]);
    assert_eq!(next.as_ref().map(|it| it.at), Some(after(2)));
    assert_eq!(look(&["b"], span(next, 1)).await, (vec![json!("b")], None));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_back_at_once_has_a_bound_in_bytes() {
    let sinks = vec![
        sink(SinkEvent::NewState, "states"),
        sink(SinkEvent::Action, "actions"),
    ];
    let large = "x".repeat(700 << 10);
    let mut events = Vec::new();
    for number in 0..7 {
        events.push(action(
            after(number * 2),
            Realm::Plain,
            &Tenant(None),
            &large,
        ));
        events.push(states(
            transaction(1),
            after(number * 2 + 1),
            State::Pending,
            vec![plain("q")],
        ));
    }
    let stage = stage(sinks, &events, 14).await;
    let mut seen = Vec::new();
    let mut since = None;
    let mut looks = 0;
    loop {
        let past = stage
            .history
            .of_queue(&plain("q"), span(since, 100))
            .await
            .unwrap();
        looks += 1;
        seen.extend(values(&past, "timestamp"));
        since = past.next;
        if since.is_none() {
            break;
        }
        assert_eq!(past.events.len(), 9, "five large ones fit");
    }
    assert_eq!(looks, 2);
    assert_eq!(seen.len(), 14);
    assert!(seen.is_sorted_by_key(|it| it.as_str().unwrap_or_default().to_owned()));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_happened_at_once_is_read_page_by_page_and_each_once() {
    let sinks = vec![
        sink(SinkEvent::NewState, "states"),
        sink(SinkEvent::Any, "events"),
    ];
    let queues = (0..25).map(|number| plain(&format!("q{number:02}")));
    let queues: Vec<_> = queues.collect();
    let mut events = Vec::new();
    for millis in 0..2 {
        let states = |state| states(transaction(1), after(millis), state, queues.clone());
        events.extend([states(State::Pending), states(State::Delivered)]);
    }
    let stage = stage(sinks, &events, 200).await;
    let look = async |since, limit| {
        let of_transaction = stage
            .history
            .of_transaction(transaction(1), None, span(since, limit));
        of_transaction.await.unwrap()
    };
    let whole = look(None, EVENTS_MAX).await;
    assert_eq!((whole.events.len(), &whole.next), (100, &None));
    for limit in [1, 7, 25, 99, 100] {
        let mut found = Vec::new();
        let mut since = None;
        loop {
            let past = look(since, limit).await;
            assert!(!past.events.is_empty());
            found.extend(past.events);
            since = past.next;
            if since.is_none() {
                break;
            }
        }
        assert_eq!(found, whole.events, "{limit} at a time");
    }
    stage.end().await;
}

/// A collection may have been somebody else's before.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_others_are_no_obstacle() {
    let stage = stage(
        vec![sink(SinkEvent::NewState, "states")],
        &[states(
            transaction(1),
            after(0),
            State::Pending,
            vec![plain("p"), plain("q")],
        )],
        2,
    )
    .await;
    let theirs = doc! {
        "_id": ObjectId::new(),
        "transaction": transaction(1).to_string(),
        "state": "theirs",
        "timestamp": DateTime::from_millis(i64::try_from(after(0).0).unwrap()),
    };
    let collection = stage.collection("states").await;
    collection.insert_one(theirs).await.unwrap();
    let mut seen = Vec::new();
    let mut since = None;
    for _ in 0..3 {
        let look = stage
            .history
            .of_transaction(transaction(1), None, span(since, 1));
        let past = look.await.unwrap();
        seen.extend(values(&past, "state"));
        since = past.next;
    }
    assert_eq!(seen, ["Pending", "Pending", "theirs"]);
    assert_eq!(since, None);
    stage.end().await;
}
