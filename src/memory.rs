//! Accounts of memory that many threads take from: no client, and not all of them together, can take more than the
//! configuration allows.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A limit on what may be held at a time.
#[derive(Debug)]
pub struct Account {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Account {
    /// An account that nothing is held of yet.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }
}

/// A part of the account; dropped, it is given back.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    /// A charge of nothing yet.
    pub fn new(account: &Arc<Account>) -> Self {
        Self {
            account: Arc::clone(account),
            bytes: 0,
        }
    }

    /// Makes the charge so large; whether the account has room for that. It is charged either way, since the bytes
    /// are there: the caller is to let go of them.
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return true;
        }
        let grown = bytes.saturating_sub(self.bytes);
        let shrunk = self.bytes.saturating_sub(bytes);
        self.bytes = bytes;
        self.account.bytes.fetch_sub(shrunk, Ordering::Relaxed);
        let before = self.account.bytes.fetch_add(grown, Ordering::Relaxed);
        grown == 0 || before.saturating_add(grown) <= self.account.bytes_max
    }

    /// The charge, if it is of anything.
    pub fn unless_empty(self) -> Option<Self> {
        (self.bytes > 0).then_some(self)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_given_back() {
        let account = Arc::new(Account::new(100));
        let mut first = Charge::new(&account);
        let mut second = Charge::new(&account);
        assert!(first.resize(80));
        assert!(!second.resize(30));
        assert!(second.resize(10));
        drop(first);
        assert!(second.resize(100));
        drop(second);
        assert_eq!(account.bytes.load(Ordering::Relaxed), 0);
    }
}
