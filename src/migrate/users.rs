//! Brings the users of secured queues over, with what the old server kept of their logins.
//!
//! From a digest a password can be guessed, so it is never shown: what is left is named by its key.

use super::{
    Failure,
    inventory::Inventory,
    name::Reading,
    report::{Left, Report, Shown},
    server::Reply,
    servers::{Question, ServerIndex, Servers},
    target::Answers,
    writer::{Stopped, Writer},
};
use crate::{
    auth::Record,
    mailbox::{self, Op},
};

/// Users that are brought over in one go.
const BATCH: usize = 500;

/// The last byte that is asked for, counted from 0: one more than a digest has, so that what is longer does not pass
/// for one.
const LAST_BYTE: &[u8] = b"28";

/// A string of an old server that says who may use a secured queue.
#[derive(Debug)]
pub(super) struct OldUser {
    pub(super) server: ServerIndex,
    pub(super) key: Box<[u8]>,
    /// The queue.
    pub(super) reading: Reading,
}

/// Brings all of them over. A queue that has a user in the store already keeps that one.
pub(super) fn transfer(
    users: &[OldUser],
    servers: &mut Servers,
    inventory: &mut Inventory,
    writer: &mut Writer<impl Answers>,
    report: &mut Report,
) -> Result<(), Failure> {
    for batch in users.chunks(BATCH) {
        let questions: Vec<_> = batch
            .iter()
            .map(|user| Question::new(user.server, &[b"GETRANGE", &user.key, b"0", LAST_BYTE]))
            .collect();
        let mut ops = Vec::with_capacity(batch.len());
        servers.ask_all(&questions, |at, server, reply| {
            let Some(user) = batch.get(at) else {
                return Ok(());
            };
            match reply {
                Reply::Text(value) => match digest(&value) {
                    Some(credentials) => {
                        let queue = user.reading.name.clone();
                        let (_, is_new) = inventory.queue(queue.clone());
                        if is_new && user.reading.is_ambiguous {
                            report.note_ambiguous(Shown(&user.key));
                        }
                        ops.push(Op::SecureQueue { queue, credentials });
                    }
                    None => report.leave_named(Left::OddDigest, Shown(&user.key)),
                },
                reply if reply.is_wrong_type() => {
                    report.leave_named(Left::OddDigest, Shown(&user.key));
                }
                reply => return Err(server.unexpected("GETRANGE", reply)),
            }
            Ok(())
        })?;
        put(&ops, writer, report)?;
    }
    Ok(())
}

/// What is to be kept, if it is what an old server kept.
fn digest(value: &[u8]) -> Option<Box<str>> {
    match Record::parse(std::str::from_utf8(value).ok()?)? {
        Record::Old(digest) => Some(digest),
        Record::Hashed(_) => None,
    }
}

fn put(ops: &[Op], writer: &mut Writer<impl Answers>, report: &mut Report) -> Result<(), Stopped> {
    writer.ask_each(ops, |_, reply| match reply {
        mailbox::Reply::Secured(true) => report.users_moved += 1,
        // It may be a newer one, or have a newer password.
        _ => report.users_there += 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Login,
        config::Config,
        mailbox::{QueueName, Realm, Tenant},
        migrate::target::Target,
    };

    /// Those of `u` with the passwords `p` and `q`.
    const DIGESTS: [&str; 2] = [
        "oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=",
        "Kq687n87SAfWn2w7nztl35M2yHo=",
    ];

    fn queue(tenant: Option<&str>, id: &str) -> QueueName {
        QueueName::new(Realm::Secured, Tenant(tenant.map(Into::into)), id)
    }

    fn secure(queue: QueueName, digest: &str) -> Op {
        let credentials = digest.into();
        Op::SecureQueue { queue, credentials }
    }

    #[test]
    fn only_a_digest_is_taken() {
        for digest_text in DIGESTS {
            assert_eq!(digest(digest_text.as_bytes()).as_deref(), Some(digest_text));
        }
        let argon = "u:$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$RGVmYXVsdERlZmF1bHQ";
        assert!(Record::parse(argon).is_some(), "a record of a new server");
        for value in [
            &b""[..],
            b"u:p",
            argon.as_bytes(),
            b"oNCYGJ8dkoDeNoWJrGLZMQ0UiSw",
            b"oNCYGJ8dkoDeNoWJrGLZMQ0UiSwx",
            b"oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=x",
            b"oNCYGJ8dkoDeNoWJrGLZMQ0UiS\xff=",
        ] {
            assert_eq!(digest(value), None, "{}", Shown(value));
        }
    }

    #[test]
    fn what_was_a_login_is_one_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.path = folder.path().join("store");
        let mut writer = Writer::new(Target::open(&config).unwrap());
        let mut report = Report::default();
        let (plain, of_tenant) = (queue(None, "alice"), queue(Some("city"), "alice"));
        let [first, second] = DIGESTS;
        let ops = [
            secure(plain.clone(), first),
            secure(of_tenant.clone(), second),
        ];
        put(&ops, &mut writer, &mut report).unwrap();
        assert_eq!((report.users_moved, report.users_there), (2, 0));
        put(&[secure(plain.clone(), second)], &mut writer, &mut report).unwrap();
        assert_eq!((report.users_moved, report.users_there), (2, 1));

        let looks = [Op::Credentials(plain), Op::Credentials(of_tenant)];
        let kept = writer.ask(&looks).unwrap();
        let passwords = kept.into_iter().map(|reply| {
            let mailbox::Reply::Credentials(Some(record)) = reply else {
                panic!("the queue has no user");
            };
            let record = Record::parse(&record).unwrap();
            let is_of = |password: &&str| {
                record.verify(&Login {
                    user: "u".into(),
                    password: password.as_bytes().into(),
                })
            };
            ["p", "q"].into_iter().find(is_of)
        });
        assert_eq!(passwords.collect::<Vec<_>>(), [Some("p"), Some("q")]);
        writer.into_target().close();
    }
}
