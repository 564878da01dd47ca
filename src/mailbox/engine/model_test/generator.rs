//! Random histories over few queues and few ids, so that things collide.

use std::time::Duration;

use bytes::Bytes;

use super::Home;
use crate::mailbox::{
    AckItem, DeadSelection, Expiration, GroupChange, GroupName, Idempotency, IdempotencyKey,
    LeaseId, LeaseKind, Limits, Op, Pop, Priority, Push, QueueName, Realm, Record, Return, Tenant,
    Ticket, TransactionId, UnixMillis, Update,
};

/// A sequence that its seed determines (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        let len = u64::try_from(among.len()).unwrap();
        among[usize::try_from(self.below(len)).unwrap()].clone()
    }

    pub(super) fn some<T: Clone>(&mut self, among: &[T], count_max: u64) -> Vec<T> {
        (0..self.below(count_max + 1))
            .map(|_| self.pick(among))
            .collect()
    }
}

/// A hand-out of the past.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) queue: QueueName,
    pub(super) lease: LeaseId,
    pub(super) ids: Vec<TransactionId>,
}

/// What a history is made of.
pub(super) struct Scene {
    home: Home,
    pub(super) queues: Vec<QueueName>,
    pub(super) ids: Vec<TransactionId>,
    pub(super) groups: Vec<GroupName>,
    members: Vec<Box<str>>,
    pub(super) limits: Limits,
    payloads: usize,
}

/// One step of a history.
#[derive(Debug)]
pub(super) enum Step {
    Op(Op),
    /// The clock goes on, or a little back.
    Clock(UnixMillis),
    Restart,
}

impl Scene {
    pub(super) fn new(dice: &mut Dice, home: Home) -> Self {
        let members: Vec<Box<str>> = ["a", "b", "c"].map(Into::into).into();
        let tenants = [Tenant(None), Tenant(Some("org".into()))];
        let queue = |tenant: &Tenant, id: &str| QueueName::new(Realm::Plain, tenant.clone(), id);
        let group = |tenant: &Tenant, name: &str| GroupName {
            tenant: tenant.clone(),
            name: name.into(),
        };
        let id = |number| TransactionId::from_random([number; 16]);
        let mut tight = |usual: usize, tight: &[usize]| {
            if dice.percent(20) {
                dice.pick(tight)
            } else {
                usual
            }
        };
        let mut limits = Limits {
            queues_per_transaction_max: tight(1000, &[1, 2, 3]),
            transactions_max: tight(1000, &[2, 4, 6]),
            queues_max: tight(1000, &[1, 2, 3]),
            groups_max: tight(1000, &[1]),
            tenant_queues_max: tight(usize::MAX, &[1, 2]),
            waiters_max: tight(1000, &[1, 2]),
            secured_queues_max: tight(1000, &[1]),
            queue_retention: Duration::from_millis(dice.pick(&[1500, 60_000, 86_400_000])),
            listed_messages_max: dice.pick(&[1, 2, 1000]),
            deliveries_max: dice.pick(&[0, 1, 2, 3]),
            idempotency_keys_max: dice.pick(&[1, 1000, 1000]),
        };
        if home == Home::Servers {
            (limits.transactions_max, limits.queues_max) = (1000, 1000);
            (limits.groups_max, limits.idempotency_keys_max) = (1000, 1000);
            (limits.secured_queues_max, limits.tenant_queues_max) = (1000, 1000);
        }
        Self {
            home,
            queues: vec![
                queue(&tenants[0], "a"),
                queue(&tenants[0], "b"),
                queue(&tenants[0], "c"),
                queue(&tenants[1], "a"),
            ],
            ids: (1..=9).map(id).collect(),
            groups: vec![
                group(&tenants[0], "g"),
                group(&tenants[0], "h"),
                group(&tenants[1], "g"),
            ],
            members,
            limits,
            payloads: 0,
        }
    }

    pub(super) fn step(
        &mut self,
        dice: &mut Dice,
        now: UnixMillis,
        next_event: Option<UnixMillis>,
        held: &[Held],
        waiting: &[(Ticket, Pop)],
    ) -> Step {
        match dice.below(100) {
            0..18 => Step::Clock(self.clock(dice, now, next_event)),
            18..20 => Step::Restart,
            20..42 => Step::Op(Op::Push(Box::new(self.push(dice, now)))),
            42..62 => Step::Op(Op::Pop(self.pop(dice))),
            62..66 => Step::Op(self.cancel(dice, waiting)),
            66..73 => Step::Op(self.settle(dice, held)),
            73..79 => Step::Op(self.release(dice, held)),
            79..85 => Step::Op(self.ack(dice, held)),
            85..89 => Step::Op(self.update(dice, now)),
            89..92 => Step::Op(self.end_deaths(dice)),
            92..95 => Step::Op(Op::Delete(dice.pick(&self.ids))),
            95 => Step::Op(self.secured_op(dice)),
            _ => Step::Op(self.group_op(dice)),
        }
    }

