//! Callbacks where the histories do not reach: many at once, and records that change meanwhile.

use std::rc::Rc;

use super::{
    super::{connection::into_bytes, keys},
    bench::{Agents, Bench, Layout},
    order::{LIMITS, Order, push},
};
use crate::mailbox::{
    CALLBACK_BYTES_MAX, Op, Reply, Update, engine::model_test::START, told_of_callback,
};

fn with_callback(number: u128, callback: &str) -> Order {
    let mut order = push(number, &["a"], "payload");
    order.record.callback = Some(callback.into());
    order
}

#[test]
fn many_are_answered_in_the_order_of_the_question() {
    const ASKED: u128 = 600;
    let mut agents = Agents::start(&Bench::new(Layout::Three), 1, &LIMITS, Some(START));
    let orders: Vec<Order> = (0..ASKED)
        .map(|number| match number % 3 {
            0 => with_callback(number, &format!("http://x/{number}")),
            _ => push(number, &["a"], "payload"),
        })
        .collect();
    agents.answers(orders.iter().map(Order::op));
    let asking = Op::Callbacks(orders.iter().map(Order::id).collect());
    let expected = orders.iter().map(|it| it.record.callback.clone()).collect();
    assert_eq!(agents.answer(asking), Reply::Callbacks(expected));
}

#[test]
fn one_of_a_record_that_changes_meanwhile_is_read_again() {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, Some(START));
    let order = with_callback(1, "http://before");
    agents.answer(order.op());
    let bench = Rc::clone(&agents.bench);
    let client = Rc::clone(&agents.worker(0).client);
    let records = client.records_of(order.id());
    let key = keys::record_key(order.id());
    let head = bench.run(async {
        let head = records
            .connection
            .call(&[b"GETRANGE", key.as_bytes(), b"0", b"37"]);
        into_bytes(head.await.unwrap()).unwrap().unwrap()
    });
    let update = Update {
        payload: Some("a longer payload".into()),
        callback: Some("http://after".into()),
        expiration: None,
    };
    agents.answer(Op::Update(order.id(), update));
    let read = bench.run(async {
        let asked = records.ask_for_callback(order.id(), head.clone());
        records.callback(order.id(), asked).await
    });
    assert_eq!(read.unwrap().as_deref(), Some("http://after"));
    agents.answer(Op::Delete(order.id()));
    let read = bench.run(async {
        let asked = records.ask_for_callback(order.id(), head);
        records.callback(order.id(), asked).await
    });
    assert_eq!(read.unwrap(), None);
}

#[test]
fn of_a_long_one_the_beginning_is_told() {
    let mut agents = Agents::start(&Bench::new(Layout::One), 1, &LIMITS, Some(START));
    for (number, filler) in (0..).zip(["x", "é", "€", "\u{1f4ec}"]) {
        for bytes in CALLBACK_BYTES_MAX - 4..CALLBACK_BYTES_MAX + 8 {
            let count = bytes / filler.len();
            let callback = format!(
                "{}{}",
                "a".repeat(bytes % filler.len()),
                filler.repeat(count)
            );
            let order = with_callback(u128::from(bytes as u64) * 8 + number, &callback);
            agents.answer(order.op());
            let told = agents.answer(Op::Callbacks(vec![order.id()]));
            let expected = told_of_callback(&callback);
            assert_eq!(told, Reply::Callbacks(vec![Some(expected.into())]));
            assert_eq!(
                expected.len() > CALLBACK_BYTES_MAX,
                bytes > CALLBACK_BYTES_MAX
            );
        }
    }
}
