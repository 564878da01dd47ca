//! Which resource a path names, and what may be done with it.

use std::borrow::Cow;

use super::bad_request;
use crate::{
    config::Limits,
    http::{Method, Response},
    mailbox::{GroupName, LeaseKind, QueueName, Realm, Tenant},
};

/// A path, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// The tenant, if the path names one.
    pub(super) org: Option<&'a str>,
    /// What the path is of.
    pub(super) resource: Resource<'a>,
}

/// A thing with a path. Of a tenant's things, only queues and groups are its own: the id of a transaction is unique
/// everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// `/`
    Home,
    /// `/trans`
    Transactions,
    /// `/trans/<id>`
    Transaction(&'a str),
    /// `/trans/<id>/state` and `/trans/<id>/state/<filter>`
    States {
        id: &'a str,
        filter: Option<&'a str>,
    },
    /// `/trans/<id>/history`
    TransactionHistory(&'a str),
    /// `/queue`, of secured queues only
    Queues,
    /// `/queue/<id>`
    Queue(&'a str),
    /// `/queue/<id>/<deed>`
    QueueDeed(&'a str, QueueDeed),
    /// `/queue/<id>/dead`
    DeadLetters(&'a str),
    /// `/queue/<id>/dead/redrive`
    Redrive(&'a str),
    /// `/queue/<id>/history`
    QueueHistory(&'a str),
    /// `/group`
    Groups,
    /// `/group/<name>`
    Group(&'a str),
}

/// What can be done with a queue besides describing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueDeed {
    Pop(LeaseKind),
    Subscribe(LeaseKind),
    Ack,
    Peek,
}

impl<'a> Route<'a> {
    /// Understands a path cut into decoded segments.
    pub(super) fn find(segments: &'a [Cow<'a, str>]) -> Option<Self> {
        // No path needs more.
        let mut words = [""; 7];
        let words = words.get_mut(..segments.len())?;
        for (word, segment) in words.iter_mut().zip(segments) {
            *word = segment;
        }
        if words.contains(&"") {
            return None;
        }
        match *words {
            [org, tenant, ref rest @ ..] if is(org, "org") => Some(Self {
                org: Some(tenant),
                resource: Resource::find(rest)?,
            }),
            ref rest => Some(Self {
                org: None,
                resource: Resource::find(rest)?,
            }),
        }
    }

    /// Refuses names longer than any may be: they would be remembered for long.
    pub(super) fn check_ids(&self, limits: &Limits) -> Result<(), Response> {
        let longest = [self.org, self.resource.name()]
            .into_iter()
            .flatten()
            .map(str::len)
            .max();
        let id_max = limits.max_id.bytes();
        if longest.is_some_and(|length| length > id_max) {
            return Err(bad_request(format_args!("id longer than {id_max} bytes")));
        }
        Ok(())
    }

    /// Whose queues and groups the path is about.
    pub(super) fn tenant(&self) -> Tenant {
        Tenant(self.org.map(Into::into))
    }

    /// The full name of a queue within this route's tenant.
    pub(super) fn queue(&self, realm: Realm, id: &str) -> QueueName {
        QueueName::new(realm, self.tenant(), id)
    }

    /// The full name of a group within this route's tenant.
    pub(super) fn group(&self, name: &str) -> GroupName {
        GroupName {
            tenant: self.tenant(),
            name: name.into(),
        }
    }
}

impl<'a> Resource<'a> {
    fn find(words: &[&'a str]) -> Option<Self> {
        match *words {
            [] => Some(Self::Home),
            [trans] if is(trans, "trans") => Some(Self::Transactions),
            [trans, id] if is(trans, "trans") => Some(Self::Transaction(id)),
            [trans, id, state] if is(trans, "trans") && is(state, "state") => {
                Some(Self::States { id, filter: None })
            }
            [trans, id, state, filter] if is(trans, "trans") && is(state, "state") => {
                Some(Self::States {
                    id,
                    filter: Some(filter),
                })
            }
            [trans, id, history] if is(trans, "trans") && is(history, "history") => {
                Some(Self::TransactionHistory(id))
            }
            [queue] if is(queue, "queue") => Some(Self::Queues),
            [queue, id] if is(queue, "queue") => Some(Self::Queue(id)),
            [queue, id, dead] if is(queue, "queue") && is(dead, "dead") => {
                Some(Self::DeadLetters(id))
            }
            [queue, id, dead, redrive]
                if is(queue, "queue") && is(dead, "dead") && is(redrive, "redrive") =>
            {
                Some(Self::Redrive(id))
            }
            [queue, id, history] if is(queue, "queue") && is(history, "history") => {
                Some(Self::QueueHistory(id))
            }
            [queue, id, deed] if is(queue, "queue") => {
                Some(Self::QueueDeed(id, QueueDeed::find(deed)?))
            }
            [group] if is(group, "group") => Some(Self::Groups),
            [group, name] if is(group, "group") => Some(Self::Group(name)),
            _ => None,
        }
    }

    /// The methods it knows; HEAD goes with GET.
    pub(super) fn methods(self) -> &'static [Method] {
        match self {
            Self::Home
            | Self::States { .. }
            | Self::Queue(_)
            | Self::QueueDeed(_, QueueDeed::Peek)
            | Self::TransactionHistory(_)
            | Self::QueueHistory(_) => &[Method::Get],
            Self::DeadLetters(_) => &[Method::Get, Method::Delete],
            Self::Transactions
            | Self::Queues
            | Self::QueueDeed(..)
            | Self::Redrive(_)
            | Self::Groups => &[Method::Post],
            Self::Transaction(_) | Self::Group(_) => &[Method::Get, Method::Put, Method::Delete],
        }
    }

    /// The header `Allow`: [`Self::methods`], in words.
    pub(super) fn allow(self) -> &'static str {
        match self.methods() {
            [Method::Get] => "GET, HEAD",
            [Method::Get, Method::Delete] => "GET, HEAD, DELETE",
            [Method::Post] => "POST",
            _ => "GET, HEAD, PUT, DELETE",
        }
    }

    /// The name of a queue or group.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::Queue(id)
            | Self::QueueDeed(id, _)
            | Self::DeadLetters(id)
            | Self::Redrive(id)
            | Self::QueueHistory(id)
            | Self::Group(id) => Some(id),
            _ => None,
        }
    }
}

impl QueueDeed {
    fn find(word: &str) -> Option<Self> {
        let deeds = [
            ("pop", Self::Pop(LeaseKind::Delivery)),
            ("poprel", Self::Pop(LeaseKind::Reliable)),
            ("subscribe", Self::Subscribe(LeaseKind::Delivery)),
            ("subscriberel", Self::Subscribe(LeaseKind::Reliable)),
            ("ack", Self::Ack),
            ("peek", Self::Peek),
        ];
        deeds
            .into_iter()
            .find(|deed| is(word, deed.0))
            .map(|deed| deed.1)
    }
}

/// Fixed words may come in any case.
fn is(word: &str, fixed: &str) -> bool {
    word.eq_ignore_ascii_case(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource<'a>(words: &'a [Cow<'a, str>]) -> Option<Resource<'a>> {
        Route::find(words).map(|route| route.resource)
    }

    fn segments(path: &str) -> Vec<Cow<'_, str>> {
        path.split(' ')
            .filter(|_| !path.is_empty())
            .map(|word| Cow::Borrowed(word.trim_matches('_')))
            .collect()
    }

    #[test]
    fn every_path() {
        use LeaseKind::{Delivery, Reliable};
        for (path, expected) in [
            ("", Resource::Home),
            ("trans", Resource::Transactions),
            ("trans i", Resource::Transaction("i")),
            (
                "trans i state",
                Resource::States {
                    id: "i",
                    filter: None,
                },
            ),
            (
                "trans i state All",
                Resource::States {
                    id: "i",
                    filter: Some("All"),
                },
            ),
            ("trans i history", Resource::TransactionHistory("i")),
            ("queue", Resource::Queues),
            ("queue q", Resource::Queue("q")),
            ("queue pop", Resource::Queue("pop")),
            (
                "queue q pop",
                Resource::QueueDeed("q", QueueDeed::Pop(Delivery)),
            ),
            (
                "queue q poprel",
                Resource::QueueDeed("q", QueueDeed::Pop(Reliable)),
            ),
            (
                "queue q subscribe",
                Resource::QueueDeed("q", QueueDeed::Subscribe(Delivery)),
            ),
            (
                "queue q subscriberel",
                Resource::QueueDeed("q", QueueDeed::Subscribe(Reliable)),
            ),
            ("queue q ack", Resource::QueueDeed("q", QueueDeed::Ack)),
            ("queue q peek", Resource::QueueDeed("q", QueueDeed::Peek)),
            ("queue q dead", Resource::DeadLetters("q")),
            ("queue q dead redrive", Resource::Redrive("q")),
            ("queue q history", Resource::QueueHistory("q")),
            ("group", Resource::Groups),
            ("group g", Resource::Group("g")),
        ] {
            assert_eq!(resource(&segments(path)), Some(expected), "{path}");
            let tenant = format!("oRg o {path}");
            let route = segments(tenant.trim_end());
            let expected = Route {
                org: Some("o"),
                resource: expected,
            };
            assert_eq!(Route::find(&route), Some(expected), "{tenant}");
        }
        assert_eq!(
            resource(&segments("QUEUE q PopRel")),
            Some(Resource::QueueDeed("q", QueueDeed::Pop(Reliable)))
        );
    }

    #[test]
    fn no_other_path() {
        for path in [
            "x",
            "queues q",
            "queue _ pop",
            "queue q pop x",
            "queue q drop",
            "queue q redrive",
            "queue q dead purge",
            "queue q dead redrive x",
            "trans _",
            "trans i states",
            "trans i history x",
            "trans i state All x",
            "group g x",
            "org",
            "org _ trans",
            "org o x",
            "org o org p",
            "org o org p trans",
            "_",
            "trans i state _",
            "a b c d e f g h i",
        ] {
            assert_eq!(Route::find(&segments(path)), None, "{path}");
        }
    }
}
