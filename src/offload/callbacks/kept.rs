//! Which hosts may keep a connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hosts whose connections are kept for the next callback. Others close theirs, so that producers who name ever other
/// hosts do not leave us with idle connections without bound.
#[derive(Debug)]
pub(super) struct Kept {
    life: Duration,
    hosts: HashMap<Arc<str>, Instant>,
}

/// Each has [`IDLE_PER_HOST_MAX`] idle connections at most.
const HOSTS_MAX: usize = 64;

/// Idle connections to one host.
pub(super) const IDLE_PER_HOST_MAX: usize = 2;

/// How long an idle connection is kept. They are looked after as often.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(5);

impl Kept {
    /// None yet; an exchange takes `timeout` at most.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            life: timeout + IDLE_MAX * 2,
            hosts: HashMap::new(),
        }
    }

    /// Whether the connection of an exchange that begins now may be kept.
    pub(super) fn may_keep(&mut self, host: &Arc<str>, now: Instant) -> bool {
        if let Some(last) = self.hosts.get_mut(host) {
            *last = now;
            return true;
        }
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.retain(|_, last| *last + self.life > now);
        }
        if self.hosts.len() >= HOSTS_MAX {
            return false;
        }
        self.hosts.insert(Arc::clone(host), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_hosts_keep_connections_and_no_more() {
        let mut kept = Kept::new(Duration::from_secs(10));
        let start = Instant::now();
        let hosts: Vec<Arc<str>> = (0..=HOSTS_MAX)
            .map(|host| host.to_string().into())
            .collect();
        let (last, first) = hosts.split_last().unwrap();
        assert!(first.iter().all(|host| kept.may_keep(host, start)));
        assert!(!kept.may_keep(last, start));
        let later = start + Duration::from_secs(10);
        assert!(kept.may_keep(&first[0], later));
        assert!(!kept.may_keep(last, later));
        assert!(kept.may_keep(last, later + Duration::from_secs(10)));
        assert!(kept.hosts.contains_key(&first[0]), "was used since");
        assert_eq!(kept.hosts.len(), 2);
    }
}
