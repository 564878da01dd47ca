//! A tenant's named sets of queues.

use super::{Change, Engine, EngineReply, GroupChange, GroupName, Output, Refusal, Reply};

impl Engine {
    pub(super) fn group(&self, name: &GroupName) -> Vec<Box<str>> {
        self.groups
            .get(name)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    pub(super) fn store_group(
        &mut self,
        name: GroupName,
        members: Vec<Box<str>>,
        output: &mut Output,
    ) -> EngineReply {
        if !self.groups.contains_key(&name) && self.groups.len() >= self.limits.groups_max {
            return Reply::Refused(Refusal::Full("limits.max_groups is reached"));
        }
        let change = GroupChange {
            add: members,
            remove: Vec::new(),
        };
        self.put_group(name, change, output)
            .map_or_else(Reply::Refused, |()| Reply::Done)
    }

    pub(super) fn change_group(
        &mut self,
        name: GroupName,
        change: GroupChange,
        output: &mut Output,
    ) -> EngineReply {
        if !self.groups.contains_key(&name) {
            return Reply::Found(false);
        }
        self.put_group(name, change, output)
            .map_or_else(Reply::Refused, |()| Reply::Found(true))
    }

    pub(super) fn put_group(
        &mut self,
        name: GroupName,
        change: GroupChange,
        output: &mut Output,
    ) -> Result<(), Refusal> {
        let mut members = self.groups.get(&name).cloned().unwrap_or_default();
        members.extend(change.add);
        for id in &change.remove {
            members.remove(id);
        }
        if members.len() > self.limits.queues_per_transaction_max {
            return Err(Refusal::TooManyQueues(
                self.limits.queues_per_transaction_max,
            ));
        }
        let listed = members.iter().cloned().collect();
        output.changes.push(Change::GroupStored {
            name: name.clone(),
            members: listed,
        });
        output.promised = true;
        self.groups.insert(name, members);
        Ok(())
    }
}
