//! The order of queues survives.

use super::new::Store;
use super::old::Old;
use super::{assert_says, id, later, meta};

/// Numbers that look random and are the same each time (`xorshift64*`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % bound
    }
}

/// More than are read and pushed in one go, in many queues on two servers, with ids that say nothing of their order.
#[test]
fn many_messages_in_many_queues() {
    const COUNT: u32 = 12_000;
    const QUEUES: usize = 7;
    let mut servers = [Old::start(), Old::start()];
    let store = Store::new();
    let mut numbers = Numbers(1);
    let mut expected = vec![[Vec::new(), Vec::new()]; QUEUES];
    let later = later().to_string();
    let mut sent = [0, 0];
    for number in 0..COUNT {
        let id = id(number.wrapping_mul(0x9E37_79B1));
        let priority = numbers.below(2);
        let letter = ["H", "L"][priority];
        let payload = format!("p{number}");
        let key = format!("PB:T|{id}:meta");
        let words = [
            "HSET",
            &key,
            "payload",
            &payload,
            "priority",
            letter,
            "expirationDate",
            &later,
        ];
        let server = numbers.below(2);
        servers[server].send(&words.map(str::as_bytes));
        sent[server] += 1;
        let chosen = numbers.below(QUEUES);
        for (queue, lines) in expected.iter_mut().enumerate() {
            // One long queue, longer than what is read of a list in one go.
            if queue == 0 || queue == chosen || numbers.below(4) == 0 {
                let key = format!("PB:Q|{letter}:UNSEC:q{queue}");
                let entry = format!("PB:T|{id}");
                let server = queue % 2;
                servers[server].send(&["RPUSH", &key, &entry].map(str::as_bytes));
                sent[server] += 1;
                lines[priority].push(payload.clone());
            }
        }
        if number % 100 == 99 {
            for (server, sent) in servers.iter_mut().zip(&mut sent) {
                for _ in 0..std::mem::take(sent) {
                    server.expect_done();
                }
            }
        }
    }
    let addresses = [servers[0].address(), servers[1].address()].join(",");
    let summary = store.migrate_from(&addresses);
    let messages: usize = expected.iter().flatten().map(Vec::len).sum();
    let moved = format!(
        "moved: {COUNT} transactions ({messages} messages), 0 groups, 0 users of secured queues"
    );
    assert_says(&summary, &moved);
    let server = store.serve();
    for (number, lines) in expected.iter().enumerate() {
        let mut popped = Vec::new();
        loop {
            let some = server.pop(&format!("/queue/q{number}"));
            if some.is_empty() {
                break;
            }
            popped.extend(some);
        }
        assert!(popped == lines.concat(), "queue q{number} is out of order");
    }
}

#[test]
fn what_was_out_is_at_the_head_in_the_order_of_its_ids() {
    let (mut old, store) = (Old::start(), Store::new());
    for number in 1..=6 {
        old.fill(&meta(number, if number == 6 { "L" } else { "H" }));
    }
    let [first, second, third, fourth, fifth, sixth] = [1, 2, 3, 4, 5, 6].map(id);
    // The list says 1 before 2; 5 and 3 were out, and so was 6, which has the other priority. 4 is out for nobody but
    // in the list, too: its lease had ended.
    old.fill(&format!(
        "
        RPUSH PB:Q|H:UNSEC:q PB:T|{first} PB:T|{second} PB:T|{fourth}
        HSET PB:T|{third}:state UNSEC:q Blocked
        HSET PB:T|{fourth}:state q Blocked
        HSET PB:T|{fifth}:state UNSEC:q Blocked
        HSET PB:T|{sixth}:state q Blocked
        "
    ));
    store.migrate_from(&old.address());
    let server = store.serve();
    let expected = ["p3", "p5", "p1", "p2", "p4", "p6"];
    assert_eq!(server.pop("/queue/q"), expected);
}

#[test]
fn crossed_pushes_lose_nothing() {
    let (mut old, store) = (Old::start(), Store::new());
    let [first, second, third] = [1, 2, 3].map(id);
    for number in 1..=3 {
        old.fill(&meta(number, "H"));
    }
    old.fill(&format!(
        "
        RPUSH PB:Q|H:UNSEC:a PB:T|{second} PB:T|{first} PB:T|{third}
        RPUSH PB:Q|H:UNSEC:b PB:T|{first} PB:T|{second}
        "
    ));
    store.migrate_from(&old.address());
    let server = store.serve();
    assert_eq!(server.pop("/queue/a"), ["p1", "p2", "p3"]);
    assert_eq!(server.pop("/queue/b"), ["p1", "p2"]);
}

#[test]
fn a_full_store_is_gone_on_with_in_order() {
    let (mut old, store) = (Old::start(), Store::embedded());
    for number in 1..=9 {
        old.fill(&meta(number, "H"));
        old.fill(&format!("RPUSH PB:Q|H:UNSEC:q PB:T|{}", id(number)));
    }
    let address = old.address();
    let migration = store.migrate(&["--set", "limits.max_transactions=4", "--from", &address]);
    assert_eq!(migration.code, Some(1), "{migration:?}");
    let reason = "the store takes no more: no room: limits.max_transactions is reached";
    assert!(migration.errors.contains(reason), "{migration:?}");
    assert_says(
        &migration.summary,
        "moved: 4 transactions (4 messages), 0 groups, 0 users of secured queues",
    );
    // With room for one operation at a time, too.
    let migration = store.migrate(&["--set", "limits.max_backlog=1", "--from", &address]);
    assert_eq!(migration.code, Some(0), "{migration:?}");
    assert_says(
        &migration.summary,
        "moved: 5 transactions (5 messages), 0 groups, 0 users of secured queues",
    );
    let server = store.serve();
    let expected: Vec<_> = (1..=9).map(|number| format!("p{number}")).collect();
    assert_eq!(server.pop("/queue/q"), expected);
}