    fn payload(&mut self, dice: &mut Dice) -> Bytes {
        self.payloads += 1;
        let padding = usize::try_from(dice.below(12)).unwrap();
        format!("{}{}", self.payloads, ".".repeat(padding)).into()
    }

    fn callback(dice: &mut Dice, chance: u64) -> Option<Box<str>> {
        let texts = ["http://x", "http://y", "http://a/longer?one", ""];
        dice.percent(chance).then(|| dice.pick(&texts).into())
    }

    fn expiration(dice: &mut Dice, now: UnixMillis) -> Expiration {
        let second = u32::try_from(now.seconds()).unwrap();
        let later = u32::try_from(dice.below(5)).unwrap();
        match dice.below(10) {
            0 => Expiration::At(second - later),
            1..4 => Expiration::At(second + 1 + later),
            4..8 => Expiration::After(Duration::from_millis(dice.below(6000))),
            _ => Expiration::After(Duration::from_hours(1)),
        }
    }

    fn push(&mut self, dice: &mut Dice, now: UnixMillis) -> Push {
        let delay = match dice.below(10) {
            0..7 => 0,
            _ => dice.pick(&[300, 1_000, 50_000, 50_000, 1_000_000, 1_700_000]),
        };
        let groups = if dice.percent(20) {
            dice.some(&self.groups, 2)
        } else {
            Vec::new()
        };
        let id = dice.pick(&self.ids);
        // Whoever pushes something again under its id has said the first time that it may.
        let may_repeat = id.to_string().ends_with(['0', '2', '4', '6', '8']);
        Push {
            id,
            priority: dice.pick(&[Priority::High, Priority::Low]),
            queues: dice.some(&self.queues, 4),
            groups,
            realm: Realm::Plain,
            record: Record {
                payload: self.payload(dice),
                callback: Self::callback(dice, 50),
                fields: vec![("n".into(), self.payloads.to_string().into())],
            },
            expiration: Self::expiration(dice, now),
            delay: Duration::from_micros(delay),
            idempotency: (may_repeat && dice.percent(60)).then(|| self.idempotency(dice).into()),
            may_repeat,
        }
    }

    fn idempotency(&self, dice: &mut Dice) -> Idempotency {
        let queue = dice.pick(&self.queues);
        Idempotency {
            key: IdempotencyKey {
                realm: queue.realm(),
                tenant: queue.tenant().clone(),
                text: dice.pick(&["k", "l"]).into(),
            },
            fingerprint: [u8::from(dice.percent(15)); 16],
            life: Duration::from_millis(dice.pick(&[1, 700, 5_000, 3_600_000])),
        }
    }

    fn end_deaths(&self, dice: &mut Dice) -> Op {
        let selection = DeadSelection {
            queue: dice.pick(&self.queues),
            transactions: dice.percent(50).then(|| dice.some(&self.ids, 3)),
            count_max: dice.pick(&[0, 1, 2, 1000]),
        };
        if dice.percent(70) {
            Op::Redrive(selection)
        } else {
            Op::Purge(selection)
        }
    }

    fn pop(&self, dice: &mut Dice) -> Pop {
        Pop {
            queue: dice.pick(&self.queues),
            count_max: dice.pick(&[0, 1, 1, 2, 3, 1000]),
            bytes_max: dice.pick(&[0, 1, 10, 20, usize::MAX, usize::MAX]),
            lease: Duration::from_millis(dice.pick(&[1, 2, 100, 100, 1000, 1000, 20_000])),
            kind: dice.pick(&[LeaseKind::Delivery, LeaseKind::Reliable]),
            wait: dice.percent(60),
        }
    }

    fn cancel(&self, dice: &mut Dice, waiting: &[(Ticket, Pop)]) -> Op {
        let never = Ticket {
            worker: 9,
            number: u64::MAX,
        };
        let (queue, ticket) = if waiting.is_empty() {
            (dice.pick(&self.queues), never)
        } else {
            let (ticket, pop) = dice.pick(waiting);
            (pop.queue, ticket)
        };
        Op::CancelPop { queue, ticket }
    }

