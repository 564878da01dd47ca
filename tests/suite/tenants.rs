//! `/org/:org/…`: a tenant's queues, groups and transactions in them are its own.

use serde_json::json;

use crate::support::{Client, Popped, Queue, get, shared, unique};

/// Pushes to `pushed`, and fails if any of `others` sees it; takes it out again.
#[track_caller]
fn assert_apart(client: &mut Client, pushed: &Queue, others: &[&Queue]) {
    let id = client.push(pushed, "secret");
    for other in others {
        assert!(client.peek(other).is_empty(), "{other:?} sees {pushed:?}");
        assert_eq!(
            client.queue_info(other)["size"],
            json!(0),
            "{other:?} sees {pushed:?}"
        );
        let results = client.ack(other, &[&id]);
        // Refused, unless the transaction's own id of the queue is the same text: even then it is another queue.
        assert!(
            results[0]["err"].is_string(),
            "{other:?} acks {pushed:?}: {results}"
        );
    }
    assert_eq!(
        client.pop(pushed, &json!({"timeout": 1})).transactions,
        [id]
    );
}

#[test]
fn queues_of_one_name_are_each_tenants_own() {
    let shared = shared();
    let mut client = shared.client();
    let id = unique("q");
    let plain = Queue::named(&id);
    let one = Queue::of(&unique("org"), &id);
    let two = Queue::of(&unique("org"), &id);
    assert_apart(&mut client, &plain, &[&one, &two]);
    assert_apart(&mut client, &one, &[&plain, &two]);
    assert_apart(&mut client, &two, &[&plain, &one]);
}

#[test]
fn every_queue_route_exists_for_tenants() {
    let shared = shared();
    let (mut client, mut stream) = (shared.client(), shared.client());
    let tenant = unique("org");
    let q = Queue::of(&tenant, unique("q"));
    let id = client.push(&q, "a");
    assert_eq!(client.peek(&q).data, ["a"]);
    let info = client.queue_info(&q);
    assert_eq!(info["size"], json!(1));
    assert_eq!(info["high"][0]["id"], json!(id));
    assert_eq!(client.poprel(&q, &json!({"timeoutACK": 100})).data, ["a"]);
    assert_eq!(client.ack(&q, &[&id]), json!([{"err": null, "data": id}]));
    client.push(&q, "b");
    assert_eq!(client.pop(&q, &json!({})).data, ["b"]);
    stream.subscribe(&q, "subscribe", &json!({}));
    client.push(&q, "c");
    assert_eq!(stream.next_message().0, "c");
    drop(stream);
    client.await_blocked(&q, false);
    let mut stream = shared.client();
    stream.subscribe(&q, "subscriberel", &json!({"timeoutACK": 100}));
    client.push(&q, "d");
    assert_eq!(stream.next_message().0, "d");
}

#[test]
fn no_join_of_tenant_and_queue_meets_another() {
    let shared = shared();
    let mut client = shared.client();
    let t = unique("t");
    let pairs = [
        // The fault of the old server, both ways round.
        (
            Queue::of(&format!("{t}:UNSEC"), "q"),
            Queue::of(&t, "UNSEC:q"),
        ),
        (Queue::of(&format!("{t}:SEC"), "q"), Queue::of(&t, "SEC:q")),
        (Queue::of(&t, "b:c"), Queue::of(&format!("{t}:b"), "c")),
        (Queue::of(&t, "b/c"), Queue::of(&format!("{t}/b"), "c")),
        (Queue::of(&t, "q"), Queue::named(format!("{t}:q"))),
        (Queue::of(&t, "q"), Queue::named(format!("{t}:UNSEC:q"))),
        (Queue::of(&t, "q"), Queue::named(format!("{t}/q"))),
        (Queue::of(&t, "q"), Queue::named(format!("org/{t}/queue/q"))),
        (Queue::of(&t, "q\0r"), Queue::of(&format!("{t}\0q"), "r")),
        (Queue::of(&t, "{q}"), Queue::of(&t, "q")),
        (Queue::named(format!("UNSEC:{t}")), Queue::named(&t)),
        (Queue::named(format!("SEC:{t}")), Queue::named(&t)),
        (Queue::named(format!("PB:Q|H:UNSEC:{t}")), Queue::named(&t)),
        (Queue::named(t.to_uppercase()), Queue::named(&t)),
        (Queue::named(format!("{t} ")), Queue::named(&t)),
        (Queue::of("UNSEC", &t), Queue::named(&t)),
        (Queue::of("", &t), Queue::of(":", &t)),
    ];
    for (left, right) in &pairs {
        // An empty tenant is no tenant's path.
        if left.path().contains("/org//") {
            continue;
        }
        assert_apart(&mut client, left, &[right]);
        assert_apart(&mut client, right, &[left]);
    }
}

#[test]
fn a_push_wakes_only_its_own_tenants_waiter() {
    let shared = shared();
    let mut client = shared.client();
    let id = unique("q");
    let queues = [
        Queue::named(&id),
        Queue::of(&unique("org"), &id),
        Queue::of(&unique("org"), &id),
    ];
    let mut waiting = shared.clients(3);
    for (client, q) in waiting.iter_mut().zip(&queues) {
        client.start_pop(q);
    }
    for q in &queues {
        client.await_blocked(q, true);
    }
    for (number, q) in queues.iter().enumerate().rev() {
        client.push(q, &number.to_string());
    }
    for (number, client) in waiting.iter_mut().enumerate() {
        assert_eq!(Popped::parse(&client.receive()).data, [number.to_string()]);
    }
}

#[test]
fn tenants_are_any_text_and_their_case_counts() {
    let shared = shared();
    let mut client = shared.client();
    let id = unique("q");
    let tenants = [
        "Ünï çode",
        "a/b",
        "a%2Fb",
        "UNSEC",
        "SEC",
        "queue",
        "..",
        "a\nb",
        "😀",
    ];
    for tenant in tenants {
        let name = format!("{tenant}{id}");
        let q = Queue::of(&name, &id);
        let lower = Queue::of(&name.to_lowercase(), &id);
        client.push(&q, "p");
        assert_eq!(
            client.peek(&lower).is_empty(),
            name.to_lowercase() != name,
            "{tenant}"
        );
        assert_eq!(
            client.pop(&q, &json!({"timeout": 1})).data,
            ["p"],
            "{tenant}"
        );
    }
}

#[test]
fn get_of_a_tenants_transaction_is_the_same_for_all() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::of(&unique("org"), unique("q"));
    let id = client.push(&q, "p");
    let shown = client
        .call(&get(format!("/trans/{id}?queues=summary")))
        .json();
    assert_eq!(shown["payload"], json!("p"));
    assert_eq!(
        shown["queues"],
        json!({"totalNotifications": 1, "Pending": 1})
    );
}
