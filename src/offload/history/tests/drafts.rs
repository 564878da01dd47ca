//! What documents are made of events.

use mongodb::bson::{Document, doc};

use super::super::draft::{date, drafts};
use super::stage::{plain, sink, transaction};
use crate::config::{Field, Sink, SinkEvent};
use crate::mailbox::{CALLBACK_BYTES_MAX, QueueName, Realm, State, Tenant, UnixMillis};
use crate::offload::{Action, Event, Messages, NewStates};

const AT: UnixMillis = UnixMillis(1_795_278_805_157);

fn messages() -> Event {
    let tenant = Tenant(Some("shop".into()));
    Event::States(NewStates {
        at: AT,
        state: State::Delivered,
        messages: Messages::OfTransaction {
            id: transaction(1),
            callback: Some("http://a/".into()),
            queues: vec![QueueName::new(Realm::Secured, tenant, "s"), plain("p")],
        },
    })
}

fn action() -> Event {
    Event::Action(Box::new(Action {
        at: AT,
        action: "USERPUSH".into(),
        realm: Realm::Plain,
        tenant: Tenant(None),
        queue: None,
        transaction: Some("x".into()),
        max_msg: Some(10),
        total_msg: Some(0),
        postdata: Some("{}".into()),
        error: None,
    }))
}

/// What a sink has of an event.
fn documents(event: &Event, sink: &Sink) -> Vec<Document> {
    let drafts = drafts(event, "agent-1", 0xab, 0x1_0000);
    let wanted = drafts.filter(|draft| draft.is_for(sink));
    wanted
        .map(|draft| Document::try_from(draft.document(sink)).unwrap())
        .collect()
}

#[test]
fn the_login_in_a_callback_is_nobody_elses_business() {
    let long = format!("http://a/{}", "x".repeat(CALLBACK_BYTES_MAX - 9));
    let too_long = format!("http://user:{}", "x".repeat(CALLBACK_BYTES_MAX));
    for (callback, shown) in [
        ("http://user:word@a/p?q#f", Some("http://a/p?q#f")),
        ("HTTPS://user@A", Some("https://a/")),
        ("http://:word@a/", Some("http://a/")),
        ("http:user:word@a", Some("http://a/")),
        ("ftp://user:word@a/x", Some("ftp://a/x")),
        ("HTTP://A?mail=user@a", Some("HTTP://A?mail=user@a")),
        ("user:word@", Some("user:word@")),
        ("//user:word@a", None),
        (&long, Some(&long)),
        (&too_long, None),
    ] {
        let event = Event::States(NewStates {
            at: AT,
            state: State::Pending,
            messages: Messages::OfTransaction {
                id: transaction(1),
                callback: Some(callback.into()),
                queues: vec![plain("q")],
            },
        });
        let documents = documents(&event, &sink(SinkEvent::Any, "all"));
        assert_eq!(documents[0].get_str("callback").ok(), shown, "{callback}");
    }
}

#[test]
fn a_document_has_what_the_event_has_and_nothing_for_what_it_lacks() {
    let all = sink(SinkEvent::Any, "all");
    let id = transaction(1).to_string();
    let first = doc! {
        "_id": "00000000000000ab-0000000000010000-00000000", "event": "NEWSTATE", "agent": "agent-1",
        "transaction": &id, "queue": "s", "tenant": "shop", "realm": "secured", "state": "Delivered",
        "callback": "http://a/", "timestamp": date(AT),
    };
    let second = doc! {
        "_id": "00000000000000ab-0000000000010000-00000001", "event": "NEWSTATE", "agent": "agent-1",
        "transaction": &id, "queue": "p", "state": "Delivered", "callback": "http://a/", "timestamp": date(AT),
    };
    assert_eq!(documents(&messages(), &all), [first, second]);
    let expected = doc! {
        "_id": "00000000000000ab-0000000000010000-00000000", "event": "ACTION", "agent": "agent-1",
        "action": "USERPUSH", "transaction": "x", "max_msg": 10_i64, "total_msg": 0_i64, "postdata": "{}",
        "timestamp": date(AT),
    };
    assert_eq!(documents(&action(), &all), [expected]);
}

#[test]
fn a_document_goes_where_each_filter_has_one_of_its_values() {
    let id = transaction(1).to_string();
    for (event, filter, found) in [
        (SinkEvent::NewState, vec![], 2),
        (SinkEvent::Action, vec![], 1),
        (SinkEvent::Any, vec![], 3),
        (
            SinkEvent::Any,
            vec![(Field::State, vec!["Dead", "Delivered"])],
            2,
        ),
        (SinkEvent::Any, vec![(Field::State, vec!["Dead"])], 0),
        (SinkEvent::Any, vec![(Field::State, vec![])], 0),
        (
            SinkEvent::Any,
            vec![(Field::State, vec!["Delivered"]), (Field::Queue, vec!["p"])],
            1,
        ),
        (SinkEvent::Any, vec![(Field::Tenant, vec![""])], 2),
        (SinkEvent::Any, vec![(Field::Tenant, vec!["", "shop"])], 3),
        (SinkEvent::Any, vec![(Field::Transaction, vec![&id])], 2),
        (SinkEvent::Any, vec![(Field::TotalMsg, vec!["0"])], 1),
        (SinkEvent::NewState, vec![(Field::TotalMsg, vec!["0"])], 0),
    ] {
        let owned = |values: &Vec<&str>| values.iter().map(|&it| it.to_owned()).collect();
        let sink = Sink {
            filter: filter
                .iter()
                .map(|(field, values)| (*field, owned(values)))
                .collect(),
            ..sink(event, "some")
        };
        let count = documents(&messages(), &sink).len() + documents(&action(), &sink).len();
        assert_eq!(count, found, "{sink:?}");
    }
}

/// Without tenant and realm, what is read back of one queue would be mixed with another's.
#[test]
fn what_is_taken_is_kept_with_id_event_time_and_whose_it_is() {
    let sink = Sink {
        take: vec![Field::State, Field::Error],
        ..sink(SinkEvent::Any, "some")
    };
    let names = |document: &Document| document.keys().cloned().collect::<Vec<_>>();
    let messages = documents(&messages(), &sink);
    let names_of_messages: Vec<_> = messages.iter().map(names).collect();
    assert_eq!(
        names_of_messages,
        [
            vec!["_id", "event", "tenant", "realm", "state", "timestamp"],
            vec!["_id", "event", "state", "timestamp"],
        ]
    );
    assert_eq!(
        names(&documents(&action(), &sink)[0]),
        ["_id", "event", "timestamp"]
    );
}
