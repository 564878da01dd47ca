//! How many queues each tenant has, and which of them are idle, for a limit on them.

use std::collections::{BTreeSet, HashMap};

use super::{
    super::{Tenant, UnixMillis},
    queue::QueueIndex,
};

/// The queues of each tenant; none: they are not counted. What is outside of all tenants is no tenant's.
#[derive(Debug)]
pub(super) struct Tenants(Option<HashMap<Box<str>, Held>>);

#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// Those that nothing refers to, by the time when they are to be forgotten.
    idle: BTreeSet<(UnixMillis, QueueIndex)>,
}

impl Tenants {
    pub(super) fn new(is_counting: bool) -> Self {
        Self(is_counting.then(HashMap::new))
    }

    /// How many queues a tenant has.
    pub(super) fn count(&self, tenant: &Tenant) -> usize {
        let held = self.0.as_ref().zip(tenant.0.as_deref());
        held.and_then(|(tenants, tenant)| tenants.get(tenant))
            .map_or(0, |held| held.count)
    }

    /// The queue of a tenant that has been idle longest.
    pub(super) fn idlest(&self, tenant: &Tenant) -> Option<(UnixMillis, QueueIndex)> {
        let tenants = self.0.as_ref()?;
        tenants.get(tenant.0.as_deref()?)?.idle.first().copied()
    }

    /// A queue has come.
    pub(super) fn note_queue(&mut self, tenant: &Tenant) {
        if let (Some(tenants), Some(tenant)) = (&mut self.0, &tenant.0) {
            tenants.entry(tenant.clone()).or_default().count += 1;
        }
    }

    /// A queue is idle, and to be forgotten then.
    pub(super) fn note_idle(&mut self, tenant: &Tenant, until: UnixMillis, queue: QueueIndex) {
        self.change(tenant, |held| {
            held.idle.insert((until, queue));
        });
    }

    /// A queue is not idle any more, or to be forgotten at another time.
    pub(super) fn note_used(&mut self, tenant: &Tenant, until: UnixMillis, queue: QueueIndex) {
        self.change(tenant, |held| {
            held.idle.remove(&(until, queue));
        });
    }

    /// An idle queue is forgotten.
    pub(super) fn note_forgotten(&mut self, tenant: &Tenant, until: UnixMillis, queue: QueueIndex) {
        self.change(tenant, |held| {
            held.idle.remove(&(until, queue));
            held.count -= 1;
        });
        if let (Some(tenants), Some(tenant)) = (&mut self.0, &tenant.0)
            && tenants.get(tenant).is_some_and(|held| held.count == 0)
        {
            tenants.remove(tenant);
        }
    }

    fn change(&mut self, tenant: &Tenant, change: impl FnOnce(&mut Held)) {
        if let (Some(tenants), Some(tenant)) = (&mut self.0, &tenant.0)
            && let Some(held) = tenants.get_mut(tenant)
        {
            change(held);
        }
    }
}
