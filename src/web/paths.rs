//! Where things are found.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::mailbox::{Tenant, TransactionId};

/// What needs no encoding in a segment of a path, whoever reads it.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Makes the paths of a tenant's things.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    tenant: Tenant,
}

impl Paths {
    /// The paths within a tenant, or those of nobody in particular.
    pub fn new(tenant: Tenant) -> Self {
        Self { tenant }
    }

    /// Whose they are.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Of the page to begin with.
    pub fn home(&self) -> String {
        let mut path = self.prefix();
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// Of a queue.
    pub fn queue(&self, id: &str) -> String {
        format!("{}/queue/{}", self.prefix(), segment(id))
    }

    /// Of a queue's dead letters.
    pub fn dead_letters(&self, id: &str) -> String {
        format!("{}/dead", self.queue(id))
    }

    /// Of a transaction, by whatever somebody takes for its id.
    pub fn transaction(&self, id: &str) -> String {
        format!("{}/trans/{}", self.prefix(), segment(id))
    }

    /// Of a transaction that a queue lists.
    pub fn listed_transaction(&self, id: TransactionId) -> String {
        format!("{}/trans/{id}", self.prefix())
    }

    fn prefix(&self) -> String {
        match &self.tenant.0 {
            Some(tenant) => format!("/org/{}", segment(tenant)),
            None => String::new(),
        }
    }
}

fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_encoded_where_needed() {
        let plain = Paths::default();
        assert_eq!(plain.home(), "/");
        assert_eq!(plain.queue("a-b_c.d~1"), "/queue/a-b_c.d~1");
        assert_eq!(
            plain.queue("a/b?c#d%\"é"),
            "/queue/a%2Fb%3Fc%23d%25%22%C3%A9"
        );
        let tenant = Paths::new(Tenant(Some("o/1".into())));
        assert_eq!(tenant.home(), "/org/o%2F1");
        assert_eq!(tenant.queue("q"), "/org/o%2F1/queue/q");
        assert_eq!(tenant.transaction("<i>"), "/org/o%2F1/trans/%3Ci%3E");
    }
}
