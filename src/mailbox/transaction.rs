//! A transaction: one payload for any number of queues, with a priority, an end of life and an optional callback.

use std::{fmt, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{GroupName, Idempotency, QueueName, UnixMillis};

/// Names a transaction everywhere: a UUID, version 4 for those made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransactionId(Uuid);

impl TransactionId {
    /// An id from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Reads the one spelling that we hand out: 36 characters, lower case, with hyphens. Anything else names no
    /// transaction.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        let mut buffer = Uuid::encode_buffer();
        (id.hyphenated().encode_lower(&mut buffer) == text).then_some(Self(id))
    }

    /// A byte that depends on all of them: good for spreading ids evenly.
    pub fn folded(self) -> u8 {
        self.0
            .into_bytes()
            .into_iter()
            .fold(0, |folded, byte| folded ^ byte)
    }

    /// Its spelling, without an allocation.
    pub fn write_to(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

/// Messages of high priority leave a queue before those of low priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Priority {
    /// `H`
    High,
    /// `L`
    Low,
}

impl Priority {
    /// The letter clients use.
    pub fn letter(self) -> &'static str {
        match self {
            Self::High => "H",
            Self::Low => "L",
        }
    }
}

/// What clients see of a message, that is of a transaction in one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Waits in its queue, or is being written to a plain pop.
    Pending,
    /// Handed out by a reliable pop and not yet acked.
    Blocked,
    /// Its consumer has it.
    Delivered,
    /// Delivered so often without an ack that it is kept out of its queue.
    Dead,
    /// Its transaction's life ended first, or it was given up when it was dead.
    Expired,
}

impl State {
    /// The word clients use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Blocked => "Blocked",
            Self::Delivered => "Delivered",
            Self::Dead => "Dead",
            Self::Expired => "Expired",
        }
    }

    /// All states, in the order in which a message has them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Blocked,
        Self::Delivered,
        Self::Dead,
        Self::Expired,
    ];

    /// Reads the word clients use.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// When a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// At this second since 1970.
    At(u32),
    /// So long after it can first be delivered.
    After(Duration),
}

/// The latest end of a transaction, in seconds since 1970; the contract with clients sets it.
const EXPIRATION_MAX: u64 = 2_147_483_647;

impl Expiration {
    /// The second in which a transaction ends that can first be delivered at `starts_at`.
    pub fn second(self, starts_at: UnixMillis) -> u32 {
        match self {
            Self::At(second) => second,
            Self::After(life) => {
                let second = starts_at.plus(life).0.div_ceil(1000).min(EXPIRATION_MAX);
                // The maximum is below that of u32.
                u32::try_from(second).unwrap_or(u32::MAX)
            }
        }
    }
}

/// The content of a transaction, which its queues only refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What consumers get; UTF-8 text.
    pub payload: Bytes,
    /// Where to tell of each delivery.
    pub callback: Option<Box<str>>,
    /// Further fields that the producer gave, shown again by GET; names and values as text, names unique.
    pub fields: Vec<(Box<str>, Box<str>)>,
}

/// A validated new transaction.
#[derive(Clone, Debug)]
pub struct Push {
    /// Its id, made by the caller.
    pub id: TransactionId,
    /// Which line of each queue it joins.
    pub priority: Priority,
    /// Where it goes; one queue named twice gets it once.
    pub queues: Vec<QueueName>,
    /// Groups whose members, as queues of `queues_realm` and the group's tenant, get it too.
    pub groups: Vec<GroupName>,
    /// The realm in which the groups' members are queues.
    pub realm: super::Realm,
    /// Its content.
    pub record: Record,
    /// When it ends.
    pub expiration: Expiration,
    /// How long it is held back first; zero: not at all.
    pub delay: Duration,
    /// By what a repeat of it is known, if its producer says.
    pub idempotency: Option<Box<Idempotency>>,
    /// Whether the same may be pushed again under its id, as by whoever brings things over from elsewhere.
    pub may_repeat: bool,
}

/// What may change of a transaction after its push; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// A new payload.
    pub payload: Option<Bytes>,
    /// A new callback.
    pub callback: Option<Box<str>>,
    /// A new end.
    pub expiration: Option<Expiration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPELLING: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    #[test]
    fn an_id_is_read_in_its_one_spelling_only() {
        let id = TransactionId::parse(SPELLING).unwrap();
        assert_eq!(id.to_string(), SPELLING);
        assert_eq!(id.write_to(&mut [0; 36]), SPELLING);
        let others = [
            "",
            "x",
            "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
            "3f2504e04f8941d39a0c0305e82c3301",
            "{3f2504e0-4f89-41d3-9a0c-0305e82c3301}",
            "urn:uuid:3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            " 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301\n",
            "3f2504e0-4f89-41d3-9a0c-0305e82c330",
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301a",
            "3f2504e0-4f89-41d3-9a0c-0305e82c330g",
            "3f2504e-04f89-41d3-9a0c-0305e82c3301",
            "3f2504e0-4f89-41d3-9a0c-0305e82c33\u{e9}",
        ];
        for other in others {
            assert_eq!(TransactionId::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_made_id_is_a_uuid_of_version_4() {
        for bytes in [[0; 16], [0xff; 16]] {
            let text = TransactionId::from_random(bytes).to_string();
            assert_eq!(&text[14..15], "4");
            assert!(["8", "9", "a", "b"].contains(&&text[19..20]));
            assert!(TransactionId::parse(&text).is_some());
        }
    }

    #[test]
    fn every_byte_of_an_id_counts_in_its_folding() {
        let folded = |at: usize| {
            let mut bytes = [0; 16];
            bytes[at] = 1;
            TransactionId::from_random(bytes).folded()
        };
        let zero = TransactionId::from_random([0; 16]).folded();
        for at in 0..16 {
            assert_ne!(folded(at), zero, "byte {at}");
        }
    }

    #[test]
    fn a_state_is_read_by_its_exact_word() {
        use State::{Blocked, Delivered, Expired, Pending};
        for state in [Pending, Blocked, Delivered, Expired] {
            assert_eq!(State::from_word(state.word()), Some(state));
        }
        for word in ["", "pending", "All", "Pending "] {
            assert_eq!(State::from_word(word), None);
        }
    }

    #[test]
    fn priorities_have_the_letters_of_the_contract() {
        let letters = [Priority::High, Priority::Low].map(Priority::letter);
        assert_eq!(letters, ["H", "L"]);
    }
}
