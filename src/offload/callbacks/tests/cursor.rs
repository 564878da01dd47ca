//! How far the spool is dealt with, over stops and starts.

use super::*;

use crate::offload::Action;

#[tokio::test]
async fn what_was_not_answered_is_posted_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let mut pool = Pool::start(folder.path(), settings());
    pool.tell(&delivered(0, &url, &["done"]));
    receiver.next().await.answer(OK);
    pool.eventually("the first is through", |tally| tally.sent() == 1)
        .await;
    pool.tell(&delivered(1, &url, &["held"]));
    let held = receiver.next().await;
    for transaction in [2, 3] {
        pool.tell(&delivered(transaction, &url, &["behind"]));
        receiver.next().await.answer(OK);
    }
    pool.eventually("those behind are through", |tally| tally.sent() == 3)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.waiting(), tally.oldest()), (1, AT.0));
    drop(held);

    let pool = Pool::start(folder.path(), settings());
    let mut again = Vec::new();
    for _ in 0..3 {
        let request = receiver.next().await;
        again.push(request.body.contains("held"));
        request.answer(OK);
    }
    assert_eq!(again, [true, false, false]);
    pool.eventually("all are through", |tally| tally.waiting() == 0)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.sent(), tally.failed(), tally.oldest()), (3, 0, 0));

    let mut pool = Pool::start(folder.path(), settings());
    pool.tell(&delivered(4, &url, &["new"]));
    let request = receiver.next().await;
    assert!(request.body.contains("new"), "{}", request.body);
    request.answer(OK);
    pool.stop().await;
}

#[tokio::test]
async fn what_is_under_way_at_a_stop_may_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let mut pool = Pool::start(folder.path(), settings());
    pool.tell(&delivered(0, &receiver.url(), &["a", "b"]));
    let request = receiver.next().await;
    pool.stop.send(true).unwrap();
    request.answer(OK);
    let tally = pool.stop().await;
    assert_eq!((tally.sent(), tally.waiting()), (1, 1));
    assert!(receiver.is_idle(), "nothing is begun any more");
}

#[tokio::test]
async fn entries_without_a_callback_to_make_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let mut pool = Pool::start(folder.path(), settings());
    pool.append(b"\xff nonsense");
    for state in State::ALL {
        if state != State::Delivered {
            let Event::States(mut new) = delivered(0, &url, &["a"]) else {
                unreachable!()
            };
            new.state = state;
            pool.tell(&Event::States(new));
        }
    }
    pool.tell(&Event::Action(Box::new(Action {
        at: AT,
        action: "PUSH".into(),
        realm: Realm::Plain,
        tenant: Tenant(None),
        queue: None,
        transaction: None,
        max_msg: None,
        total_msg: None,
        postdata: None,
        error: None,
    })));
    for (transaction, text) in [(1, ""), (2, "nonsense"), (3, "ftp://host/")] {
        pool.tell(&delivered(transaction, text, &["a"]));
    }
    pool.tell(&Event::States(NewStates {
        at: AT,
        state: State::Delivered,
        messages: Messages::OfQueue {
            queue: queue("q"),
            transactions: vec![(id(4), None), (id(5), Some(url.into())), (id(6), None)],
        },
    }));
    let request = receiver.next().await;
    let expected = format!("{{\"transaction\":\"{}\",\"queue\":\"q\",", id(5));
    assert!(request.body.starts_with(&expected), "{}", request.body);
    request.answer(OK);
    pool.eventually("it is through", |tally| tally.sent() == 1)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.failed(), tally.undecodable()), (2, 1));
    // All of it is dealt with.
    let pool = Pool::start(folder.path(), settings());
    let tally = pool.stop().await;
    assert_eq!((tally.failed(), tally.undecodable()), (0, 0));
}
