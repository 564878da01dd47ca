//! Names of queues as the old server joined them: `<org>:UNSEC:<queue>`, `UNSEC:<queue>`, and `SEC:` for TLS.

use crate::mailbox::{QueueName, Realm, Tenant};

/// The words between tenant and queue.
const MARKERS: [(&str, Realm); 2] = [("UNSEC:", Realm::Plain), ("SEC:", Realm::Secured)];

/// A joined name taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) name: QueueName,
    /// Whether the same text can also stand for another queue.
    pub(super) is_ambiguous: bool,
}

impl Reading {
    /// Reads a joined name; none where it has no marker.
    ///
    /// The old server joined tenant, marker and queue without keeping them apart, so `a:UNSEC:UNSEC:q` is queue
    /// `UNSEC:q` of tenant `a` as well as queue `q` of tenant `a:UNSEC`. Of the places where a marker can stand, that
    /// is at the start or behind a colon, the first counts: queues are named by programs and may have any form,
    /// tenants are named by people and mostly are plain words.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut readings = readings(text);
        let name = readings.next()?;
        let is_ambiguous = readings.next().is_some();
        Some(Self { name, is_ambiguous })
    }

    /// Whether a client can ask for it: names in paths are not empty, and of `id_max` bytes at most.
    pub(super) fn is_reachable(&self, id_max: usize) -> bool {
        let is_name = |name: &str| !name.is_empty() && name.len() <= id_max;
        is_name(self.name.id()) && self.name.tenant().0.as_deref().is_none_or(is_name)
    }
}

/// Everything that the text can stand for.
fn readings(text: &str) -> impl Iterator<Item = QueueName> {
    let colons = text.match_indices(':').map(|(at, _)| Some(at));
    [None].into_iter().chain(colons).filter_map(move |colon| {
        let (tenant, rest) = match colon {
            None => (None, text),
            Some(at) => (Some(text.get(..at)?), text.get(at + 1..)?),
        };
        MARKERS.iter().find_map(|(marker, realm)| {
            let id = rest.strip_prefix(marker)?;
            Some(QueueName::new(*realm, Tenant(tenant.map(Into::into)), id))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Realm, Option<String>, String, bool)> {
        Reading::of(text).map(|it| {
            let tenant = it.name.tenant().0.as_deref().map(str::to_owned);
            (
                it.name.realm(),
                tenant,
                it.name.id().to_owned(),
                it.is_ambiguous,
            )
        })
    }

    #[test]
    fn the_first_marker_counts() {
        use Realm::{Plain, Secured};
        for (text, realm, tenant, id, is_ambiguous) in [
            ("UNSEC:q", Plain, None, "q", false),
            ("SEC:q", Secured, None, "q", false),
            ("a:UNSEC:q", Plain, Some("a"), "q", false),
            ("a:SEC:q", Secured, Some("a"), "q", false),
            ("UNSEC:a:b", Plain, None, "a:b", false),
            ("UNSEC:", Plain, None, "", false),
            ("a:b:UNSEC:q", Plain, Some("a:b"), "q", false),
            ("UNSECURE:UNSEC:q", Plain, Some("UNSECURE"), "q", false),
            (":UNSEC:q", Plain, Some(""), "q", false),
            ("a:UNSEC:XUNSEC:q", Plain, Some("a"), "XUNSEC:q", false),
            ("a:UNSEC:UNSEC:q", Plain, Some("a"), "UNSEC:q", true),
            ("UNSEC:UNSEC:q", Plain, None, "UNSEC:q", true),
            ("UNSEC:x:SEC:q", Plain, None, "x:SEC:q", true),
            ("é:SEC:ü", Secured, Some("é"), "ü", false),
        ] {
            let expected = (
                realm,
                tenant.map(str::to_owned),
                id.to_owned(),
                is_ambiguous,
            );
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn without_a_marker_it_is_no_joined_name() {
        for text in ["", "q", "a:q", "XUNSEC:q", "UNSEC", "unsec:q", "a:UNSECq"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
