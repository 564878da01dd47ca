//! Names of queues and groups. A name is a tuple, never a joined string, so no two of them can meet:
//! tenant `a` with queue `b:c` and tenant `a:b` with queue `c` stay apart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The owner of queues and groups: `/org/<tenant>/…`, or nobody in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tenant(pub Option<Box<str>>);

/// Whether a queue is reached over the plain or over the TLS listener. Queues of one name in the two realms are
/// different queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Realm {
    /// Open to whoever reaches the plain listener.
    Plain,
    /// Guarded by credentials, over TLS only.
    Secured,
}

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct FullName {
    realm: Realm,
    tenant: Tenant,
    id: Box<str>,
}

/// The full name of a queue; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(Arc<FullName>);

impl QueueName {
    /// The queue `id` of a tenant in a realm.
    pub fn new(realm: Realm, tenant: Tenant, id: &str) -> Self {
        Self(Arc::new(FullName {
            realm,
            tenant,
            id: id.into(),
        }))
    }

    /// The id, as clients name the queue within its tenant.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whose queue it is.
    pub fn tenant(&self) -> &Tenant {
        &self.0.tenant
    }

    /// The realm it lives in.
    pub fn realm(&self) -> Realm {
        self.0.realm
    }

    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let tenant = self.0.tenant.0.as_deref().map_or(0, str::len);
        size_of::<FullName>() + tenant + self.0.id.len()
    }
}

impl Serialize for QueueName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for QueueName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FullName::deserialize(deserializer).map(|name| Self(Arc::new(name)))
    }
}

/// A tenant's named set of queue ids, to push to all of them at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupName {
    /// Whose group it is.
    pub tenant: Tenant,
    /// Its name within the tenant.
    pub name: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> Tenant {
        Tenant(Some(name.into()))
    }

    #[test]
    fn no_two_names_meet() {
        let names = [
            QueueName::new(Realm::Plain, Tenant(None), "b"),
            QueueName::new(Realm::Secured, Tenant(None), "b"),
            QueueName::new(Realm::Plain, org(""), "b"),
            QueueName::new(Realm::Plain, org("a"), "b:c"),
            QueueName::new(Realm::Plain, org("a:b"), "c"),
            QueueName::new(Realm::Plain, org("a"), "SEC:b"),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_name_tells_its_parts() {
        let name = QueueName::new(Realm::Secured, org("a"), "q/\u{e9} ");
        let parts = (name.realm(), name.tenant(), name.id());
        assert_eq!(parts, (Realm::Secured, &org("a"), "q/\u{e9} "));
    }

    #[test]
    fn a_stored_name_reads_back_the_same() {
        for tenant in [Tenant(None), org(""), org("a\"b")] {
            let name = QueueName::new(Realm::Plain, tenant.clone(), "\u{0}:\n");
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<QueueName>(&text).unwrap(), name);
            let name = GroupName {
                tenant,
                name: "g".into(),
            };
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<GroupName>(&text).unwrap(), name);
        }
    }
}
