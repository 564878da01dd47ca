//! What is where: the keys, and the servers they are on.
//!
//! | key | what |
//! |---|---|
//! | `pb:q:{<queue>}` | a queue's messages; with `:h`, `:l` behind it those not handed out yet, `:r` what came back, |
//! | | `:x` dead letters, `:t` times, `:w` waiters |
//! | `pb:t:{<id>}`, with `:n` behind it | a transaction's record, and notes on its messages |
//! | `pb:g:{<group>}` | a group |
//! | `pb:c:{<queue>}` | what is kept of the user of a secured queue |
//! | `pb:i:{<name of a push>}` | by what repeats of a push are known |
//! | `pb:due`, `pb:workers` | of each queue server: when to look at which queue; who is there |
//! | `pb:delayed`, `pb:delayed:n` | of each transaction server: what is held back |
//! | `pb:w:<worker>` | a channel, not a key: what waiters of a worker get |
//!
//! All keys of a queue have its name as their hash tag, a record has its id, a group and a push their names; the tag's
//! CRC16 is the slot, as in Redis Cluster, and the slots are spread evenly over the servers of the configuration.

use percent_encoding::{
    AsciiSet, CONTROLS, PercentEncode, percent_decode_str, utf8_percent_encode,
};
use redis_protocol::redis_keyslot;

use crate::mailbox::{GroupName, IdempotencyKey, QueueName, Realm, Tenant, TransactionId};

/// Who is there, on each queue server.
pub(super) const WORKERS: &str = "pb:workers";

/// Stands for the key of an operation that is on no queue.
pub(super) const DUE: &str = "pb:due";

/// What is held back, on each transaction server.
pub(super) const DELAYED: &str = "pb:delayed";

/// Slots of Redis Cluster.
const SLOTS: usize = 16_384;

/// What would end a tag, or be taken for what separates the parts of a name, or for the end of a name in a list.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'{').add(b'}').add(b'/').add(b' ');

/// What stands around a queue's tag in its first key.
const QUEUE_KEY: (&str, &str) = ("pb:q:{", "}");

/// A queue's first key.
pub(super) fn queue_key(name: &QueueName) -> String {
    let (before, behind) = QUEUE_KEY;
    // Three for the realm and what separates the parts: mostly that is all.
    let length = before.len() + 3 + name.id().len() + behind.len();
    let mut key = String::with_capacity(length);
    key.push_str(before);
    push_tag(name.realm(), name.tenant(), name.id(), &mut key);
    key.push_str(behind);
    key
}

/// The hash tag in a queue's first key: realm, tenant and id so joined that no two names meet.
pub(super) fn queue_tag(key: &str) -> &str {
    let (before, behind) = QUEUE_KEY;
    let rest = key.strip_prefix(before).unwrap_or_default();
    rest.strip_suffix(behind).unwrap_or_default()
}

fn push_tag(realm: Realm, tenant: &Tenant, text: &str, to: &mut String) {
    to.push(match realm {
        Realm::Plain => 'p',
        Realm::Secured => 's',
    });
    push_tenant(tenant, to);
    to.push('/');
    to.extend(escaped(text));
}

/// The queue of a tag.
pub(super) fn queue_of_tag(tag: &str) -> Option<QueueName> {
    let (tenant, id) = tag.get(1..)?.split_once('/')?;
    let realm = match tag.get(..1)? {
        "p" => Realm::Plain,
        "s" => Realm::Secured,
        _ => return None,
    };
    let tenant = match tenant.get(..1)? {
        "-" => Tenant(None),
        "+" => Tenant(Some(unescaped(tenant.get(1..)?)?.into())),
        _ => return None,
    };
    Some(QueueName::new(realm, tenant, &unescaped(id)?))
}

/// The key of a record.
pub(super) fn record_key(id: TransactionId) -> String {
    ["pb:t:{", id.write_to(&mut [0; 36]), "}"].concat()
}

