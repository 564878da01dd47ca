//! Whom a transaction is for: queues, and groups of queues.

use super::{Fault, Fields, Json, List, Origin, Terms};
use crate::mailbox::{GroupName, QueueName};

/// Reads the fields `queue` and `groups`; either is enough.
pub(super) fn addressees(
    fields: &Fields<'_>,
    origin: &Origin,
    terms: &Terms,
    faults: &mut Vec<Fault>,
) -> (Vec<QueueName>, Vec<GroupName>) {
    let queue = |element| {
        let id = Fields::of(element)?.find("id")?.string()?;
        is_id(&id, terms).then(|| QueueName::new(origin.realm, origin.tenant.clone(), &id))
    };
    let group = |element: Json<'_>| {
        let name = element.string()?;
        is_id(&name, terms).then(|| GroupName {
            tenant: origin.tenant.clone(),
            name: name.into(),
        })
    };
    let (queues, groups) = (fields.given("queue"), fields.given("groups"));
    if queues.is_none() && groups.is_none() {
        faults.push(Fault::UndefinedQueue);
    }
    let of_queues = [Fault::InvalidQueueType, Fault::InvalidQueueElement];
    let of_groups = [Fault::InvalidGroupsType, Fault::InvalidGroupsElement];
    let (queues, too_many_queues) = read(queues, queue, of_queues, terms, faults);
    let (groups, too_many_groups) = read(groups, group, of_groups, terms, faults);
    if too_many_queues || too_many_groups {
        faults.push(Fault::TooManyQueues(terms.queues_max));
    }
    (queues, groups)
}

/// The elements of a list, if one is given, and whether there are too many.
fn read<'a, T>(
    given: Option<Json<'a>>,
    parse: impl Fn(Json<'a>) -> Option<T>,
    [invalid_type, invalid_element]: [Fault; 2],
    terms: &Terms,
    faults: &mut Vec<Fault>,
) -> (Vec<T>, bool) {
    let Some(given) = given else {
        return (Vec::new(), false);
    };
    let Some(list) = List::read(given, terms.queues_max, parse) else {
        faults.push(invalid_type);
        return (Vec::new(), false);
    };
    if list.has_invalid {
        faults.push(invalid_element);
    }
    (list.elements, list.is_too_long)
}

fn is_id(text: &str, terms: &Terms) -> bool {
    // A queue without a name could never be asked for.
    !text.is_empty() && text.len() <= terms.id_max
}
