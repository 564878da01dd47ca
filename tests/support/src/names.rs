//! Names of queues, groups and tenants that no other test uses.

use std::fmt::Write as _;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A name nobody else has, which tells the test it came from.
pub fn unique(stem: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{number}", process::id())
}

/// `text` as one segment of a path.
pub fn escaped(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").unwrap();
        }
    }
    path
}

/// A queue as a client addresses it: its id, and its tenant if it has one.
#[derive(Clone, Debug)]
pub struct Queue {
    /// As it is written in `{"queue":[{"id":…}]}`.
    pub id: String,
    tenant: Option<String>,
}

impl Queue {
    /// A queue of no tenant that no other test uses.
    pub fn fresh() -> Self {
        Self::named(unique("q"))
    }

    /// A queue of no tenant.
    pub fn named(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            tenant: None,
        }
    }

    /// A tenant's queue.
    pub fn of(tenant: &str, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            tenant: Some(tenant.to_owned()),
        }
    }

    /// `/queue/:id` or `/org/:org/queue/:id`, escaped.
    pub fn path(&self) -> String {
        format!("{}/queue/{}", self.root(), escaped(&self.id))
    }

    /// A route of this queue, such as `pop`.
    pub fn route(&self, name: &str) -> String {
        format!("{}/{name}", self.path())
    }

    /// Where transactions for this queue are pushed.
    pub fn push_path(&self) -> String {
        format!("{}/trans", self.root())
    }

    /// Where it is made, if it is a secured one.
    pub fn secure_path(&self) -> String {
        format!("{}/queue", self.root())
    }

    fn root(&self) -> String {
        self.tenant
            .as_ref()
            .map_or_else(String::new, |tenant| format!("/org/{}", escaped(tenant)))
    }
}