/// The key of the notes on a transaction's messages.
pub(super) fn notes_key(id: TransactionId) -> String {
    record_key(id) + ":n"
}

/// The key of a group.
pub(super) fn group_key(name: &GroupName) -> String {
    let mut tag = String::new();
    push_tenant(&name.tenant, &mut tag);
    format!("pb:g:{{{tag}/{}}}", escaped(&name.name))
}

/// The key of what is kept of the user of a secured queue. Its server is one for transactions: what is there is not
/// lost with messages.
pub(super) fn credentials_key(queue: &QueueName) -> String {
    let mut tag = String::new();
    push_tag(queue.realm(), queue.tenant(), queue.id(), &mut tag);
    format!("pb:c:{{{tag}}}")
}

/// The key by which repeats of a push are known.
pub(super) fn idempotency_key(key: &IdempotencyKey) -> String {
    let mut tag = String::new();
    push_tag(key.realm, &key.tenant, &key.text, &mut tag);
    format!("pb:i:{{{tag}}}")
}

/// The channel of a worker.
pub(super) fn channel(worker: &str) -> String {
    format!("pb:w:{worker}")
}

/// Which of so many servers has a key.
pub(super) fn server_of(key: &str, servers: usize) -> usize {
    if servers == 1 {
        return 0;
    }
    usize::from(redis_keyslot(key.as_bytes())) * servers / SLOTS
}

/// Which of so many servers has a record.
pub(super) fn server_of_record(id: TransactionId, servers: usize) -> usize {
    if servers == 1 {
        return 0;
    }
    server_of(&record_key(id), servers)
}

fn push_tenant(tenant: &Tenant, to: &mut String) {
    match &tenant.0 {
        None => to.push('-'),
        Some(name) => {
            to.push('+');
            to.extend(escaped(name));
        }
    }
}

fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

fn unescaped(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<QueueName> {
        let tenants = [
            None,
            Some(""),
            Some("a"),
            Some("a/b"),
            Some("-"),
            Some("+a"),
        ];
        let ids = ["b", "", "a/b", "b}", "{b", "%2F", "é \u{0}", "UNSEC:b"];
        let realms = [Realm::Plain, Realm::Secured];
        let mut names = Vec::new();
        for realm in realms {
            for tenant in tenants {
                for id in ids {
                    let tenant = Tenant(tenant.map(Into::into));
                    names.push(QueueName::new(realm, tenant, id));
                }
            }
        }
        names
    }

    #[test]
    fn no_two_queues_meet_and_each_is_read_back() {
        let names = names();
        let keys: std::collections::HashSet<_> = names.iter().map(queue_key).collect();
        assert_eq!(keys.len(), names.len());
        for name in &names {
            let tag = queue_tag(&queue_key(name)).to_owned();
            assert_eq!(queue_of_tag(&tag).as_ref(), Some(name));
        }
        for tag in ["", "p", "p-", "x-/a", "px/a", "é", "p-/%ff"] {
            assert_eq!(queue_of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn all_keys_of_a_queue_are_in_one_slot() {
        for name in names() {
            let key = queue_key(&name);
            let tag = queue_tag(&key);
            assert!(tag.is_ascii() && !tag.contains(['{', '}', ' ']));
            let slot = redis_keyslot(tag.as_bytes());
            for part in ["", ":h", ":l", ":r", ":x", ":t", ":w"] {
                assert_eq!(redis_keyslot(format!("{key}{part}").as_bytes()), slot);
            }
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        for servers in [1, 2, 3, 7] {
            let mut counts = vec![0; servers];
            for number in 0..70_000_u32 {
                let name = QueueName::new(Realm::Plain, Tenant(None), &number.to_string());
                counts[server_of(&queue_key(&name), servers)] += 1;
            }
            let fair = 70_000 / servers;
            let near = |&count: &usize| (fair * 9 / 10..=fair * 11 / 10).contains(&count);
            assert!(counts.iter().all(near), "{counts:?}");
        }
    }
}
