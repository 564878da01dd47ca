//! What comes from where: how many connections an address has, and how many requests it makes in a second.
//!
//! Off by default, since whoever stands behind one balancer or one network has one address; then nothing is kept.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use crate::auth::Network;

/// Entries that the table may have before it is first looked through for those of no use.
const SWEPT_AT_LEAST: usize = 1024;

/// The addresses that have connections, of all threads.
#[derive(Debug)]
pub(super) struct Addresses {
    /// 0: any number.
    connections_max: usize,
    /// 0: any number.
    requests_max: usize,
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    entries: HashMap<Network, Arc<Account>>,
    /// How many entries make it worth looking for those of no use.
    swept_at: usize,
}

/// What an address has.
#[derive(Debug, Default)]
struct Account {
    connections: AtomicUsize,
    /// The second since the start, and the requests that came in it, in the upper and the lower half.
    requests: AtomicU64,
}

/// A connection of an address; dropped, it has one less.
#[derive(Debug)]
pub(super) struct Visit {
    addresses: Arc<Addresses>,
    /// None where nothing is counted.
    account: Option<Arc<Account>>,
}

/// An address has as many connections as it may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Addresses {
    /// With so many connections and requests a second for each address, 0 for any number.
    pub(super) fn new(connections_max: usize, requests_max: usize) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            requests_max,
            started: Instant::now(),
            table: Mutex::new(Table {
                entries: HashMap::new(),
                swept_at: SWEPT_AT_LEAST,
            }),
        })
    }

    /// A connection begins; `peer` says from where, if anybody wants to know.
    pub(super) fn enter(self: &Arc<Self>, peer: impl FnOnce() -> IpAddr) -> Result<Visit, Crowded> {
        let account = if self.connections_max == 0 && self.requests_max == 0 {
            None
        } else {
            Some(self.account(Network::of(peer())))
        };
        // It counts from now on, and no longer if there are too many.
        let before = account
            .as_ref()
            .map(|account| account.connections.fetch_add(1, Ordering::Relaxed));
        let visit = Visit {
            addresses: Arc::clone(self),
            account,
        };
        match before {
            Some(before) if self.connections_max > 0 && before >= self.connections_max => {
                Err(Crowded)
            }
            _ => Ok(visit),
        }
    }

    fn account(&self, network: Network) -> Arc<Account> {
        let second = self.second();
        let mut table = self.table();
        if table.entries.len() >= table.swept_at {
            // One that has nothing now is of use as long as its second lasts: to leave is no way to be counted anew.
            table.entries.retain(|_, account| {
                account.connections.load(Ordering::Relaxed) > 0 || account.second() >= second
            });
            table.swept_at = SWEPT_AT_LEAST.max(2 * table.entries.len());
        }
        Arc::clone(table.entries.entry(network).or_default())
    }

    fn second(&self) -> u64 {
        // 136 years in half of 64 bits.
        self.started.elapsed().as_secs() & u64::from(u32::MAX)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A worker that panics ends the process.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn second(&self) -> u64 {
        self.requests.load(Ordering::Relaxed) >> 32
    }

    /// Counts a request in that second; how many there are with it.
    fn note_request(&self, second: u64) -> u64 {
        let count = |before: u64| {
            let is_same = before >> 32 == second;
            Some(if is_same {
                before + 1
            } else {
                second << 32 | 1
            })
        };
        let (set, fetched) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = self.requests.fetch_update(set, fetched, count);
        let after = before.ok().and_then(count).unwrap_or_default();
        after & u64::from(u32::MAX)
    }
}

impl Visit {
    /// Counts a request; whether the address may make it.
    pub(super) fn may_ask(&self) -> bool {
        let requests_max = self.addresses.requests_max;
        match &self.account {
            Some(account) if requests_max > 0 => {
                account.note_request(self.addresses.second()) <= requests_max as u64
            }
            _ => true,
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let addresses = Addresses::new(2, 0);
        let first = addresses.enter(|| address(1)).unwrap();
        let _second = addresses.enter(|| address(1)).unwrap();
        assert_eq!(addresses.enter(|| address(1)).unwrap_err(), Crowded);
        let _other = addresses.enter(|| address(2)).unwrap();
        drop(first);
        addresses.enter(|| address(1)).unwrap();
    }

    #[test]
    fn an_address_makes_so_many_requests_in_a_second() {
        let account = Account::default();
        assert_eq!(
            [0, 0, 1].map(|second| account.note_request(second)),
            [1, 2, 1]
        );
        let addresses = Addresses::new(0, 2);
        let visits = [1, 1, 2].map(|last| addresses.enter(|| address(last)).unwrap());
        // Ten are too many for two seconds, whenever they begin.
        let allowed = (0..10).filter(|at| visits[at % 2].may_ask()).count();
        assert!((2..=4).contains(&allowed), "{allowed}");
        assert!(visits[2].may_ask());
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_limited() {
        let addresses = Addresses::new(0, 0);
        let visit = addresses.enter(|| unreachable!()).unwrap();
        assert!(visit.may_ask());
        assert!(addresses.table().entries.is_empty());
    }

    #[test]
    fn addresses_that_are_gone_are_forgotten() {
        let addresses = Addresses::new(1, 0);
        for number in 0..3 * SWEPT_AT_LEAST {
            let number = u32::try_from(number).unwrap();
            drop(addresses.enter(|| IpAddr::from(number.to_be_bytes())));
        }
        assert!(addresses.table().entries.len() <= 3 * SWEPT_AT_LEAST);
        let account = Account::default();
        account.note_request(7);
        assert_eq!(account.second(), 7);
    }
}
