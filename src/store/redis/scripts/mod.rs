//! What runs inside the servers.
//!
//! The operations on queues are one script, put together from a file per noun: a call of it runs a batch of them. Each
//! operation is atomic, since a server runs a script in one go.

use std::cell::RefCell;

use bytes::Bytes;

/// A script, and the digest by which servers know it. One for each connection.
pub(super) struct Script {
    text: &'static str,
    may_exceed_memory: bool,
    /// As a server took it.
    loaded: RefCell<Loaded>,
}

#[derive(Default)]
struct Loaded {
    has_flags: bool,
    digest: Bytes,
}

macro_rules! together {
    ($($file:literal),*) => { concat!($(include_str!($file), "\n"),*) };
}

/// What a queue's operations stand on.
macro_rules! queues {
    ($($file:literal),*) => {
        together!(
            "time.lua", "queue.lua", "head.lua", "waiters.lua", "line.lua", "death.lua", "tidy.lua", $($file,)*
            "run.lua"
        )
    };
}

impl Script {
    fn new(text: &'static str, may_exceed_memory: bool) -> Self {
        Self {
            text,
            may_exceed_memory,
            loaded: RefCell::default(),
        }
    }

    /// Pushes to queues, with their records where those are on the same server.
    pub(super) fn push() -> Self {
        Self::new(queues!("record.lua", "push.lua"), false)
    }

    /// All other operations on queues. They empty a server in the end, so they go on when its memory is full.
    pub(super) fn queue() -> Self {
        Self::new(
            queues!(
                "pop.lua",
                "settle.lua",
                "look.lua",
                "amend.lua",
                "sweep.lua"
            ),
            true,
        )
    }

    /// Operations on dead letters. By themselves, since each call of a script pays for all that is in it.
    pub(super) fn dead() -> Self {
        Self::new(queues!("dead.lua"), true)
    }

    /// Writes records.
    pub(super) fn create() -> Self {
        Self::new(
            together!("time.lua", "each.lua", "record.lua", "create.lua"),
            false,
        )
    }

    /// Notes in records what became of messages.
    pub(super) fn mark() -> Self {
        Self::new(together!("time.lua", "each.lua", "mark.lua"), true)
    }

    /// Claims keys of pushes.
    pub(super) fn once() -> Self {
        Self::new(together!("time.lua", "each.lua", "once.lua"), false)
    }

    /// Notes what became of pushes with keys.
    pub(super) fn outcome() -> Self {
        Self::new(together!("time.lua", "each.lua", "outcome.lua"), true)
    }

    /// Changes a record.
    pub(super) fn update() -> Self {
        Self::new(together!("time.lua", "update.lua"), false)
    }

    /// Takes over transactions whose delay is over.
    pub(super) fn claim() -> Self {
        Self::new(together!("time.lua", "claim.lua"), true)
    }

    /// Changes a group.
    pub(super) fn group() -> Self {
        Self::new(include_str!("group.lua"), false)
    }

    /// The script as the server is to have it.
    pub(super) fn text(&self) -> String {
        let flags = match (self.loaded.borrow().has_flags, self.may_exceed_memory) {
            (false, _) => "",
            // By having flags, if only none, it is refused as a whole when there is no memory; without, a write that
            // takes none lets all that follow pass.
            (true, false) => "#!lua\n",
            (true, true) => "#!lua flags=allow-oom\n",
        };
        format!("{flags}{}", self.text)
    }

    /// Whether the server knows flags of scripts (Redis 7 does): one that empties it says so by them.
    pub(super) fn set_flags(&self, has_flags: bool) {
        self.loaded.borrow_mut().has_flags = has_flags;
    }

    /// The server has given the script this digest.
    pub(super) fn note_digest(&self, digest: Bytes) {
        self.loaded.borrow_mut().digest = digest;
    }

    pub(super) fn digest(&self) -> Bytes {
        self.loaded.borrow().digest.clone()
    }
}
