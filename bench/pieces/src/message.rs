//! Messages as all benches have them: 200 bytes of text.

use std::time::Duration;

use bytes::Bytes;
use popbox::mailbox::{
    Expiration, LeaseKind, Op, Pop, Priority, Push, QueueName, Realm, Record, Tenant, TransactionId,
};

/// The size of a payload.
pub const PAYLOAD_BYTES: usize = 200;

/// Longer than any bench takes.
const LIFE: Duration = Duration::from_hours(1);

/// How long a hand-out lasts at most.
const LEASE: Duration = Duration::from_mins(1);

/// What an answer may have of payloads.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Text without anything to escape.
pub fn payload() -> String {
    "x".repeat(PAYLOAD_BYTES)
}

/// The queue of that number.
pub fn queue(number: usize) -> QueueName {
    QueueName::new(Realm::Plain, Tenant::default(), &queue_id(number))
}

/// Its name.
pub fn queue_id(number: usize) -> String {
    format!("inbox-{number}")
}

/// The id of that number: as scattered as a random one, and the same in every run.
pub fn id(number: u64) -> TransactionId {
    // Two rounds of splitmix64.
    let scattered = |step: u64| {
        let mut z = number
            .wrapping_mul(2)
            .wrapping_add(step)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes = [0; 16];
    let (high, low) = bytes.split_at_mut(8);
    high.copy_from_slice(&scattered(0).to_ne_bytes());
    low.copy_from_slice(&scattered(1).to_ne_bytes());
    TransactionId::from_random(bytes)
}

/// A push to these queues.
pub fn push(id: TransactionId, queues: Vec<QueueName>) -> Op {
    Op::Push(Box::new(Push {
        id,
        priority: Priority::High,
        queues,
        groups: Vec::new(),
        realm: Realm::Plain,
        record: Record {
            payload: Bytes::from(payload()),
            ..Record::default()
        },
        expiration: Expiration::After(LIFE),
        delay: Duration::ZERO,
        idempotency: None,
        may_repeat: false,
    }))
}

/// A plain pop of one message.
pub fn pop(queue: QueueName, wait: bool) -> Op {
    Op::Pop(Pop {
        queue,
        count_max: 1,
        bytes_max: ANSWER_BYTES_MAX,
        lease: LEASE,
        kind: LeaseKind::Delivery,
        wait,
    })
}
