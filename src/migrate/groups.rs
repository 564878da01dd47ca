//! Moves groups. The old server knew no tenants of groups.

use bytes::Bytes;

use super::{
    Failure,
    report::{Left, Report, Shown},
    server::Reply,
    servers::{Question, Servers},
    survey::OldGroup,
    target::Target,
    writer::Writer,
};
use crate::{
    config::Limits,
    mailbox::{GroupName, Op, Refusal, Tenant},
};

/// Groups that are looked at in one go.
const BATCH: usize = 500;

/// Moves all of them. Members that a group has in the store already stay.
pub(super) fn transfer(
    groups: &[OldGroup],
    servers: &mut Servers,
    writer: &mut Writer<Target>,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), Failure> {
    for batch in groups.chunks(BATCH) {
        let questions: Vec<_> = batch
            .iter()
            .map(|group| Question::new(group.server, &[b"SCARD", &group.name]))
            .collect();
        let mut of_good_size = Vec::new();
        servers.ask_all(&questions, |at, server, reply| {
            let Some(group) = batch.get(at) else {
                return Ok(());
            };
            match reply {
                Reply::Integer(0) => {}
                Reply::Integer(count)
                    if usize::try_from(count).is_ok_and(|it| it <= limits.max_queues) =>
                {
                    of_good_size.push(group);
                }
                Reply::Integer(_) => {
                    report.leave_named(Left::GroupTooLarge, Shown(&group.name));
                }
                reply if reply.is_wrong_type() => {}
                reply => return Err(server.unexpected("SCARD", reply)),
            }
            Ok(())
        })?;
        for group in of_good_size {
            let reply = servers.ask(group.server, &[b"SMEMBERS", &group.name])?;
            let members = reply
                .into_texts()
                .map_err(|reply| servers.get(group.server).unexpected("SMEMBERS", reply))?;
            move_one(&group.name, &members, writer, limits, report)?;
        }
    }
    Ok(())
}

fn move_one(
    name: &[u8],
    members: &[Bytes],
    writer: &mut Writer<Target>,
    limits: &Limits,
    report: &mut Report,
) -> Result<(), Failure> {
    let id_max = limits.max_id.bytes();
    let read = |text: &[u8]| -> Option<Box<str>> {
        let text = std::str::from_utf8(text).ok()?;
        (!text.is_empty() && text.len() <= id_max).then(|| text.into())
    };
    let whole: Option<Vec<Box<str>>> = members.iter().map(|member| read(member)).collect();
    let (Some(group), Some(members)) = (read(name), whole) else {
        report.leave_named(Left::OddGroup, Shown(name));
        return Ok(());
    };
    let group = GroupName {
        tenant: Tenant(None),
        name: group,
    };
    let known = writer.ask(&[Op::Group(group.clone())])?.pop();
    if let Some(crate::mailbox::Reply::Group(known)) = known {
        // It comes sorted.
        if members.iter().all(|it| known.binary_search(it).is_ok()) {
            report.groups_there += 1;
            return Ok(());
        }
    }
    match writer.ask(&[Op::StoreGroup(group, members)])?.pop() {
        Some(crate::mailbox::Reply::Refused(Refusal::TooManyQueues(_))) => {
            report.leave_named(Left::GroupTooLarge, Shown(name));
        }
        _ => report.groups_moved += 1,
    }
    Ok(())
}
