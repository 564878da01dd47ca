//! What runs inside the servers: a library of functions, which a server keeps once it has it.
//!
//! The operations on queues are functions that run a batch of them, one for each key. Each operation is atomic, since a
//! server runs a function in one go. The library's name tells what is in it, so that processes of several versions can
//! use one server.

use std::{fmt::Write, sync::LazyLock};

use blake2::{Blake2s256, Digest};

macro_rules! together {
    ($($file:literal),*) => { concat!($(include_str!($file), "\n"),*) };
}

const FUNCTIONS: &str = together!(
    "call.lua",
    "queue.lua",
    "head.lua",
    "news.lua",
    "waiters.lua",
    "line.lua",
    "death.lua",
    "tidy.lua",
    "record.lua",
    "push.lua",
    "pop.lua",
    "settle.lua",
    "look.lua",
    "amend.lua",
    "dead.lua",
    "sweep.lua",
    "run.lua",
    "records.lua",
    "once.lua",
    "group.lua",
    "secure.lua",
    "register.lua"
);

/// Bytes of the digest in the library's name.
const DIGEST_BYTES: usize = 6;

/// A function of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// Pushes to queues, with their records where those are on the same server.
    Push,
    /// All other operations on queues. They empty a server in the end, so they go on when its memory is full.
    Queue,
    /// Writes records.
    Create,
    /// Notes in records what became of messages.
    Note,
    /// Reads a record without its payload.
    Head,
    /// Ends that a transaction is held back.
    Arrived,
    /// Changes a record.
    Update,
    /// Removes a record.
    Delete,
    /// Takes over transactions whose delay is over.
    Claim,
    /// Claims keys of pushes.
    Once,
    /// Notes what became of pushes with keys.
    Outcome,
    /// Changes a group.
    Group,
    /// Keeps something of the user of a secured queue.
    Secure,
}

static NAME: LazyLock<String> = LazyLock::new(|| {
    let digest = Blake2s256::digest(functions());
    let mut name = "popbox_".to_owned();
    for byte in digest.iter().take(DIGEST_BYTES) {
        // To write to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
});

static TEXT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "#!lua name={0}\nlocal LIBRARY = '{0}'\n{1}",
        *NAME,
        functions()
    )
});

#[cfg(not(test))]
fn functions() -> &'static str {
    FUNCTIONS
}

/// With limits so small that a few messages reach them.
#[cfg(test)]
fn functions() -> String {
    FUNCTIONS
        .replace("local SLICE = 100\n", "local SLICE = 3\n")
        .replace("local SEARCHED_MAX = 128\n", "local SEARCHED_MAX = 1\n")
}

/// The command by which a server takes the library.
pub(super) fn load_command() -> [&'static [u8]; 3] {
    [b"FUNCTION", b"LOAD", TEXT.as_bytes()]
}

impl Function {
    /// What it is called after the library's name.
    fn suffix(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Queue => "queue",
            Self::Create => "create",
            Self::Note => "note",
            Self::Head => "head",
            Self::Arrived => "arrived",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Claim => "claim",
            Self::Once => "once",
            Self::Outcome => "outcome",
            Self::Group => "group",
            Self::Secure => "secure",
        }
    }

    /// Its name on servers.
    pub(super) fn name(self) -> String {
        format!("{}_{}", *NAME, self.suffix())
    }
}
