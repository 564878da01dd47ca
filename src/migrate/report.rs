//! What was moved, and what was left where it was.

use std::{collections::BTreeMap, fmt};

/// Examples that are named of each kind.
const EXAMPLES_MAX: usize = 3;

/// Characters of an example: enough to find it by.
const EXAMPLE_CHARS_MAX: usize = 120;

/// Why something was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// A transaction past its end.
    Expired,
    /// A transaction in a queue's list, or out with a consumer, of which there is no more than its id.
    Gone,
    /// A transaction that no queue has to deliver.
    Done,
    /// A transaction with an id that cannot name one here.
    OddId,
    /// A transaction whose fields make no sense.
    BrokenFields,
    /// A transaction with a payload that this configuration does not allow.
    PayloadTooLong,
    /// A transaction for more queues than this configuration allows.
    TooManyQueues,
    /// An entry of a list that is no transaction's key.
    OddEntry,
    /// An entry of a list for a message that the queue holds already.
    RepeatedEntry,
    /// A message in a queue that nobody could ask for here.
    Unreachable,
    /// A state of a moved transaction in a queue that has had it.
    Delivered,
    /// A state that says a message waits in a queue that does not hold it.
    NotListed,
    /// A state that is no word for one, or of a queue that nobody could ask for here.
    OddState,
    /// A group with more members than this configuration allows.
    GroupTooLarge,
    /// A group whose name, or a member of which, cannot be one here.
    OddGroup,
    /// A secured queue's user of whom no digest is kept.
    OddDigest,
    /// A user of a secured queue that nobody could ask for here.
    OddSecured,
    /// The time of a queue's last pop.
    LastPop,
    /// A key of the old server's that holds another type than its name says.
    WrongType,
    /// A key that is not the old server's.
    Unknown,
}

impl Left {
    /// What it is, for one and for many.
    fn text(self) -> &'static str {
        match self {
            Self::Expired => "transactions that have expired",
            Self::Gone => "transactions without fields: they have expired, as a rule",
            Self::Done => {
                "transactions that wait in no queue: they have been delivered everywhere, as a rule"
            }
            Self::OddId => "transactions whose id is no UUID in lower case with hyphens",
            Self::BrokenFields => "transactions whose fields are missing or make no sense",
            Self::PayloadTooLong => "transactions with a payload longer than limits.max_payload",
            Self::TooManyQueues => "transactions for more queues than limits.max_queues",
            Self::OddEntry => "entries of queues that name no transaction",
            Self::RepeatedEntry => "entries of queues that name a transaction again",
            Self::Unreachable => {
                "messages in queues whose name is empty, not UTF-8, longer than limits.max_id or without UNSEC: and SEC:"
            }
            Self::Delivered => "states Delivered of transactions that still wait elsewhere",
            Self::NotListed => "states Pending where the queue does not hold the message",
            Self::OddState => "states that make no sense",
            Self::GroupTooLarge => "groups with more queues than limits.max_queues",
            Self::OddGroup => {
                "groups where a name is empty, not UTF-8 or longer than limits.max_id"
            }
            Self::OddDigest => {
                "users of secured queues of whom something else is kept than a digest"
            }
            Self::OddSecured => {
                "users of secured queues whose name is empty or longer than limits.max_id"
            }
            Self::LastPop => "times of last pops: this version has no place for them",
            Self::WrongType => "keys that do not hold what their name says",
            Self::Unknown => "keys that are not the old server's",
        }
    }
}

/// How many there were, and a few of them.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    examples: Vec<String>,
}

impl Tally {
    fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        self.count += count;
        if self.examples.len() < EXAMPLES_MAX {
            let example: String = example().chars().take(EXAMPLE_CHARS_MAX).collect();
            if !example.is_empty() && !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.examples.is_empty() {
            return Ok(());
        }
        let more = if self.count > self.examples.len() as u64 {
            ", ..."
        } else {
            ""
        };
        write!(formatter, " ({}{more})", self.examples.join(", "))
    }
}

/// What a migration has done; displayed as the summary for whoever ran it.
#[derive(Debug, Default)]
pub struct Report {
    /// Transactions that are in the store now and were not before.
    pub transactions_moved: u64,
    /// Their messages, one for each queue.
    pub messages_moved: u64,
    /// Transactions that were in the store already.
    pub transactions_there: u64,
    /// Groups that are in the store now, or have more members than before.
    pub groups_moved: u64,
    /// Groups that were in the store already.
    pub groups_there: u64,
    /// Users of secured queues that are in the store now and were not before.
    pub users_moved: u64,
    /// Users of secured queues that had one in the store already: the same, or another, who stays.
    pub users_there: u64,
    ambiguous: Tally,
    left: BTreeMap<Left, Tally>,
}

impl Report {
    /// Something was left, which has no name that anybody needs.
    pub(super) fn leave(&mut self, why: Left, count: u64) {
        if count > 0 {
            self.left.entry(why).or_default().add(count, String::new);
        }
    }

    /// One thing was left, which `name` names.
    pub(super) fn leave_named(&mut self, why: Left, name: impl fmt::Display) {
        self.leave_several(why, 1, name);
    }

    /// Several things were left, which `name` names together.
    pub(super) fn leave_several(&mut self, why: Left, count: u64, name: impl fmt::Display) {
        let tally = self.left.entry(why).or_default();
        tally.add(count, || name.to_string());
    }

    /// A queue has a name that can also be read otherwise.
    pub(super) fn note_ambiguous(&mut self, name: impl fmt::Display) {
        self.ambiguous.add(1, || name.to_string());
    }

    /// How many were left for that reason.
    pub fn count(&self, why: Left) -> u64 {
        self.left.get(&why).map_or(0, |tally| tally.count)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "moved: {} transactions ({} messages), {} groups, {} users of secured queues",
            self.transactions_moved, self.messages_moved, self.groups_moved, self.users_moved
        )?;
        write!(
            formatter,
            "already there: {} transactions, {} groups, {} users of secured queues",
            self.transactions_there, self.groups_there, self.users_there
        )?;
        for (why, tally) in &self.left {
            write!(formatter, "\nleft: {} {}{tally}", tally.count, why.text())?;
        }
        if self.ambiguous.count > 0 {
            write!(
                formatter,
                "\nnote: the names of {} queues can be read in two ways; the first UNSEC: or SEC: was taken to end the \
                 tenant{}",
                self.ambiguous.count, self.ambiguous
            )?;
        }
        Ok(())
    }
}

/// A name as it came from Redis, on one line whatever is in it.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_everything_and_names_a_few() {
        let mut report = Report::default();
        for number in 0..5 {
            report.leave_named(Left::Unknown, Shown(format!("key\n{number}").as_bytes()));
        }
        report.leave(Left::LastPop, 2);
        report.leave(Left::Delivered, 0);
        report.users_there = 3;
        let text = report.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "moved: 0 transactions (0 messages), 0 groups, 0 users of secured queues",
                "already there: 0 transactions, 0 groups, 3 users of secured queues",
                "left: 2 times of last pops: this version has no place for them",
                "left: 5 keys that are not the old server's (\"key\\n0\", \"key\\n1\", \"key\\n2\", ...)",
            ]
        );
        assert_eq!(report.count(Left::Unknown), 5);
    }
}