    /// A recent hand-out more often than an old one; now and then one that never was.
    fn held(&self, dice: &mut Dice, held: &[Held]) -> Held {
        let recent = &held[held.len().saturating_sub(4)..];
        let among = if dice.percent(70) { recent } else { held };
        if among.is_empty() || dice.percent(3) {
            return Held {
                queue: dice.pick(&self.queues),
                lease: LeaseId(u64::MAX / 2),
                ids: dice.some(&self.ids, 3),
            };
        }
        let mut picked = dice.pick(among);
        match dice.below(10) {
            0 => picked.ids.reverse(),
            1 => picked.ids.truncate(1),
            2 => picked.ids.push(dice.pick(&self.ids)),
            3 => picked.ids.push(picked.ids[0]),
            _ => {}
        }
        picked
    }

    fn settle(&self, dice: &mut Dice, held: &[Held]) -> Op {
        let held = self.held(dice, held);
        Op::Settle {
            queue: held.queue,
            lease: held.lease,
            transactions: held.ids,
        }
    }

    fn release(&self, dice: &mut Dice, held: &[Held]) -> Op {
        let held = self.held(dice, held);
        Op::Release {
            queue: held.queue,
            lease: held.lease,
            transactions: held.ids,
            reason: dice.pick(&[Return::Unsent, Return::Unfinished, Return::Lapsed]),
        }
    }

    fn ack(&self, dice: &mut Dice, held: &[Held]) -> Op {
        let held = self.held(dice, held);
        let known = |id: TransactionId| AckItem {
            text: id.to_string().into(),
            id: Some(id),
        };
        let mut transactions: Vec<AckItem> = held.ids.into_iter().map(known).collect();
        if dice.percent(20) {
            let text = "no id".into();
            transactions.insert(0, AckItem { text, id: None });
        }
        let queue = if dice.percent(15) {
            dice.pick(&self.queues)
        } else {
            held.queue
        };
        Op::Ack {
            queue,
            transactions,
        }
    }

    fn update(&mut self, dice: &mut Dice, now: UnixMillis) -> Op {
        let update = Update {
            payload: dice.percent(40).then(|| self.payload(dice)),
            callback: Self::callback(dice, 20),
            expiration: dice.percent(60).then(|| Self::expiration(dice, now)),
        };
        Op::Update(dice.pick(&self.ids), update)
    }

    fn group_op(&self, dice: &mut Dice) -> Op {
        let name = dice.pick(&self.groups);
        let add = dice.some(&self.members, 3);
        let remove = dice.some(&self.members, 2);
        match dice.below(10) {
            0..4 => Op::StoreGroup(name, add),
            4..8 => Op::ChangeGroup(name, GroupChange { add, remove }),
            _ => Op::RemoveGroup(name),
        }
    }

    fn secured_op(&self, dice: &mut Dice) -> Op {
        let queue = dice.pick(&self.queues);
        let mut credentials = || dice.pick(&["u:1", "u:2"]).into();
        let (before, after) = (credentials(), credentials());
        match dice.below(3) {
            0 => Op::SecureQueue {
                queue,
                credentials: after,
            },
            1 => Op::Credentials(queue),
            _ => Op::RenewCredentials {
                queue,
                before,
                after,
            },
        }
    }

    /// Another time: near, at or beside the next thing that falls due, far, or a little earlier.
    fn clock(
        &self,
        dice: &mut Dice,
        now: UnixMillis,
        next_event: Option<UnixMillis>,
    ) -> UnixMillis {
        let next_second = (now.seconds() + 1) * 1000;
        match dice.below(100) {
            0..25 => UnixMillis(now.0 + dice.below(20)),
            25..45 => UnixMillis(now.0 + 300 + dice.below(1200)),
            45..60 => UnixMillis(next_second),
            60..80 => next_event.unwrap_or(now).max(now),
            80..88 => UnixMillis(next_event.unwrap_or(now).0 - 1).max(now),
            88..94 => UnixMillis(now.0 + 5_000 + dice.below(10_000)),
            94..96 => UnixMillis(now.0 + 7_200_000),
            // A server whose clock steps back shows what it did by it as not done yet, until it is that time again.
            _ if self.home == Home::Servers => now,
            _ => UnixMillis(now.0 - dice.below(30)),
        }
    }
}
