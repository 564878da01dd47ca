//! Who waits for whom.

use std::collections::HashMap;

use super::receiver::Request;
use super::*;

/// Transaction and queue of a request.
fn told(request: &Request) -> (String, String) {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("transaction"), text("queue"))
}

#[tokio::test]
async fn callbacks_of_a_transaction_come_one_after_another() {
    const TRANSACTIONS: u8 = 12;
    const QUEUES: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let settings = config::Callbacks {
        attempts: 100,
        // Of six transactions at least, so that there always is something to wait for.
        max_waiting: 6 * QUEUES,
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings);
    let names: Vec<_> = (0..QUEUES).map(|name| name.to_string()).collect();
    // The first half of the queues transaction by transaction, the second queue by queue.
    let (first, second) = names.split_at(QUEUES / 2);
    let first: Vec<_> = first.iter().map(String::as_str).collect();
    for transaction in 0..TRANSACTIONS {
        pool.tell(&delivered(transaction, &url, &first));
    }
    for name in second {
        let callback = || Some(url.as_str().into());
        pool.tell(&Event::States(NewStates {
            at: AT,
            state: State::Delivered,
            messages: Messages::OfQueue {
                queue: queue(name),
                transactions: (0..TRANSACTIONS)
                    .map(|number| (id(number), callback()))
                    .collect(),
            },
        }));
    }
    let mut held: Vec<Request> = Vec::new();
    let mut done: HashMap<String, usize> = HashMap::new();
    let mut answers = 0;
    loop {
        let finished = done.values().filter(|count| **count == QUEUES).count();
        let unfinished = usize::from(TRANSACTIONS) - finished;
        if unfinished == 0 {
            break;
        }
        // Some always wait for their answer, of different transactions.
        if held.len() < unfinished.min(4) {
            let request = receiver.next().await;
            let (transaction, name) = told(&request);
            let number = done.get(&transaction).copied().unwrap_or_default();
            assert_eq!(name, names[number], "of {transaction}");
            let is_alone = held.iter().all(|other| told(other).0 != transaction);
            assert!(is_alone, "two of {transaction} at once");
            held.push(request);
            continue;
        }
        answers += 1;
        let request = held.remove(answers % held.len());
        if answers % 5 == 0 {
            request.answer("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        } else {
            *done.entry(told(&request).0).or_default() += 1;
            request.answer(OK);
        }
    }
    pool.eventually("all are through", |tally| tally.waiting() == 0)
        .await;
    let tally = pool.stop().await;
    assert_eq!(tally.failed(), 0);
    assert_eq!(tally.sent(), u64::from(TRANSACTIONS) * QUEUES as u64);
    assert!(tally.retried() > 0);
}

#[tokio::test]
async fn a_host_that_hangs_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut hanging = Receiver::start().await;
    let mut well = Receiver::start().await;
    let mut pool = Pool::start(folder.path(), settings());
    for transaction in 0..100 {
        pool.tell(&delivered(transaction, &hanging.url(), &["a"]));
    }
    let mut held = Vec::new();
    for _ in 0..settings().per_host {
        held.push(hanging.next().await);
    }
    for transaction in 100..200 {
        pool.tell(&delivered(transaction, &well.url(), &["a"]));
        well.next().await.answer(OK);
    }
    pool.eventually("those are through", |tally| tally.sent() == 100)
        .await;
    assert!(hanging.is_idle(), "the others wait for those");
    for request in held {
        request.answer(OK);
    }
    for _ in settings().per_host..100 {
        hanging.next().await.answer(OK);
    }
    pool.eventually("all are through", |tally| tally.sent() == 200)
        .await;
    pool.stop().await;
}

#[tokio::test]
async fn the_next_callback_of_a_transaction_follows_one_that_was_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let settings = config::Callbacks {
        attempts: 1,
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings);
    pool.tell(&delivered(0, &receiver.url(), &["a", "b"]));
    let request = receiver.next().await;
    assert_eq!(told(&request).1, "a");
    request.answer("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let request = receiver.next().await;
    assert_eq!(told(&request).1, "b");
    request.answer(OK);
    pool.eventually("that is through", |tally| tally.sent() == 1)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.failed(), tally.retried()), (1, 0));
}
