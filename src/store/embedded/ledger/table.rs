//! Which tables there are.

/// A table of the ledger. The codes are on the disk: one is never given to another table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// Headers of transactions.
    Transactions = 0,
    /// Contents of transactions.
    Records = 1,
    /// Where messages are that are not in their line.
    Marks = 2,
    /// Groups.
    Groups = 3,
    /// When queues were last popped.
    Pops = 4,
    /// Pushes by their idempotency keys.
    Keys = 5,
    /// What is kept of the users of secured queues.
    Secured = 6,
}

impl Table {
    /// How many there are; every code is below.
    pub(super) const COUNT: usize = 7;

    /// All of them, in the order of their codes.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Transactions,
        Self::Records,
        Self::Marks,
        Self::Groups,
        Self::Pops,
        Self::Keys,
        Self::Secured,
    ];

    /// Its place in [`ALL`](Self::ALL), and what stands for it in the journal.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// Its place in an array of a thing per table.
    pub(super) fn index(self) -> usize {
        usize::from(self.code())
    }

    /// The table of a code.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its name in `tables.redb`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Records => "records",
            Self::Marks => "marks",
            Self::Groups => "groups",
            Self::Pops => "pops",
            Self::Keys => "keys",
            Self::Secured => "secured",
        }
    }
}
