//! Operations as tests write them.

use std::time::Duration;

use crate::mailbox::{
    Expiration, GroupName, LeaseKind, Limits, Op, Pop, Priority, Push, QueueName, Realm, Record,
    Tenant, TransactionId,
};

pub(super) const LIMITS: Limits = Limits {
    queues_per_transaction_max: 10_000,
    transactions_max: usize::MAX,
    queues_max: usize::MAX,
    groups_max: usize::MAX,
    tenant_queues_max: usize::MAX,
    waiters_max: 1_000_000,
    secured_queues_max: 10,
    queue_retention: Duration::from_hours(24),
    listed_messages_max: 10_000,
    deliveries_max: 0,
    idempotency_keys_max: 1000,
};

/// A push.
pub(super) struct Order {
    pub(super) number: u128,
    pub(super) names: Vec<QueueName>,
    pub(super) groups: Vec<GroupName>,
    pub(super) record: Record,
}

/// A push of an id that a number tells.
pub(super) fn push(number: u128, queues: &[&str], payload: &str) -> Order {
    Order {
        number,
        names: queues.iter().map(|id| queue(id)).collect(),
        groups: Vec::new(),
        record: Record {
            payload: payload.to_owned().into(),
            ..Record::default()
        },
    }
}

impl Order {
    pub(super) fn id(&self) -> TransactionId {
        TransactionId::from_random(self.number.to_be_bytes())
    }

    pub(super) fn op(&self) -> Op {
        Op::Push(Box::new(Push {
            id: self.id(),
            priority: Priority::High,
            queues: self.names.clone(),
            groups: self.groups.clone(),
            realm: Realm::Plain,
            record: self.record.clone(),
            expiration: Expiration::After(Duration::from_hours(1)),
            delay: Duration::ZERO,
            idempotency: None,
            may_repeat: false,
        }))
    }
}

pub(super) fn queue(id: &str) -> QueueName {
    QueueName::new(Realm::Plain, Tenant(None), id)
}

/// A pop of everything.
pub(super) fn pop(id: &str) -> Op {
    pop_from(queue(id))
}

/// A pop of everything.
pub(super) fn pop_from(queue: QueueName) -> Op {
    Op::Pop(terms(queue))
}

/// A pop that waits.
pub(super) fn waiting_pop(id: &str) -> Op {
    Op::Pop(Pop {
        wait: true,
        ..terms(queue(id))
    })
}

fn terms(queue: QueueName) -> Pop {
    Pop {
        queue,
        count_max: 10_000,
        bytes_max: usize::MAX,
        lease: Duration::from_mins(1),
        kind: LeaseKind::Delivery,
        wait: false,
    }
}
